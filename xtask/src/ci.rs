//! `cargo xtask ci`: everything that must pass, part by part, with one summary at the end.
//!
//! Parts come one after the other. Those that only compute, and take no notice of what time it is, run [`beside`](Part::beside)
//! those that mostly wait, for servers and leases.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::part::{self, Count};
use crate::{backends, chaos, cluster, tools};

const BACKENDS: &str = "backends";
const CLUSTER: &str = "cluster";
const CHAOS: &str = "chaos";

/// A part of the whole.
struct Part {
    name: &'static str,
    what: &'static str,
    minutes_max: u64,
    command: fn() -> Command,
    /// Whether it takes what the others of its stage leave of the machine, while they run.
    beside: bool,
}

impl Part {
    /// One that has the machine for itself, unless there is another beside it.
    const fn new(name: &'static str, what: &'static str, minutes_max: u64, command: fn() -> Command) -> Self {
        Self { name, what, minutes_max, command, beside: false }
    }

    const fn beside(self) -> Self {
        Self { beside: true, ..self }
    }

    fn run(&self, logs: &Path) -> anyhow::Result<Count> {
        let mut command = (self.command)();
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_PROGRESS_WHEN", "never");
        if self.beside {
            command = tools::in_the_background(&command);
        }
        let count = part::run(self.name, command, Duration::from_secs(60 * self.minutes_max), logs)?;
        // They do so themselves, unless they were cut off. Servers and nodes belong to no process group that could be ended
        // with them.
        match self.name {
            BACKENDS => backends::end_suites()?,
            CLUSTER => cluster::end_scenarios()?,
            CHAOS => chaos::end(anser_sandbox::Leave::Data)?,
            _ => {}
        }
        Ok(count)
    }
}

/// The parts, in stages: one begins when all of the one before have ended.
const STAGES: [&[Part]; 3] = [
    &[
        Part::new("fmt", "the code is formatted", 2, || tools::cargo(&["fmt", "--all", "--check"])),
        Part::new("house", "the house rules", 2, || xtask(&["house"])),
        Part::new("clippy", "no lint speaks", 20, clippy),
        Part::new("unit", "unit, integration and documentation tests", 25, unit),
        Part::new("build", "the server and the simulator build", 40, || xtask(&["build"])).beside(),
    ],
    &[
        Part::new("reference", "config/reference.toml is what the code says", 15, || xtask(&["reference"])),
        Part::new("sim", "2000 seeds of the simulator", 25, || xtask(&["sim", "--seeds", "2000"])).beside(),
        Part::new("several", "2000 seeds with several nodes", 25, || xtask(&["sim", "--several", "--seeds", "2000"]))
            .beside(),
        Part::new("zoo", "each rule broken on purpose is found", 25, || xtask(&["sim", "--zoo"])).beside(),
        Part::new("black-box", "scenarios over real sockets, kill -9 among them", 12, || xtask(&["scenarios"])),
        Part::new("sdk", "published SDKs against the server", 8, || xtask(&["sdk"])),
        Part::new(BACKENDS, "the adapters on real Kafka, Redis and HBase", 15, || xtask(&["backends", "test"])),
        Part::new(
            CLUSTER,
            "scenarios on a cluster of six nodes on real backends, kill -9 of each among them",
            15,
            || xtask(&["cluster", "test"]),
        ),
    ],
    &[
        Part::new("fuzz", "30 seconds of each fuzz target", 30, fuzz).beside(),
        Part::new(
            CHAOS,
            "ten minutes of a cluster under load whose nodes and servers are killed, paused and cut off, with clocks off",
            30,
            || xtask(&["chaos", "--minutes", "10", "--each", "--seed", "21"]),
        ),
    ],
];

fn parts() -> impl Iterator<Item = &'static Part> {
    STAGES.into_iter().flatten()
}

/// Prints the parts.
pub(crate) fn list() {
    for part in parts() {
        println!("{:10} {}", part.name, part.what);
    }
}

/// Runs the named parts, or all. Goes on after a failure, so that one run tells everything.
pub(crate) fn run(names: &[&str]) -> anyhow::Result<bool> {
    if let Some(unknown) = names.iter().find(|name| !parts().any(|part| part.name == **name)) {
        anyhow::bail!("there is no part {unknown}; cargo xtask ci --list names them");
    }
    let logs = tools::target().join("ci");
    std::fs::create_dir_all(&logs)?;
    let is_asked_for = |part: &&Part| names.is_empty() || names.contains(&part.name);
    let mut counts = Vec::new();
    for stage in STAGES {
        let stage: Vec<&Part> = stage.iter().filter(is_asked_for).collect();
        counts.extend(run_stage(&stage, &logs)?);
    }
    println!();
    for (part, count) in &counts {
        println!("{:10} {:6} passed {:4} failed   {}", part.name, count.passed, count.failed, part.what);
    }
    let total = counts.iter().fold(Count::default(), |total, (_, count)| total.plus(*count));
    println!("\n{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0)
}

/// Runs parts one after the other, and beside them, also one after the other, those that take what these leave of the machine.
fn run_stage<'a>(stage: &[&'a Part], logs: &Path) -> anyhow::Result<Vec<(&'a Part, Count)>> {
    let run_all = |parts: Vec<&'a Part>| -> anyhow::Result<Vec<(&'a Part, Count)>> {
        parts.into_iter().map(|part| Ok((part, part.run(logs)?))).collect()
    };
    let (beside, others): (Vec<&Part>, Vec<&Part>) = stage.iter().partition(|part| part.beside);
    thread::scope(|scope| {
        let beside = scope.spawn(|| run_all(beside));
        let mut counts = run_all(others)?;
        counts.extend(beside.join().map_err(|_| anyhow::anyhow!("what ran beside other parts has panicked"))??);
        Ok(counts)
    })
}

/// This program again, as a part with a log of its own.
fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "xtask".into()));
    command.args(arguments).current_dir(tools::root());
    command
}

fn clippy() -> Command {
    let all = ["clippy", "--workspace", "--exclude", "anser-fuzz", "--all-targets", "--quiet"];
    let mut command = tools::cargo(&all);
    command.args(["--", "--deny", "warnings"]);
    command
}

fn unit() -> Command {
    let mut command = tools::cargo_test();
    command.arg("--no-fail-fast");
    command
}

fn fuzz() -> Command {
    let mut command = Command::new("bash");
    command.args(["fuzz/run.sh", "30"]).current_dir(tools::root());
    command
}
