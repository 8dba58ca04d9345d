//! The programs that the check runs: found, or installed where we may.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::step::Steps;

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 8] = [
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("docker-compose", "docker-compose"),
    ("debootstrap", "debootstrap"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// Fails with what to do if something is missing and cannot be installed.
pub(super) fn see_to(steps: &Steps) -> anyhow::Result<()> {
    let me = std::fs::read_to_string("/proc/self/status").context("this needs Linux")?;
    let root = me.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    ensure!(root, "an engine of its own needs root: sudo, or `docker compose` with the engine that is there");
    let mut packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    ensure!(is_there("apt-get"), "install what these Debian packages have: {}", packages.join(", "));
    steps.tell(&format!("installing {}", packages.join(", ")));
    let command = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        // The package would start an engine of the system, which nobody asked for.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        command.args(["--quiet", "--yes", "--option", "DPkg::Lock::Timeout=300"]).args(words);
        command
    };
    // One of several sources may be out of reach, and need not be the one that matters.
    steps.run("apt", &mut command(&["update"]), INSTALL_LIMIT).ok();
    let install = [&["install", "--no-install-recommends"], &packages[..]].concat();
    steps.run("apt", &mut command(&install), INSTALL_LIMIT)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // The engine lies where only root looks, which need not be in the search path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}
