//! The black-box scenarios. `cargo xtask scenarios`: on a server in one process. `cargo xtask cluster test`: those that make sense on
//! several nodes, each on a cluster of its own, on real backends.

use std::path::PathBuf;

use anser_sandbox::{Cluster, Leave, Shape, Stack, Up};

use super::tell;
use crate::{backends, tools};

/// What takes several nodes.
const OF_SEVERAL: [&str; 4] = ["operators::", "rebuild::", "refusals::", "while_hbase_is_away"];
/// What is not about one process and its data folder.
const SCENARIOS: [&str; 8] = [
    "crash::",
    "groups::",
    "one_way_in::",
    "operators::",
    "rebuild::",
    "refusals::",
    "an_orderly_stop_tells_clients",
    "told_why_a_second_terminal_of_one_kind",
];

/// Runs them on a server in one process, but for those that take several nodes.
pub(crate) fn alone(names: &[&str]) -> anyhow::Result<bool> {
    let mut command = tools::scenarios()?;
    command.args(names).args(OF_SEVERAL.iter().flat_map(|scenarios| ["--skip", scenarios]));
    Ok(command.status()?.success())
}

/// Brings backends up, runs the scenarios, ends everything. After a failure data and logs are left to be looked at.
pub(super) fn run(names: &[String]) -> anyhow::Result<bool> {
    end(Leave::Nothing)?;
    let stack = Up {
        folder: folder().join("stack"),
        jars: backends::cache(),
        shape: Some(Shape::default()),
        base_port: None,
        tell,
    };
    let passed = stack.run().and_then(|stack| test(&stack, names));
    let all_well = matches!(passed, Ok(true));
    if !all_well {
        println!("what nodes and servers said is in {}", tools::shown(&folder()));
    }
    end(if all_well { Leave::Nothing } else { Leave::Data })?;
    passed
}

/// Ends nodes and servers, whatever of them there is.
pub(super) fn end(leave: Leave) -> anyhow::Result<()> {
    let clusters = folder().join("clusters");
    // There is none before the first run.
    for entry in clusters.read_dir().into_iter().flatten() {
        if let Some(cluster) = Cluster::open(&entry?.path(), tell)? {
            cluster.down(leave)?;
        }
    }
    if leave == Leave::Nothing {
        std::fs::remove_dir_all(clusters).ok();
    }
    match Stack::open(&folder().join("stack"), tell)? {
        Some(stack) => stack.down(leave),
        None => Ok(()),
    }
}

fn folder() -> PathBuf {
    tools::target().join("ci/cluster")
}

fn test(stack: &Stack, names: &[String]) -> anyhow::Result<bool> {
    let mut command = tools::scenarios()?;
    // One after the other: a cluster takes a machine.
    command.arg("--test-threads=1");
    if names.is_empty() {
        command.args(SCENARIOS);
    } else {
        command.args(names);
    }
    Ok(command.env("ANSER_TESTS_STACK", stack.folder()).status()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_there() {
        let sources = tools::root().join("tests/scenarios");
        let text = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let all: String = sources.read_dir().unwrap().map(text).collect();
        for name in SCENARIOS.into_iter().chain(OF_SEVERAL) {
            let is_there = match name.strip_suffix("::") {
                Some(module) => sources.join(format!("{module}.rs")).exists(),
                None => all.lines().any(|line| line.contains("fn ") && line.contains(name)),
            };
            assert!(is_there, "no scenario is called {name}");
        }
    }
}
