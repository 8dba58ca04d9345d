//! A run over several processes: each has its own limit of open files.
//!
//! The parts of a run are the same command with `--part I/N`; each writes its report as one line of JSON to its standard
//! output, and the first process puts them together.

use std::ops::Range;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::args::{LoadArgs, Scenario};
use crate::commission::new_run_name;
use crate::plot;
use crate::process::open_files_max;
use crate::recorder::new_histogram;
use crate::report::{Quantiles, Raw, Report, add_pairs, to_pairs};
use crate::scenario;

/// Connections of one process.
const CONNECTIONS_MAX: usize = 18_000;
/// Files that a process needs beside its connections.
const OTHER_FILES: usize = 200;

/// Which part of a run this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

impl Part {
    pub(crate) const WHOLE: Self = Self { index: 0, of: 1 };

    /// Which of `total` things fall to this part.
    pub(crate) const fn share(self, total: usize) -> Range<usize> {
        total * self.index / self.of..total * (self.index + 1) / self.of
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let (index, of) = text.split_once('/').context("a part is written I/N")?;
        let part = Self { index: index.parse()?, of: of.parse()? };
        ensure!(part.index < part.of, "part {text} does not exist");
        Ok(part)
    }
}

pub(crate) fn run(args: LoadArgs) -> anyhow::Result<Report> {
    let scenario = args.scenario;
    let common = scenario.common();
    if let Some(part) = &common.part {
        let report = run_part(&scenario, Part::parse(part)?)?;
        println!("{}", serde_json::to_string(&report)?);
        return Ok(report);
    }
    let processes = processes(&scenario)?;
    let mut report = if processes == 1 { run_part(&scenario, Part::WHOLE)? } else { run_parts(&scenario, processes)? };
    report.raw = None;
    if let Some(file) = &common.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("failed to write {}", file.display()))?;
    }
    if let Some(file) = &common.plot {
        std::fs::write(file, plot::draw(&report)).with_context(|| format!("failed to write {}", file.display()))?;
    }
    print!("{}", report.summary());
    Ok(report)
}

/// How many processes a run takes.
fn processes(scenario: &Scenario) -> anyhow::Result<usize> {
    if let Some(processes) = scenario.common().processes {
        ensure!(processes > 0, "--processes must be at least 1");
        return Ok(processes);
    }
    let connections = match scenario {
        Scenario::Idle(args) => args.connections,
        Scenario::Private(args) => args.pairs * 2,
        // The members of a group are counted together, so they are in one process.
        Scenario::Group(_) => return Ok(1),
        Scenario::Drain(args) => args.users,
        Scenario::SignIn(args) => args.workers,
    };
    let each =
        open_files_max().map_or(CONNECTIONS_MAX, |files| files.saturating_sub(OTHER_FILES)).clamp(1, CONNECTIONS_MAX);
    Ok(connections.div_ceil(each).max(1))
}

fn run_part(scenario: &Scenario, part: Part) -> anyhow::Result<Report> {
    let threads = scenario.common().threads.max(1);
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.worker_threads(threads).enable_all().build()?;
    runtime.block_on(scenario::run(scenario, part))
}

/// Starts the parts as processes of their own, and puts their reports together.
fn run_parts(scenario: &Scenario, processes: usize) -> anyhow::Result<Report> {
    let common = scenario.common();
    let run_name = match &common.run_name {
        Some(name) => name.clone(),
        None => new_run_name()?,
    };
    let program = std::env::current_exe().context("the tool does not find itself")?;
    let mut children = Parts(Vec::with_capacity(processes));
    for index in 0..processes {
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(1)).args(["--part", &format!("{index}/{processes}")]);
        if common.run_name.is_none() {
            command.args(["--run-name", &run_name]);
        }
        if index > 0 && !common.quiet {
            command.arg("--quiet");
        }
        command.env("ANSER_APP_KEY", &common.app_key).env("ANSER_APP_SECRET", &common.app_secret);
        children.0.push(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("a part does not start")?);
    }
    let mut reports = Vec::with_capacity(processes);
    while let Some(child) = children.0.pop() {
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(line) = text.lines().rev().find(|line| line.starts_with('{')) else {
            bail!("a part ended without a result ({})", output.status);
        };
        reports.push(serde_json::from_str(line).context("the result of a part cannot be read")?);
    }
    Ok(merge(reports))
}

