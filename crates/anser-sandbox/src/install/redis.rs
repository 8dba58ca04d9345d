//! The Redis server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::apt::Package;

const PACKAGE: Package = Package { program: "redis-server", name: "redis-server", what: "Redis 7 or later" };
const OLDEST: u32 = 7;

/// The server of the search path; installed first if it is not there. Fails if it is too old.
pub(crate) fn find_or_install(cache: &Path, tell: fn(&str)) -> anyhow::Result<PathBuf> {
    let server = PACKAGE.find_or_install(cache, tell)?;
    let said = Command::new(&server).arg("--version").output();
    let said = said.with_context(|| format!("cannot run {}", server.display()))?.stdout;
    let text = String::from_utf8_lossy(&said);
    let is_new = version(&text).is_some_and(|version| version >= OLDEST);
    ensure!(is_new, "{} is too old, or does not say its version: Redis {OLDEST} or later is needed", server.display());
    Ok(server)
}

/// Reads `Redis server v=7.0.15 sha=00000000:0 …`.
fn version(said: &str) -> Option<u32> {
    said.split_once("v=")?.1.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn its_version_is_read() {
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), Some(7));
        assert_eq!(version("Redis server v=10.2.0"), Some(10));
        assert_eq!(version("Redis server version 2.4.10 (00000000:0)"), None);
    }
}
