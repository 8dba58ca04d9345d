//! `cargo xtask sdk`: published client SDKs, unmodified, against a server of this checkout. Installs them from the npm
//! registry as `tests/sdk/package-lock.json` pins them, into a folder that is never committed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::tools;

/// Builds the server, installs the SDKs, and runs the suite.
pub(crate) fn run() -> anyhow::Result<bool> {
    let server = tools::build_server()?;
    let (suite, packages) = installed()?;
    let mut command = Command::new("node");
    command.arg(suite.join("run.js")).env("ANSER", server).env("SDK_PACKAGES", packages);
    Ok(command.status().context("cannot run node; the suite needs Node 20 or later")?.success())
}

/// The scripts, and where the SDKs are that they drive; both are there on return.
pub(crate) fn installed() -> anyhow::Result<(PathBuf, PathBuf)> {
    let suite = tools::root().join("tests/sdk");
    let packages = tools::cache().join("sdk");
    install(&suite, &packages)?;
    Ok((suite, packages))
}

/// Installs what the lock file pins, unless exactly that is there already.
fn install(suite: &Path, packages: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read(suite.join("package-lock.json"))?;
    let stamp = packages.join(".installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    println!("installing the SDKs into {}", tools::shown(packages));
    std::fs::create_dir_all(packages)?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(suite.join(name), packages.join(name))?;
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(packages);
    let installed = command.status().context("cannot run npm; the suite needs Node 20 or later")?;
    anyhow::ensure!(installed.success(), "npm cannot install the SDKs");
    std::fs::write(stamp, lock)?;
    Ok(())
}