/// Processes that end with this one.
struct Parts(Vec<Child>);

impl Drop for Parts {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A part that has ended already needs no more.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// One report out of those of all parts.
fn merge(reports: Vec<Report>) -> Report {
    let mut whole = Report::default();
    let [mut ack, mut delivery, mut last] = [new_histogram(), new_histogram(), new_histogram()];
    for report in reports {
        whole.scenario.clone_from(&report.scenario);
        whole.transport.clone_from(&report.transport);
        whole.seconds = whole.seconds.max(report.seconds);
        whole.connections += report.connections;
        whole.sent += report.sent;
        whole.acked += report.acked;
        whole.delivered += report.delivered;
        whole.refused += report.refused;
        whole.dropped_connections += report.dropped_connections;
        whole.acked_per_second += report.acked_per_second;
        whole.delivered_per_second += report.delivered_per_second;
        whole.sign_ins_per_second = match (whole.sign_ins_per_second, report.sign_ins_per_second) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        whole.lost += report.lost;
        whole.twice += report.twice;
        whole.disordered += report.disordered;
        whole.client.cpu_seconds += report.client.cpu_seconds;
        let cpu = whole.server.cpu_seconds.unwrap_or(0.0).max(report.server.cpu_seconds.unwrap_or(0.0));
        let each = whole.server.rss_bytes_per_connection;
        whole.server = report.server;
        whole.server.cpu_seconds = report.server.cpu_seconds.map(|_| cpu);
        whole.server.rss_bytes_per_connection =
            each.into_iter().chain(report.server.rss_bytes_per_connection).reduce(f64::max);
        for (place, second) in report.timeline.into_iter().enumerate() {
            match whole.timeline.get_mut(place) {
                Some(sum) => sum.add(&second),
                None => whole.timeline.push(second),
            }
        }
        if let Some(raw) = report.raw {
            add_pairs(&mut ack, &raw.ack);
            add_pairs(&mut delivery, &raw.delivery);
            add_pairs(&mut last, &raw.last);
        }
    }
    whole.ack_ms = Quantiles::of(&ack);
    whole.delivery_ms = Quantiles::of(&delivery);
    whole.last_delivery_ms = (!last.is_empty()).then(|| Quantiles::of(&last));
    whole.raw = Some(Raw { ack: to_pairs(&ack), delivery: to_pairs(&delivery), last: to_pairs(&last) });
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_everything_and_nothing_twice() {
        for (total, of) in [(10, 3), (2, 5), (0, 2), (18_001, 2)] {
            let shares = (0..of).map(|index| Part { index, of }.share(total));
            assert_eq!(shares.flatten().collect::<Vec<_>>(), (0..total).collect::<Vec<_>>());
        }
        assert!(Part::parse("2/2").is_err());
        assert_eq!(Part::parse("1/2").unwrap(), Part { index: 1, of: 2 });
    }

    #[test]
    fn the_whole_has_the_quantiles_of_all_parts() {
        let part = |value: u64, lost| {
            let mut histogram = new_histogram();
            histogram.record_n(value, 10).unwrap();
            let raw = Raw { ack: to_pairs(&histogram), ..Raw::default() };
            Report { lost, acked: 10, raw: Some(raw), ..Report::default() }
        };
        let whole = merge(vec![part(1_000, 0), part(9_000, 1)]);
        assert_eq!((whole.acked, whole.lost, whole.ack_ms.count), (20, 1, 20));
        assert!((whole.ack_ms.p50 - 1.0).abs() < 0.01 && (whole.ack_ms.max - 9.0).abs() < 0.01);
        assert!(!whole.is_good());
    }
}
