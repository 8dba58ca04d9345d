//! `cargo xtask ci`: everything that must pass, part by part, with one summary at the end.

use std::process::Command;
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
}

const PARTS: [Part; 14] = [
    Part {
        name: "fmt",
        what: "the code is formatted",
        minutes_max: 2,
        command: || tools::cargo(&["fmt", "--all", "--check"]),
    },
    Part { name: "house", what: "the house rules", minutes_max: 2, command: || xtask(&["house"]) },
    Part { name: "clippy", what: "no lint speaks", minutes_max: 20, command: clippy },
    Part { name: "unit", what: "unit, integration and documentation tests", minutes_max: 25, command: unit },
    Part {
        name: BACKENDS,
        what: "the adapters on real Kafka, Redis and HBase",
        minutes_max: 15,
        command: || xtask(&["backends", "test"]),
    },
    Part { name: "build", what: "the server and the simulator build", minutes_max: 25, command: || xtask(&["build"]) },
    Part {
        name: "reference",
        what: "config/reference.toml is what the code says",
        minutes_max: 15,
        command: || xtask(&["reference"]),
    },
    Part {
        name: "black-box",
        what: "scenarios over real sockets, kill -9 among them",
        minutes_max: 12,
        command: || xtask(&["scenarios"]),
    },
    Part {
        name: CLUSTER,
        what: "scenarios on a cluster of six nodes on real backends, kill -9 of each among them",
        minutes_max: 12,
        command: || xtask(&["cluster", "test"]),
    },
    Part {
        name: CHAOS,
        what: "ten minutes of a cluster under load whose nodes and servers are killed, paused and cut off, with clocks off",
        minutes_max: 30,
        command: || xtask(&["chaos", "--minutes", "10", "--seed", "21"]),
    },
    Part {
        name: "sim",
        what: "2000 seeds of the simulator",
        minutes_max: 10,
        command: || xtask(&["sim", "--seeds", "2000"]),
    },
    Part {
        name: "several",
        what: "2000 seeds with several nodes",
        minutes_max: 10,
        command: || xtask(&["sim", "--several", "--seeds", "2000"]),
    },
    Part {
        name: "zoo",
        what: "each rule broken on purpose is found",
        minutes_max: 8,
        command: || xtask(&["sim", "--zoo"]),
    },
    Part { name: "sdk", what: "published SDKs against the server", minutes_max: 8, command: || xtask(&["sdk"]) },
];
/// Not in the list above because its time is chosen, not needed.
const FUZZ: Part = Part { name: "fuzz", what: "30 seconds of each fuzz target", minutes_max: 10, command: fuzz };

/// Prints the parts.
pub(crate) fn list() {
    for part in parts() {
        println!("{:10} {}", part.name, part.what);
    }
}

fn parts() -> impl Iterator<Item = &'static Part> {
    PARTS.iter().chain([&FUZZ])
}

/// Runs the named parts, or all. Goes on after a failure, so that one run tells everything.
pub(crate) fn run(names: &[&str]) -> anyhow::Result<bool> {
    if let Some(unknown) = names.iter().find(|name| !parts().any(|part| part.name == **name)) {
        anyhow::bail!("there is no part {unknown}; cargo xtask ci --list names them");
    }
    let logs = tools::target().join("ci");
    std::fs::create_dir_all(&logs)?;
    let mut total = Count::default();
    let mut lines = Vec::new();
    let is_asked_for = |part: &&Part| names.is_empty() || names.contains(&part.name);
    for part in parts().filter(is_asked_for) {
        let mut command = (part.command)();
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_PROGRESS_WHEN", "never");
        let count = part::run(part.name, command, Duration::from_secs(60 * part.minutes_max), &logs)?;
        // They do so themselves, unless they were cut off. Servers and nodes belong to no process group that could be ended
        // with them.
        match part.name {
            BACKENDS => backends::end_suites()?,
            CLUSTER => cluster::end_scenarios()?,
            CHAOS => chaos::end(anser_sandbox::Leave::Data)?,
            _ => {}
        }
        lines.push(format!("{:10} {:6} passed {:4} failed   {}", part.name, count.passed, count.failed, part.what));
        total = total.plus(count);
    }
    println!("\n{}\n", lines.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0)
}

/// This program again, as a part with a log of its own.
fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "xtask".into()));
    command.args(arguments).current_dir(tools::root());
    command
}

fn clippy() -> Command {
    tools::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
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
