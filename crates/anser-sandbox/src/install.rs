//! Getting hold of the programs: Java, Maven and Redis come by the system's packages, jars by Maven.

mod apt;
pub(crate) mod jars;
pub(crate) mod java;
pub(crate) mod redis;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of the jars that servers of a stack run on, for whoever runs them in another way.
#[derive(Debug, Clone)]
pub struct Jars {
    /// A Kafka broker's.
    pub kafka: PathBuf,
    /// Those of HBase and its Thrift gateway.
    pub hbase: PathBuf,
}

impl Jars {
    /// Sees to it that they are there, under `cache`; fetches them by Maven if they are not.
    pub fn fetch(cache: &Path, tell: fn(&str)) -> anyhow::Result<Self> {
        Ok(Self { kafka: jars::KAFKA.fetch(cache, tell)?, hbase: jars::HBASE.fetch(cache, tell)? })
    }
}

/// A program of the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a command; what it said, if it failed.
fn run(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(log)?;
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(std::process::Stdio::null()).stdout(file.try_clone()?).stderr(file).status();
    let status = ran.map_err(|error| anyhow::anyhow!("cannot run {name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n    ");
    anyhow::bail!("{name} failed with {status}:\n    {last}")
}
