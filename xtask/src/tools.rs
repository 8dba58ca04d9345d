//! Small things that several chores need: where the checkout is, and how to call cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where things are kept that are downloaded once. Never committed.
pub(crate) fn cache() -> PathBuf {
    root().join(".cache")
}

/// A call of the cargo that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(root());
    // What cargo says about this package is not about those that are built. Some build scripts look at it, and would have
    // their packages, and all above them, built once for a call from here and once for a call by hand.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a package's binary in the profile that is close to release and quick to build.
pub(crate) fn cargo_run_fast(package: &str, arguments: &[&str]) -> anyhow::Result<bool> {
    let mut command = cargo(&["run", "--quiet", "--profile", "fast", "--package", package, "--"]);
    Ok(command.args(arguments).status().with_context(|| format!("cannot run {package}"))?.success())
}

/// Builds the server in that profile and says where it is.
pub(crate) fn build_server() -> anyhow::Result<PathBuf> {
    let built = cargo(&["build", "--quiet", "--profile", "fast", "--package", "anser"]).status()?;
    anyhow::ensure!(built.success(), "the server does not build");
    Ok(target().join("fast/anser"))
}

/// All files of a folder and those below it with this extension, in order, without what is built or downloaded.
pub(crate) fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir()
            && !matches!(name, "target" | "node_modules" | "corpus" | "artifacts")
            && !name.starts_with('.')
        {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A path as the reader of a message wants it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
