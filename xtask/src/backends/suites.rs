//! `cargo xtask backends test`: the adapters' suites against real servers, on stacks of their own.

use std::path::PathBuf;
use std::process::Command;

use anser_sandbox::{Brokers, Leave, REQUIRED, RedisShape, Shape, Stack, Up};
use anyhow::Context as _;

use super::{cache, down, tell};
use crate::tools::{self, TestProgram};

/// Those that have tests which want servers.
const PACKAGES: [&str; 4] = ["anser-sandbox", "anser-backend-kafka", "anser-backend-redis", "anser-backend-hbase"];

/// The stacks: what nearly all tests need, and what tests of failing over need.
const STACKS: [(&str, Shape); 2] = [
    ("one", Shape { kafka: Some(Brokers::One), redis: Some(RedisShape::Replica), hbase: true, for_speed: false }),
    ("three", Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Cluster), hbase: false, for_speed: false }),
];

/// The tests of the log against real brokers.
const KAFKA_TESTS: &str = "kafka";
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
    let programs = TestProgram::of(&PACKAGES)?;
    let missing = PACKAGES.iter().find(|package| !programs.iter().any(|program| program.package == **package));
    anyhow::ensure!(missing.is_none(), "there are no tests of {missing:?}");
    let kafka = programs.iter().find(|program| program.target == KAFKA_TESTS).context("there are no tests of kafka")?;
    let environment: Vec<_> = stacks.iter().flat_map(Stack::environment).collect();
    let mut all_well = true;
    let mut run = |what: &str, command: &mut Command, more: &[(&str, String)]| {
        println!("-- {what}");
        command.envs(environment.iter().cloned()).envs(more.iter().cloned()).env(REQUIRED, "required");
        all_well &= command.status()?.success();
        anyhow::Ok(())
    };
    for program in &programs {
        let what = format!("{}, {}", program.package, program.target);
        run(&what, program.command().args(["--skip", ACCIDENTS]), &[])?;
    }
    let three = environment.iter().find(|(name, _)| *name == KAFKA3).map(|(_, brokers)| (KAFKA, brokers.clone()));
    run("the suite of the log once more, on three brokers", kafka.command().arg("suite::"), three.as_slice())?;
    run("the accidents of Kafka, for which nothing else is to run", kafka.command().arg(ACCIDENTS), &[])?;
    Ok(all_well)
}
