//! The words after `cargo xtask cluster`.

use std::path::PathBuf;

use anser_sandbox::{Cluster, Leave, Nodes, Shape};
use anyhow::{Context as _, bail, ensure};

use crate::backends::arguments::{brokers, redis};

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
    /// The same to each of the nodes named.
    Each(Action),
    Test,
}

/// What can be done to one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Kill,
    Pause,
    Resume,
}

impl Action {
    pub(super) fn apply(self, cluster: &Cluster, node: &str) -> anyhow::Result<()> {
        match self {
            Self::Start => cluster.start(node).map(|_| ()),
            Self::Stop => cluster.stop(node),
            Self::Kill => cluster.kill(node),
            Self::Pause => cluster.pause(node),
            Self::Resume => cluster.resume(node),
        }
    }
}

/// A command with its options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) command: Command,
    pub(super) nodes: Vec<String>,
    pub(super) folder: Option<PathBuf>,
    pub(super) count: Nodes,
    pub(super) partitions: u16,
    pub(super) settings: Vec<String>,
    pub(super) stack: Option<PathBuf>,
    pub(super) shape: Shape,
}

/// Reads them, or says which one is wrong.
pub(super) fn parse(words: &[&str]) -> anyhow::Result<Arguments> {
    let mut words = words.iter().copied();
    let mut arguments = Arguments {
        command: command(words.next().unwrap_or("help"))?,
        nodes: Vec::new(),
        folder: None,
        count: Nodes::default(),
        partitions: 256,
        settings: Vec::new(),
        stack: None,
        shape: Shape::default(),
    };
    let mut shaped = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} takes a value"));
        let mut number = || value()?.parse::<u16>().with_context(|| format!("{word} takes a number"));
        let of_up = match word {
            "--front" => number().map(|count| arguments.count.front = count).map(|()| true)?,
            "--access" => number().map(|count| arguments.count.access = count).map(|()| true)?,
            "--message" => number().map(|count| arguments.count.message = count).map(|()| true)?,
            "--partitions" => number().map(|count| arguments.partitions = count).map(|()| true)?,
            "--set" => value().map(|text| arguments.settings.push(text.to_owned())).map(|()| true)?,
            "--stack" => value().map(|folder| arguments.stack = Some(folder.into())).map(|()| true)?,
            "--brokers" => brokers(value()?).map(|count| arguments.shape.kafka = Some(count)).map(|()| true)?,
            "--redis" => redis(value()?).map(|shape| arguments.shape.redis = Some(shape)).map(|()| true)?,
            "--for-speed" => {
                arguments.shape.for_speed = true;
                true
            }
            _ => false,
        };
        match word {
            _ if of_up => shaped = Some(word),
            "--dir" => arguments.folder = Some(value()?.into()),
            "--keep" if arguments.command == Command::Down(Leave::Nothing) => {
                arguments.command = Command::Down(Leave::Data);
            }
            "--json" if arguments.command == Command::Status { json: false } => {
                arguments.command = Command::Status { json: true };
            }
            node if !node.starts_with('-') => arguments.nodes.push(node.to_owned()),
            other => bail!("{other} means nothing here; see `cargo xtask cluster help`"),
        }
    }
    match arguments.command {
        Command::Each(_) => ensure!(!arguments.nodes.is_empty(), "name the node; `status` lists them"),
        // Names of scenarios, if any.
        Command::Test => {}
        _ => ensure!(arguments.nodes.is_empty(), "this command takes no node"),
    }
    match shaped.filter(|_| arguments.command != Command::Up) {
        Some(word) => bail!("{word}: only `up` says what a cluster consists of"),
        None => Ok(arguments),
    }
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
        "test" => Command::Test,
        other => bail!("there is no command {other}; see `cargo xtask cluster help`"),
    })
}

#[cfg(test)]
mod tests {
    use anser_sandbox::{Brokers, RedisShape};

    use super::*;

    fn read(line: &str) -> anyhow::Result<Arguments> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn a_cluster_is_asked_for_by_what_differs_from_the_usual_one() {
        let up = read("up --access 1 --message 4 --partitions 16 --brokers 3 --redis replica --set a.b=1").unwrap();
        assert_eq!(up.count, Nodes { front: 1, access: 1, message: 4 });
        let shape = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Replica), ..Shape::default() };
        assert_eq!((up.partitions, up.shape, up.settings), (16, shape, vec!["a.b=1".to_owned()]));
        assert_eq!(read("up --stack /s").unwrap().stack, Some("/s".into()));
        let kill = read("kill message-1 --dir /x access-2").unwrap();
        assert_eq!((kill.nodes, kill.folder), (vec!["message-1".to_owned(), "access-2".to_owned()], Some("/x".into())));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in
            ["upp", "up message-1", "kill", "kill message-1 --message 3", "up --access", "up --access x", "up --keep"]
        {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
