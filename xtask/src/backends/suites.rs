//! `cargo xtask backends test`: the adapters' suites against real servers, on stacks of their own.

use std::path::PathBuf;
use std::process::Command;

use anser_sandbox::{Brokers, Leave, REQUIRED, RedisShape, Shape, Stack, Up};

use super::{cache, down, tell};
use crate::tools;

/// Those that have tests which want servers. Of the adapters, those that are in the workspace.
const PACKAGES: [&str; 4] = ["anser-sandbox", "anser-backend-kafka", "anser-backend-redis", "anser-backend-hbase"];

/// The stacks: what nearly all tests need, and what tests of failing over need.
const STACKS: [(&str, Shape); 2] = [
    ("one", Shape { kafka: Some(Brokers::One), redis: Some(RedisShape::Replica), hbase: true, for_speed: false }),
    ("three", Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Cluster), hbase: false, for_speed: false }),
];

/// Tests that kill or pause a broker of their own, for up to half a minute each.
const ACCIDENTS: &str = "accidents::";
/// Where tests look for Kafka, and where three brokers are.
const KAFKA: &str = "ANSER_TEST_KAFKA";
const KAFKA3: &str = "ANSER_TEST_KAFKA3";

/// Brings the stacks up, runs the suites, ends the stacks. After a failure their data and logs are left to be looked at.
pub(super) fn run() -> anyhow::Result<bool> {
    // Whatever a run left that was cut off, or that failed.
    end(Leave::Nothing)?;
    let passed = up().and_then(|stacks| test(&stacks));
    let all_well = matches!(passed, Ok(true));
    if !all_well {
        println!("what the servers said is in {}", tools::shown(&folder("*/*/log")));
    }
    end(if all_well { Leave::Nothing } else { Leave::Data })?;
    passed
}

/// Ends the stacks of the suites, whatever of them there is.
pub(super) fn end(leave: Leave) -> anyhow::Result<()> {
    STACKS.iter().try_for_each(|(name, _)| down(&folder(name), leave))
}

fn folder(name: &str) -> PathBuf {
    tools::target().join("ci/backends").join(name)
}

fn up() -> anyhow::Result<Vec<Stack>> {
    let up = |(name, shape): (&str, Shape)| {
        println!("-- the stack \"{name}\"");
        Up { folder: folder(name), jars: cache(), shape: Some(shape), base_port: None, tell }.run()
    };
    STACKS.into_iter().map(up).collect()
}

fn test(stacks: &[Stack]) -> anyhow::Result<bool> {
    let present = |package: &&&str| tools::root().join("crates").join(package).join("Cargo.toml").exists();
    let packages: Vec<&str> = PACKAGES.iter().filter(present).copied().collect();
    let environment: Vec<_> = stacks.iter().flat_map(Stack::environment).collect();
    let mut all_well = true;
    let mut run = |what: &str, command: &mut Command, more: &[(&str, String)]| {
        println!("-- {what}");
        command.envs(environment.iter().cloned()).envs(more.iter().cloned()).env(REQUIRED, "required");
        all_well &= command.status()?.success();
        anyhow::Ok(())
    };

    let mut suites = tools::cargo(&["test", "--no-fail-fast"]);
    suites.args(packages.iter().flat_map(|package| ["--package", package])).args(["--", "--skip", ACCIDENTS]);
    run(&format!("the suites of {}", packages.join(", ")), &mut suites, &[])?;

    let three = environment.iter().find(|(name, _)| *name == KAFKA3).map(|(_, brokers)| (KAFKA, brokers.clone()));
    let mut replicated = tools::cargo(&["test", "--package", "anser-backend-kafka", "--test", "kafka", "suite::"]);
    run("the suite of the log once more, on three brokers", &mut replicated, three.as_slice())?;

    let mut accidents = tools::cargo(&["test", "--package", "anser-backend-kafka", ACCIDENTS]);
    run("the accidents of Kafka, for which nothing else is to run", &mut accidents, &[])?;
    Ok(all_well)
}
