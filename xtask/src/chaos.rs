//! `cargo xtask chaos`: builds the server and the program that torments it, and runs that. What a run that was cut off left
//! is ended before the next one, and by `end`.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::process::Command;

use anser_sandbox::{Cluster, Leave, Stack};
use anyhow::Context as _;

use crate::{backends, sdk, tools};

/// Runs it; whether every promise was kept.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<bool> {
    if arguments.iter().any(|argument| matches!(*argument, "--help" | "-h")) {
        let ended = Command::new(program()?).arg("--help").status()?;
        return Ok(ended.success());
    }
    let _one_at_a_time = lock()?;
    let server = tools::build_server()?;
    let (scripts, packages) = sdk::installed()?;
    end(Leave::Nothing)?;
    if let Err(error) = std::fs::remove_dir_all(folder())
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove {}", tools::shown(&folder())));
    }
    let mut command = Command::new(program()?);
    command.arg("--folder").arg(folder()).arg("--jars").arg(backends::cache()).arg("--program").arg(server);
    command.arg("--sdk-scripts").arg(scripts).arg("--sdk-packages").arg(packages);
    let ended = command.args(arguments).status().context("cannot run anser-chaos")?;
    if !ended.success() {
        println!("what nodes and servers said is in {}", tools::shown(&folder()));
    }
    end(if ended.success() { Leave::Nothing } else { Leave::Data })?;
    Ok(ended.success())
}

/// Ends nodes and servers of a run, whatever of them there is.
pub(crate) fn end(leave: Leave) -> anyhow::Result<()> {
    if let Some(cluster) = Cluster::open(&folder().join("cluster"), |_| {})? {
        cluster.down(leave)?;
    }
    match Stack::open(&folder().join("stack"), |_| {})? {
        Some(stack) => stack.down(leave),
        None => Ok(()),
    }
}

/// The program that torments, which is built with the server.
fn program() -> anyhow::Result<PathBuf> {
    Ok(tools::build_server()?.with_file_name("anser-chaos"))
}

/// Held while something runs in the folder: whoever comes next would end it.
fn lock() -> anyhow::Result<File> {
    let path = tools::target().join("ci/chaos.lock");
    std::fs::create_dir_all(tools::target().join("ci"))?;
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!("chaos is running already in {}", tools::shown(&folder())),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock"),
    }
}

fn folder() -> PathBuf {
    tools::target().join("ci/chaos")
}
