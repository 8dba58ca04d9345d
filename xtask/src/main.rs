//! The project's chores: `cargo xtask COMMAND`. Knows the house, nothing of messages.

mod backends;
mod chaos;
mod ci;
mod cluster;
mod compose;
mod house;
mod part;
mod reference;
mod restart;
mod sdk;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci [PART …]            everything that must pass, with one summary at the end; `ci --list` names the parts
  build                  the server, what tests it, and the simulator, as tests run them
  scenarios [NAME …]     the black-box scenarios on a server in one process; those with these names, if any are given
  house                  the house rules: layers, lints, documentation, lengths, links
  reference [--write]    is config/reference.toml what the code says? --write makes it so
  sim [ARGUMENT …]       the simulator: --seeds N [--from S], --seed S --trace, --several, --zoo, --break RULE; `sim --help` tells more
  sdk                    published SDKs against a server of this checkout
  backends COMMAND       real Kafka, Redis and HBase on this machine; `backends help` tells more
  cluster COMMAND        a cluster of nodes on such backends; `cluster help` tells more
  compose-check          docker-compose.yml on a Docker engine of its own; `compose-check help` tells more
  chaos [ARGUMENT …]     a cluster under load while nodes and servers are killed, paused and cut off: --minutes M, --seed S,
                         --brokers, --redis, --only; `chaos --help` tells more
  bench-restart [N]      how long a restart takes with N messages stored (1,000,000 if not given)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does one chore; whether it found everything good.
fn run(words: &[&str]) -> anyhow::Result<bool> {
    match words {
        ["ci", "--list"] => {
            ci::list();
            Ok(true)
        }
        ["ci", parts @ ..] => ci::run(parts),
        ["build"] => tools::build(),
        ["scenarios", names @ ..] => cluster::scenarios_alone(names),
        ["house"] => house::run(),
        ["reference"] => reference::check(),
        ["reference", "--write"] => reference::write(),
        ["sim", arguments @ ..] => tools::simulate(arguments),
        ["sdk"] => sdk::run(),
        ["backends", words @ ..] => backends::run(words),
        ["cluster", words @ ..] => cluster::run(words),
        ["compose-check", words @ ..] => compose::run(words),
        ["chaos", arguments @ ..] => chaos::run(arguments),
        ["bench-restart"] => restart::run(1_000_000),
        ["bench-restart", messages] => restart::run(messages.replace(',', "").parse()?),
        _ => {
            eprintln!("{USAGE}");
            Ok(false)
        }
    }
}
