//! The Java that runs Kafka and HBase.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::apt::Package;

const PACKAGE: Package = Package { program: "java", name: "default-jre-headless", what: "Java 17 or later" };
const OLDEST: u32 = 17;
const NEEDED: &str = "Kafka and HBase need Java 17 or later: install such a one, or set JAVA_HOME";

/// The `java` of JAVA_HOME or else of the search path; installed first if it is not there. Fails with what to do about it if
/// it is an old one.
pub(crate) fn find_or_install(cache: &Path, tell: fn(&str)) -> anyhow::Result<PathBuf> {
    let home =
        std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")).filter(|java| java.is_file());
    let java = home.map_or_else(|| PACKAGE.find_or_install(cache, tell), Ok)?;
    let said =
        Command::new(&java).arg("-version").output().with_context(|| format!("cannot run {}", java.display()))?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    match version(&text) {
        Some(version) if version >= OLDEST => Ok(java),
        Some(version) => bail!("{} is of version {version}. {NEEDED}", java.display()),
        None => bail!("{} does not say its version: {}", java.display(), text.trim()),
    }
}

/// Reads `openjdk version "17.0.15" 2025-04-15`; old ones called themselves 1.8.
fn version(said: &str) -> Option<u32> {
    let text = said.split_once("version \"")?.1;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        version => Some(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_their_several_forms() {
        assert_eq!(version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(version("Picked up _JAVA_OPTIONS: -Xmx1g\njava version \"1.8.0_402\""), Some(8));
        assert_eq!(version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(version("openjdk version \"26-ea\""), Some(26));
        assert_eq!(version("no such thing"), None);
    }
}
