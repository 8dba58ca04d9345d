//! One part of the whole test: a command, its log file, and what its output says about passed and failed.

#![expect(clippy::disallowed_methods, reason = "chores run on the real clock, there is none to replace")]

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context as _;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_secs(30);
const LINES_OF_A_FAILURE: usize = 60;
/// How many panics are told of, and how many lines of each, beginning with that which says where.
const PANICS_TOLD: usize = 10;
const LINES_OF_A_PANIC: usize = 6;

/// How many passed and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// Runs a command with its output in a file, tells of it while it runs, and counts. A command that takes longer than the
/// limit is ended with all that it started, and counts as failed.
pub(crate) fn run(name: &str, mut command: Command, limit: Duration, logs: &Path) -> anyhow::Result<Count> {
    let path = logs.join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    println!("== {name}");
    let started = Instant::now();
    let spawned =
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn();
    let child = spawned.with_context(|| format!("cannot start {name}"))?;
    let status = wait(name, child, limit, &path)?;
    let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    let count = judge(&text, status.is_some_and(|status| status.success()));
    println!("   {name}: {} passed, {} failed ({} s)", count.passed, count.failed, started.elapsed().as_secs());
    if count.failed > 0 {
        tell_failure(&path, &text, status);
    }
    Ok(count)
}

fn wait(name: &str, mut child: Child, limit: Duration, log: &Path) -> anyhow::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut told = started;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            println!("   {name} takes longer than {} s and is ended", limit.as_secs());
            end_group(&child);
            child.wait()?;
            return Ok(None);
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            println!("   … {name} {} s  {}", started.elapsed().as_secs(), last_line(log));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends a command and what it started: it was made the head of a process group of its own.
fn end_group(child: &Child) {
    let group = format!("-{}", child.id());
    if let Err(error) = Command::new("kill").args(["-KILL", "--", &group]).status() {
        println!("   cannot end process group {group}: {error}");
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let line = text.split(['\n', '\r']).rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().take(100).collect()
}

fn tell_failure(path: &Path, text: &str, status: Option<ExitStatus>) {
    let lines: Vec<&str> = text.lines().collect();
    for panic in panics(&lines) {
        panic.iter().for_each(|line| println!("   {line}"));
    }
    println!(
        "   --- the end of {} ({}) ---",
        path.display(),
        status.map_or_else(|| "ended".to_owned(), |s| s.to_string())
    );
    for line in lines.iter().skip(lines.len().saturating_sub(LINES_OF_A_FAILURE)) {
        println!("   {line}");
    }
}

/// What tests said when they failed. It is far from the end where they also tell what servers have said.
fn panics<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = &'a [&'a str]> {
    let begins = |(at, line): (usize, &&str)| line.contains(" panicked at ").then_some(at);
    let starts = lines.iter().enumerate().filter_map(begins).take(PANICS_TOLD);
    starts.map(|at| lines.get(at..lines.len().min(at + LINES_OF_A_PANIC)).unwrap_or_default())
}

/// Counts what an output says. A command that failed without saying what counts as one failure, and one that says nothing
/// and did well as one pass.
fn judge(text: &str, success: bool) -> Count {
    let count = text.lines().filter_map(summary).fold(Count::default(), Count::plus);
    match (count, success) {
        (Count { passed: 0, failed: 0 }, true) => Count { passed: 1, failed: 0 },
        (Count { passed, failed: 0 }, false) => Count { passed, failed: 1 },
        (count, _) => count,
    }
}

/// Reads `test result: ok. 3 passed; 1 failed; …` and `3 passed, 1 failed`.
fn summary(line: &str) -> Option<Count> {
    let line = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map_or(line, |(_, rest)| rest);
    let (passed, rest) = line.split_once(" passed")?;
    let failed = rest.strip_prefix("; ").or_else(|| rest.strip_prefix(", "))?.split_once(" failed")?.0;
    Some(Count { passed: passed.trim().parse().ok()?, failed: failed.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_and_our_own_suites_say_is_added_up() {
        let text = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n\
                    test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured\n\
                    12 passed, 2 failed\n40 passed, 0 failed, 3 skipped\nwe passed, nobody failed\n";
        assert_eq!(judge(text, false), Count { passed: 57, failed: 3 });
    }

    #[test]
    fn a_command_without_a_summary_counts_by_its_exit_code() {
        assert_eq!(judge("", true), Count { passed: 1, failed: 0 });
        assert_eq!(judge("error: no", false), Count { passed: 0, failed: 1 });
        assert_eq!(judge("5 passed, 0 failed", false), Count { passed: 5, failed: 1 });
    }

    #[test]
    fn what_a_test_said_when_it_failed_is_told_wherever_it_is() {
        let text = "running\nthread 'a' panicked at a.rs:1:2:\nleft: 1\nright: 2\n\nlog 1\nlog 2\nlog 3\nlog 4";
        let lines: Vec<&str> = text.lines().collect();
        let told: Vec<&[&str]> = panics(&lines).collect();
        assert_eq!(told, [&["thread 'a' panicked at a.rs:1:2:", "left: 1", "right: 2", "", "log 1", "log 2"]]);
        assert_eq!(panics(&["all is well"]).count(), 0);
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_counts_as_failed() {
        let logs = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo begun; wait"]);
        let count = run("hangs", command, Duration::from_millis(300), logs.path()).unwrap();
        assert_eq!(count, Count { passed: 0, failed: 1 });
    }
}
