//! What is done with the cluster through its published ports: load with a checker, and two users who talk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::project::Project;
use super::step::{Steps, last_lines};

/// What is left to do when the load has been sent: what is not acked or delivered yet is waited for.
const SETTLE: Duration = Duration::from_secs(90);
const CHAT_LIMIT: Duration = Duration::from_secs(60);

/// The clients of a project.
#[derive(Debug)]
pub(super) struct Clients<'a> {
    pub(super) project: &'a Project<'a>,
    pub(super) server: &'a Path,
    pub(super) folder: &'a Path,
}

/// A load that is under way.
#[derive(Debug)]
pub(super) struct Load {
    child: Child,
    seconds: u64,
    result: PathBuf,
}

/// What the checker found.
#[derive(Debug)]
pub(super) struct Found {
    sent: u64,
    acked: u64,
    refused: u64,
    lost: u64,
    twice: u64,
    disordered: u64,
    dropped_connections: u64,
    ack_p50_ms: f64,
    ack_p99_ms: f64,
    /// The most seconds in a row in which nothing was acked.
    pub(super) longest_silence: usize,
}

impl Clients<'_> {
    /// Begins to send. `more` are further arguments.
    pub(super) fn send(&self, navi: &str, seconds: u64, more: &[&str], steps: &Steps) -> anyhow::Result<Load> {
        let result = self.folder.join("load.json");
        std::fs::remove_file(&result).ok();
        let mut command = self.command();
        command.args(["load", "private", "--http", navi, "--seconds", &seconds.to_string()]);
        command.args(["--drain-time", &SETTLE.as_secs().to_string(), "--json"]).arg(&result).args(more);
        let log = steps.log("load")?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Load { child: command.spawn().context("cannot run nsenter")?, seconds, result })
    }

    /// Sends for some seconds, and judges.
    pub(super) fn check(&self, navi: &str, seconds: u64, more: &[&str], steps: &Steps) -> anyhow::Result<Found> {
        self.send(navi, seconds, more, steps)?.judge(steps)
    }

    /// Sends a line from one user to another.
    pub(super) fn say(&self, line: &str, steps: &Steps) -> anyhow::Result<()> {
        let said = self.chat("127.0.0.1:8080", "alice", "bob", line, steps)?;
        ensure!(said.contains('✓') && said.contains(line), "the line was not acked:\n{said}");
        Ok(())
    }

    /// What the other user sees in the history of the two, asked elsewhere.
    pub(super) fn history(&self, steps: &Steps) -> anyhow::Result<String> {
        self.chat("127.0.0.1:8090", "bob", "alice", "/history", steps)
    }

    fn chat(&self, navi: &str, user: &str, to: &str, line: &str, steps: &Steps) -> anyhow::Result<String> {
        let typed = self.folder.join("typed");
        std::fs::write(&typed, format!("{line}\n/quit\n"))?;
        let mut command = self.command();
        command.args(["chat", "--user", user, "--to", to, "--http", navi]).stdin(std::fs::File::open(&typed)?);
        let (status, said) = steps.outcome_with_input("chat", &mut command, CHAT_LIMIT)?;
        ensure!(status.success(), "the chat of {user} failed:\n{}", last_lines(&said));
        Ok(said)
    }

    fn command(&self) -> Command {
        let mut command = self.project.engine.in_network(self.server);
        for name in ["ANSER_APP_KEY", "ANSER_APP_SECRET"] {
            command.env(name, self.project.variable(name));
        }
        command
    }
}

impl Drop for Load {
    /// After a failure nobody waits for it any more.
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Load {
    /// Whether it still sends.
    pub(super) fn is_sending(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for the end, and fails if a promise was broken.
    pub(super) fn judge(mut self, steps: &Steps) -> anyhow::Result<Found> {
        let limit = Duration::from_secs(self.seconds) + 2 * SETTLE;
        let status = steps.wait("load", &mut self.child, limit)?;
        let text = std::fs::read_to_string(&self.result).unwrap_or_default();
        let log = std::fs::read_to_string(steps.log_path("load")).unwrap_or_default();
        let found = Found::read(&text).with_context(|| format!("no result ({status}):\n{}", last_lines(&log)))?;
        let kept = found.lost == 0 && found.twice == 0 && found.disordered == 0;
        ensure!(kept && status.success(), "a promise was broken ({status}): {found}");
        ensure!(found.acked > 0 && found.acked + found.refused >= found.sent, "not all was settled: {found}");
        Ok(found)
    }
}

impl Found {
    fn read(text: &str) -> Option<Self> {
        let report: serde_json::Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| report.get(name)?.as_u64();
        let time = |name: &str| report.get("ack_ms")?.get(name)?.as_f64();
        let seconds = report.get("timeline")?.as_array()?;
        let acked = seconds.iter().map(|second| second.get("acked").and_then(serde_json::Value::as_u64).unwrap_or(0));
        Some(Self {
            sent: number("sent")?,
            acked: number("acked")?,
            refused: number("refused")?,
            lost: number("lost")?,
            twice: number("twice")?,
            disordered: number("disordered")?,
            dropped_connections: number("dropped_connections")?,
            ack_p50_ms: time("p50")?,
            ack_p99_ms: time("p99")?,
            longest_silence: longest_silence(acked),
        })
    }
}

fn longest_silence(acked: impl Iterator<Item = u64>) -> usize {
    let (longest, _) = acked.fold((0, 0), |(longest, run): (usize, usize), acked| {
        let run = if acked == 0 { run + 1 } else { 0 };
        (longest.max(run), run)
    });
    longest
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acked, refused, lost, twice, disordered, dropped_connections, .. } = self;
        let Self { ack_p50_ms, ack_p99_ms, longest_silence, .. } = self;
        write!(
            f,
            "{sent} sent, {acked} acked, {refused} refused, {lost} lost, {twice} twice, {disordered} disordered, "
        )?;
        write!(f, "{dropped_connections} connections lost, ack p50 {ack_p50_ms:.0} ms, p99 {ack_p99_ms:.0} ms, ")?;
        write!(f, "longest time without any ack {longest_silence} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_is_that_of_seconds_in_a_row() {
        assert_eq!(longest_silence([5, 0, 0, 3, 0, 0, 0, 1, 0].into_iter()), 3);
        assert_eq!(longest_silence([].into_iter()), 0);
    }

    #[test]
    fn the_result_of_a_load_is_read() {
        let text = r#"{"sent":3,"acked":2,"refused":1,"lost":0,"twice":0,"disordered":0,"dropped_connections":4,
            "ack_ms":{"p50":1.5,"p90":2.0,"p99":9.0,"p999":9.0,"max":9.0,"count":2},"timeline":[{"acked":0},{"acked":2}]}"#;
        let found = Found::read(text).unwrap();
        assert_eq!((found.acked, found.dropped_connections, found.longest_silence), (2, 4, 1));
        assert!(Found::read("{}").is_none());
    }
}
