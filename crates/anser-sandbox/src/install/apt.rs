//! Programs of the system's packages, on systems that have apt.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::spawn;

/// A program, and the package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    pub(crate) program: &'static str,
    pub(crate) name: &'static str,
    /// What is to be installed where there is no apt.
    pub(crate) what: &'static str,
}

impl Package {
    /// The program of the search path; installed first if it is not there, this system has apt, and we may. What apt says is
    /// in `apt.log` in the folder `cache`.
    pub(crate) fn find_or_install(self, cache: &Path, tell: fn(&str)) -> anyhow::Result<PathBuf> {
        let Self { program, name, what } = self;
        if let Some(found) = super::find(program) {
            return Ok(found);
        }
        let Some(apt) = super::find("apt-get") else {
            bail!("there is no {program}: install {what}");
        };
        ensure!(rustix::process::geteuid().is_root(), "there is no {program}: `sudo apt-get install {name}`");
        std::fs::create_dir_all(cache)?;
        let _one_at_a_time = spawn::lock(&cache.join("lock"))?;
        if super::find(program).is_none() {
            tell(&format!("{name}: installing it by apt-get"));
            self.install(&apt, cache, tell)?;
        }
        super::find(program)
            .with_context(|| format!("apt-get installed {name}, but {program} is not in the search path"))
    }

    fn install(self, apt: &Path, cache: &Path, tell: fn(&str)) -> anyhow::Result<()> {
        let log = cache.join("apt.log");
        // Others may be installing something just now.
        let command = |words: &[&str]| {
            let mut command = Command::new(apt);
            // The package of a server would start one of its own, of which nobody here knows.
            command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
            command.args(["--quiet", "--yes", "--option", "DPkg::Lock::Timeout=300"]).args(words);
            command
        };
        // One of several sources may be out of reach, and need not be the one that matters.
        if let Err(error) = super::run(&mut command(&["update"]), &log) {
            tell(&format!("{}: {error}", self.name));
        }
        super::run(&mut command(&["install", "--no-install-recommends", self.name]), &log)
    }
}
