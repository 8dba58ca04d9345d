//! The words after `cargo xtask backends`.

use std::path::PathBuf;

use anser_sandbox::{Brokers, Leave, RedisShape, Shape, Stack};
use anyhow::{Context as _, bail, ensure};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Up,
    Down(Leave),
    Status {
        json: bool,
    },
    Env,
    /// The same to each of the services named.
    Each(Action),
    Follow,
    Test,
}

/// What can be done to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Kill,
    Pause,
    Resume,
    Promote,
}

impl Action {
    pub(super) fn apply(self, stack: &Stack, service: &str) -> anyhow::Result<()> {
        match self {
            Self::Start => stack.start(service),
            Self::Stop => stack.stop(service),
            Self::Kill => stack.kill(service),
            Self::Pause => stack.pause(service),
            Self::Resume => stack.resume(service),
            Self::Promote => stack.promote(service),
        }
    }
}

/// A command with its options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) command: Command,
    pub(super) services: Vec<String>,
    pub(super) folder: Option<PathBuf>,
    pub(super) base_port: Option<u16>,
    only: Option<String>,
    brokers: Option<Brokers>,
    redis: Option<RedisShape>,
    for_speed: bool,
}

/// Reads them, or says which one is wrong.
pub(super) fn parse(words: &[&str]) -> anyhow::Result<Arguments> {
    let mut words = words.iter().copied();
    let mut arguments = Arguments {
        command: command(words.next().unwrap_or("help"))?,
        services: Vec::new(),
        folder: None,
        base_port: None,
        only: None,
        brokers: None,
        redis: None,
        for_speed: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} takes a value"));
        match word {
            "--dir" => arguments.folder = Some(value()?.into()),
            "--base-port" => arguments.base_port = Some(value()?.parse().context("--base-port takes a port")?),
            "--only" => arguments.only = Some(value()?.to_owned()),
            "--brokers" => arguments.brokers = Some(brokers(value()?)?),
            "--redis" => arguments.redis = Some(redis(value()?)?),
            "--for-speed" => arguments.for_speed = true,
            "--keep" if arguments.command == Command::Down(Leave::Nothing) => {
                arguments.command = Command::Down(Leave::Data);
            }
            "--json" if arguments.command == Command::Status { json: false } => {
                arguments.command = Command::Status { json: true };
            }
            service if !service.starts_with('-') => arguments.services.push(service.to_owned()),
            other => bail!("{other} means nothing here; see `cargo xtask backends help`"),
        }
    }
    arguments.check()?;
    Ok(arguments)
}

fn command(word: &str) -> anyhow::Result<Command> {
    Ok(match word {
        "help" | "--help" => Command::Help,
        "up" => Command::Up,
        "down" => Command::Down(Leave::Nothing),
        "status" => Command::Status { json: false },
        "env" => Command::Env,
        "start" => Command::Each(Action::Start),
        "stop" => Command::Each(Action::Stop),
        "kill" => Command::Each(Action::Kill),
        "pause" => Command::Each(Action::Pause),
        "resume" => Command::Each(Action::Resume),
        "promote" => Command::Each(Action::Promote),
        "follow" => Command::Follow,
        "test" => Command::Test,
        other => bail!("there is no command {other}; see `cargo xtask backends help`"),
    })
}

/// How many brokers a word says.
pub(crate) fn brokers(word: &str) -> anyhow::Result<Brokers> {
    match word {
        "1" => Ok(Brokers::One),
        "3" => Ok(Brokers::Three),
        other => bail!("--brokers takes 1 or 3, not {other}"),
    }
}

/// Which shape of Redis a word says.
pub(crate) fn redis(word: &str) -> anyhow::Result<RedisShape> {
    match word {
        "single" => Ok(RedisShape::Single),
        "replica" => Ok(RedisShape::Replica),
        "cluster" => Ok(RedisShape::Cluster),
        other => bail!("--redis takes single, replica or cluster, not {other}"),
    }
}

impl Arguments {
    fn check(&self) -> anyhow::Result<()> {
        let takes_services = matches!(self.command, Command::Each(_) | Command::Follow);
        ensure!(!takes_services || !self.services.is_empty(), "name the service; `status` lists them");
        ensure!(takes_services || self.services.is_empty(), "this command takes no service");
        let shaped = self.base_port.is_some() || self.only.is_some() || self.brokers.is_some() || self.redis.is_some();
        ensure!(self.command == Command::Up || !(shaped || self.for_speed), "only `up` says what a stack consists of");
        Ok(())
    }

    /// The stack that was asked for; none if nothing was said about it.
    pub(super) fn shape(&self) -> anyhow::Result<Option<Shape>> {
        if self.only.is_none() && self.brokers.is_none() && self.redis.is_none() && !self.for_speed {
            return Ok(None);
        }
        let mut shape = match &self.only {
            None => Shape::default(),
            Some(list) => list.split(',').try_fold(Shape::empty(), with)?,
        };
        if let Some(brokers) = self.brokers {
            ensure!(shape.kafka.is_some(), "--brokers, but no kafka in --only");
            shape.kafka = Some(brokers);
        }
        if let Some(redis) = self.redis {
            ensure!(shape.redis.is_some(), "--redis, but no redis in --only");
            shape.redis = Some(redis);
        }
        Ok(Some(Shape { for_speed: self.for_speed, ..shape }))
    }
}

fn with(shape: Shape, word: &str) -> anyhow::Result<Shape> {
    let all = Shape::default();
    match word {
        "kafka" => Ok(Shape { kafka: all.kafka, ..shape }),
        "redis" => Ok(Shape { redis: all.redis, ..shape }),
        "hbase" => Ok(Shape { hbase: true, ..shape }),
        other => bail!("--only takes kafka, redis and hbase, with commas, not {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> anyhow::Result<Arguments> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn shape(line: &str) -> Option<Shape> {
        read(line).unwrap().shape().unwrap()
    }

    #[test]
    fn a_stack_is_asked_for_by_what_differs_from_the_usual_one() {
        assert_eq!(shape("up"), None, "the stack of the folder, or the usual one");
        let three = Shape { kafka: Some(Brokers::Three), ..Shape::default() };
        assert_eq!(shape("up --brokers 3"), Some(three));
        let cluster = Shape { redis: Some(RedisShape::Cluster), ..Shape::empty() };
        assert_eq!(shape("up --only redis --redis cluster --dir /tmp/x"), Some(cluster));
        let two = Shape { hbase: true, kafka: Some(Brokers::One), for_speed: true, ..Shape::empty() };
        assert_eq!(shape("up --only kafka,hbase --for-speed"), Some(two));
        assert!(read("up --only kafka --redis cluster").unwrap().shape().is_err());
        assert!(read("up --only zookeeper").unwrap().shape().is_err());
    }

    #[test]
    fn options_and_services_are_read_in_any_order() {
        let kill = read("kill kafka-1 --dir /tmp/x redis-1").unwrap();
        assert_eq!(kill.command, Command::Each(Action::Kill));
        assert_eq!(kill.services, ["kafka-1", "redis-1"]);
        assert_eq!(kill.folder, Some("/tmp/x".into()));
        assert_eq!(read("down --keep").unwrap().command, Command::Down(Leave::Data));
        assert_eq!(read("status --json").unwrap().command, Command::Status { json: true });
        assert_eq!(read("").unwrap().command, Command::Help);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in [
            "upp",
            "up kafka-1",
            "kill",
            "up --brokers 2",
            "up --brokers",
            "up --redis sentinel",
            "up --base-port all",
            "up --keep",
            "down --json",
            "status --brokers 3",
            "stop redis-1 --force",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
