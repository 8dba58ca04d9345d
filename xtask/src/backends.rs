//! `cargo xtask backends`: real Kafka, Redis and HBase on this machine. A command line over `anser-sandbox`.

pub(crate) mod arguments;
mod suites;

use std::path::{Path, PathBuf};

use anser_sandbox::{Leave, ServiceStatus, Stack, State, Up};
use anyhow::Context as _;

use self::arguments::{Arguments, Command};
use crate::tools;

const USAGE: &str = "\
usage: cargo xtask backends COMMAND [OPTION …]

  up                     installs what is missing, starts what is down, waits until all of it answers
  down [--keep]          ends all of it and removes its data; --keep leaves data and logs for the next `up`
  status [--json]        what is up, since when, where
  env                    the variables by which the tests find it: eval \"$(cargo xtask backends env)\"
  start SERVICE …        starts a service that is down, and waits until it answers
  stop SERVICE …         ends a service in its own order
  kill SERVICE …         ends it without a warning
  pause SERVICE …        stops its process where it is
  resume SERVICE …       lets it go on
  promote SERVICE        makes a Redis replica a primary
  follow SERVICE SERVICE makes the first Redis server a replica of the second
  test                   the adapters' suites against stacks of their own

Services are kafka-1 …, redis-1 …, hbase and thrift.

  --dir DIR              the stack's folder; .cache/backends/stack of this checkout if not given

and for `up`, if the stack is to be another than one broker, one Redis and HBase:

  --only LIST            of kafka, redis, hbase: only these
  --brokers 1|3          Kafka brokers
  --redis SHAPE          single, replica (one primary and one replica) or cluster (three primaries)
  --base-port PORT       the first of 32 ports
  --for-speed            for measurements: JVMs as in production, slower to start and faster after a while; Redis before others, HBase behind";

/// Does one command; whether it found everything good.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<bool> {
    let arguments = arguments::parse(words)?;
    let folder = arguments.folder.clone().unwrap_or_else(|| cache().join("stack"));
    match &arguments.command {
        Command::Help => println!("{USAGE}"),
        Command::Up => up(&folder, &arguments)?,
        Command::Down(leave) => down(&folder, *leave)?,
        Command::Status { json } => return status(&folder, *json),
        Command::Env => {
            for (name, value) in opened(&folder)?.environment() {
                println!("export {name}='{value}'");
            }
        }
        Command::Each(action) => {
            let stack = opened(&folder)?;
            arguments.services.iter().try_for_each(|service| action.apply(&stack, service))?;
        }
        Command::Follow => match &arguments.services[..] {
            [service, primary] => opened(&folder)?.follow(service, primary)?,
            _ => anyhow::bail!("`follow` takes two services: the replica, and its primary"),
        },
        Command::Test => return suites::run(),
    }
    Ok(true)
}

fn up(folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let up = Up {
        folder: folder.to_owned(),
        jars: cache(),
        shape: arguments.shape()?,
        base_port: arguments.base_port,
        tell,
    };
    let stack = up.run()?;
    println!("all is up in {}; `cargo xtask backends env` prints how tests find it", tools::shown(stack.folder()));
    Ok(())
}

/// Ends the stacks of `backends test`, whatever of them there is, and leaves what they wrote.
pub(crate) fn end_suites() -> anyhow::Result<()> {
    suites::end(Leave::Data)
}

/// Ends the stack of a folder, if there is one.
fn down(folder: &Path, leave: Leave) -> anyhow::Result<()> {
    if let Some(stack) = Stack::open(folder, tell)? {
        stack.down(leave)?;
    }
    println!("all is down in {}", tools::shown(folder));
    Ok(())
}

/// The stack of a folder, which must be there.
pub(crate) fn opened(folder: &Path) -> anyhow::Result<Stack> {
    let stack = Stack::open(folder, tell)?;
    stack.with_context(|| format!("there is no stack in {}; `cargo xtask backends up` makes one", tools::shown(folder)))
}

/// Whether all is up.
fn status(folder: &Path, json: bool) -> anyhow::Result<bool> {
    let Some(stack) = Stack::open(folder, tell)? else {
        println!("{}", if json { "null".to_owned() } else { format!("there is no stack in {}", tools::shown(folder)) });
        return Ok(false);
    };
    let services = stack.status();
    let environment: std::collections::BTreeMap<_, _> = stack.environment().into_iter().collect();
    if json {
        let said = serde_json::json!({ "folder": stack.folder(), "services": services, "environment": environment });
        println!("{said:#}");
    } else {
        services.iter().for_each(|service| println!("{}", line(service, now())));
    }
    Ok(services.iter().all(|service| service.state == State::Up))
}

/// A service as a person wants to read it.
fn line(service: &ServiceStatus, now: u64) -> String {
    let state = match service.state {
        State::Up => "up",
        State::Silent => "does not answer",
        State::Paused => "paused",
        State::Down => return format!("{:8} down", service.name),
    };
    let pid = service.pid.unwrap_or_default();
    let age = age(now.saturating_sub(service.since.unwrap_or(now)));
    format!("{:8} {state}, 127.0.0.1:{}, process {pid}, for {age}", service.name, service.port)
}

fn age(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match minutes {
        0 => format!("{seconds} s"),
        1..60 => format!("{minutes} min {seconds} s"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[expect(clippy::disallowed_methods, reason = "the age of a process is told on the real clock")]
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Where jars are kept, and stacks unless told otherwise.
pub(crate) fn cache() -> PathBuf {
    tools::cache().join("backends")
}

fn tell(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use anser_sandbox::Kind;

    use super::*;

    #[test]
    fn a_service_is_told_in_one_line() {
        let mut service = ServiceStatus {
            name: "kafka-1".to_owned(),
            kind: Kind::Kafka,
            state: State::Up,
            port: 20_000,
            pid: Some(77),
            since: Some(1_000),
            log: PathBuf::new(),
        };
        assert_eq!(line(&service, 1_042), "kafka-1  up, 127.0.0.1:20000, process 77, for 42 s");
        assert_eq!(line(&service, 900), "kafka-1  up, 127.0.0.1:20000, process 77, for 0 s");
        service.state = State::Paused;
        assert_eq!(line(&service, 1_000 + 3_725), "kafka-1  paused, 127.0.0.1:20000, process 77, for 1 h 2 min");
        service.state = State::Down;
        assert_eq!(line(&service, 2_000), "kafka-1  down");
    }
}
