//! One command of the check: bounded in time, its words in a log, its last words in the error.

#![expect(clippy::disallowed_methods, reason = "chores run on the real clock, there is none to replace")]

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_secs(30);
const LINES_OF_A_FAILURE: usize = 25;

/// Runs commands, and tells how it goes with the time that has passed.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    begun: Instant,
    logs: PathBuf,
}

impl Steps {
    /// Begins with no logs of an earlier run.
    pub(super) fn begin(logs: &Path) -> anyhow::Result<Self> {
        std::fs::remove_dir_all(logs).ok();
        std::fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { begun: Instant::now(), logs: logs.to_owned() })
    }

    /// Seconds since the beginning.
    pub(super) fn passed(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    pub(super) fn tell(&self, text: &str) {
        println!("[{:4} s] {text}", self.passed());
    }

    /// A log to append to.
    pub(super) fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.log_path(name);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn log_path(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Runs a command that must do well.
    pub(super) fn run(&self, name: &str, command: &mut Command, limit: Duration) -> anyhow::Result<()> {
        let (status, said) = self.outcome(name, command, limit)?;
        anyhow::ensure!(status.success(), "{name} failed with {status}:\n{}", last_lines(&said));
        Ok(())
    }

    /// Runs a command, and returns how it ended and what it said.
    pub(super) fn outcome(
        &self,
        name: &str,
        command: &mut Command,
        limit: Duration,
    ) -> anyhow::Result<(ExitStatus, String)> {
        self.outcome_with_input(name, command.stdin(Stdio::null()), limit)
    }

    /// The same for a command that was given something to read.
    pub(super) fn outcome_with_input(
        &self,
        name: &str,
        command: &mut Command,
        limit: Duration,
    ) -> anyhow::Result<(ExitStatus, String)> {
        let log = self.log(name)?;
        let from = log.metadata()?.len();
        let program = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdout(log.try_clone()?).stderr(log).spawn();
        let mut child = spawned.with_context(|| format!("cannot run {program}"))?;
        let status = self.wait(name, &mut child, limit)?;
        let bytes = std::fs::read(self.log_path(name))?;
        let said = bytes.get(usize::try_from(from)?..).unwrap_or_default();
        Ok((status, String::from_utf8_lossy(said).into_owned()))
    }

    /// Waits for a process, and ends it if it takes too long.
    pub(super) fn wait(&self, name: &str, child: &mut Child, limit: Duration) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        let mut told = begun;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                bail!(
                    "{name} took longer than {} s and was ended; its log is {}",
                    limit.as_secs(),
                    self.log_path(name).display()
                );
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                self.tell(&format!("… {name}, for {} s", begun.elapsed().as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Looks until there is something.
    pub(super) fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if begun.elapsed() > limit {
                bail!("waited {} s in vain until {what}", limit.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets some time pass.
    pub(super) fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Waits until it is worth while to look again.
pub(super) fn breathe() {
    std::thread::sleep(LOOK_EVERY);
}

/// What a command said at its end.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES_OF_A_FAILURE));
    last.map(|line| format!("    {}\n", line.chars().take(300).collect::<String>())).collect()
}
