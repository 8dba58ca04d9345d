//! Small things that several chores need: where the checkout is, and how to call cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

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

/// The same command, at the lowest priority there is: it takes what others leave of the machine.
pub(crate) fn in_the_background(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// The server, and what tests, torments and simulates it. What cargo builds of a dependency depends on who else is built: for one of them
/// alone it would build nearly everything once more. So cargo is always told of all of them.
const SERVER: [&str; 4] = ["anser", "anser-chaos", "anser-sim", "anser-tests"];

/// A command of cargo about these, in the profile that is close to release and quicker to build.
fn cargo_server(command: &str) -> Command {
    let mut cargo = cargo(&[command, "--profile", "fast"]);
    cargo.args(SERVER.iter().flat_map(|package| ["--package", package]));
    cargo
}

/// Builds them, and says what cargo does.
pub(crate) fn build() -> anyhow::Result<bool> {
    Ok(cargo_server("build").status()?.success())
}

/// Builds them in silence, and says where the server is.
pub(crate) fn build_server() -> anyhow::Result<PathBuf> {
    let built = cargo_server("build").arg("--quiet").status()?;
    anyhow::ensure!(built.success(), "the server does not build");
    Ok(target().join("fast/anser"))
}

/// Runs the simulator, built now if need be.
pub(crate) fn simulate(arguments: &[&str]) -> anyhow::Result<bool> {
    let built = cargo_server("build").args(["--quiet", "--bin", "anser-sim"]).status()?;
    anyhow::ensure!(built.success(), "the simulator does not build");
    let simulator = target().join("fast/anser-sim");
    Ok(Command::new(simulator).args(arguments).current_dir(root()).status()?.success())
}

/// The black-box scenarios against that server, and the simulator's own tests; what is added is for the harness.
pub(crate) fn scenarios() -> anyhow::Result<Command> {
    let server = build_server()?;
    let mut command = cargo_server("test");
    command.args(["--lib", "--test", "scenarios", "--no-fail-fast", "--"]).env("ANSER", server);
    Ok(command)
}

/// The tests of all packages but the black-box scenarios and the simulator, whose own tests are run with them, where it is fast, and
/// the fuzz targets, which are no tests; always of all, as the server is built with what tests it.
pub(crate) fn cargo_test() -> Command {
    cargo(&["test", "--workspace", "--exclude", "anser-tests", "--exclude", "anser-sim", "--exclude", "anser-fuzz"])
}

/// A program of tests, of which target of which package.
#[derive(Debug)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    pub(crate) target: String,
    path: PathBuf,
    folder: PathBuf,
}

impl TestProgram {
    /// Those of some packages, built now if need be.
    pub(crate) fn of(packages: &[&str]) -> anyhow::Result<Vec<Self>> {
        let mut build = cargo_test();
        build.args(["--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
        let built = build.stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(built.status.success(), "the tests do not build");
        let said = String::from_utf8_lossy(&built.stdout);
        let mut programs: Vec<Self> = said.lines().filter_map(Self::of_message).collect();
        programs.retain(|program| packages.contains(&program.package.as_str()));
        Ok(programs)
    }

    /// What cargo says of one, if it does.
    fn of_message(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?.into();
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let package = folder.file_name()?.to_str()?.to_owned();
        Some(Self { package, target: message["target"]["name"].as_str()?.to_owned(), path, folder })
    }

    /// How cargo would run it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
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
