//! The Redis server, from the system's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::spawn;

const NAME: &str = "redis-server";

/// The server of the search path; installed first if it is not there, this system has apt, and we may.
pub(crate) fn find_or_install(cache: &Path, tell: fn(&str)) -> anyhow::Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let Some(apt) = super::find("apt-get") else {
        bail!("there is no {NAME}: install Redis 7 or later");
    };
    ensure!(rustix::process::geteuid().is_root(), "there is no {NAME}: `sudo apt-get install {NAME}`");
    std::fs::create_dir_all(cache)?;
    let _one_at_a_time = spawn::lock(&cache.join("lock"))?;
    if find().is_none() {
        tell("redis: installing it by apt-get");
        install(&apt, cache, tell)?;
    }
    find().with_context(|| format!("apt-get installed {NAME}, but it is not in the search path"))
}

/// The server, if it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    super::find(NAME)
}

fn install(apt: &Path, cache: &Path, tell: fn(&str)) -> anyhow::Result<()> {
    let log = cache.join("apt.log");
    // Others may be installing something just now.
    let command = |words: &[&str]| {
        let mut command = Command::new(apt);
        // The package would start a server of its own, of which nobody here knows.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        command.args(["--quiet", "--yes", "--option", "DPkg::Lock::Timeout=300"]).args(words);
        command
    };
    // One of several sources may be out of reach, and need not be the one that matters.
    if let Err(error) = super::run(&mut command(&["update"]), &log) {
        tell(&format!("redis: {error}"));
    }
    super::run(&mut command(&["install", "--no-install-recommends", NAME]), &log)
}
