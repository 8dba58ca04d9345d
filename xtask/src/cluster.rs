//! `cargo xtask cluster`: a cluster of Anser nodes on real backends on this machine. A command line over `anser-sandbox`.

mod arguments;
mod scenarios;

use std::path::{Path, PathBuf};

use anser_sandbox::{Cluster, ClusterUp, Leave, NodeStatus, Stack, State, Up, Ways};
use anyhow::Context as _;

use self::arguments::{Arguments, Command};
pub(crate) use self::scenarios::alone as scenarios_alone;
use crate::{backends, tools};

const USAGE: &str = "\
usage: cargo xtask cluster COMMAND [OPTION …]

  up                     builds the server, brings backends and nodes up, waits until all are ready
  down [--keep]          ends the nodes, and the backends if they are its own; --keep leaves data and logs
  status [--json]        which nodes are up, and where
  env                    NAVI, API, APP_KEY and APP_SECRET, for clients and judges, and ADMIN_MESSAGE_1 and so on, where operators
                         ask each node: eval \"$(cargo xtask cluster env)\"
  start NODE …           starts a node that is down, and waits until it is ready
  stop NODE …            lets a node hand over and end
  kill NODE …            ends it without a warning
  pause NODE …           stops its process where it is
  resume NODE …          lets it go on
  test [NAME …]          the black-box scenarios on clusters of their own; those with these names, if any are given

Nodes are front-1 … (navigation and server API), access-1 … and message-1 …

  --dir DIR              the cluster's folder; .cache/cluster of this checkout if not given

and for `up`, of a new cluster:

  --front N              how many nodes of which kind: 1 front, 2 access and 3 message nodes if not given
  --access N
  --message N
  --partitions N         of the log; 256 if not given
  --set NAME=VALUE       a setting of all nodes, in the syntax of TOML; may be given several times
  --stack DIR            the folder of a stack of `cargo xtask backends` that is up; if not given, the cluster has one of its
                         own, made of what `--brokers`, `--redis` and `--for-speed` say as in `cargo xtask backends`";

/// Does one command; whether it found everything good.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<bool> {
    let arguments = arguments::parse(words)?;
    let folder = arguments.folder.clone().unwrap_or_else(|| tools::cache().join("cluster"));
    match &arguments.command {
        Command::Help => println!("{USAGE}"),
        Command::Up => up(&folder, arguments)?,
        Command::Down(leave) => down(&folder, *leave)?,
        Command::Status { json } => return status(&folder, *json),
        Command::Env => {
            for (name, value) in opened(&folder)?.environment() {
                println!("export {name}='{value}'");
            }
        }
        Command::Test => return scenarios::run(&arguments.nodes),
        Command::Each(action) => {
            let cluster = opened(&folder)?;
            arguments.nodes.iter().try_for_each(|node| action.apply(&cluster, node))?;
        }
    }
    Ok(true)
}

/// The folder of the backends that a cluster has for itself.
fn own_stack(folder: &Path) -> PathBuf {
    folder.join("backends")
}

fn up(folder: &Path, arguments: Arguments) -> anyhow::Result<()> {
    let program = tools::build_server()?;
    let stack = match &arguments.stack {
        Some(stack) => backends::opened(stack)?,
        None => {
            let (folder, jars) = (own_stack(folder), backends::cache());
            Up { folder, jars, shape: Some(arguments.shape), base_port: None, tell }.run()?
        }
    };
    let cluster = ClusterUp {
        folder: folder.to_owned(),
        program,
        nodes: arguments.count,
        partitions: arguments.partitions,
        settings: arguments.settings,
        environment: Vec::new(),
        ways: Ways::Direct,
        tell,
    };
    let cluster = cluster.run(&stack)?;
    cluster.status().iter().for_each(|node| println!("{}", line(node)));
    println!("all is up at {}; `cargo xtask cluster env` prints what clients need to know", cluster.url());
    Ok(())
}

/// Ends what `cluster test` runs on, whatever of it there is, and leaves what it wrote.
pub(crate) fn end_scenarios() -> anyhow::Result<()> {
    scenarios::end(Leave::Data)
}

/// Ends the cluster of a folder, if there is one, and its own backends.
fn down(folder: &Path, leave: Leave) -> anyhow::Result<()> {
    if let Some(cluster) = Cluster::open(folder, tell)? {
        cluster.down(leave)?;
    }
    if let Some(stack) = Stack::open(&own_stack(folder), tell)? {
        stack.down(leave)?;
    }
    println!("all is down in {}", tools::shown(folder));
    Ok(())
}

fn opened(folder: &Path) -> anyhow::Result<Cluster> {
    let cluster = Cluster::open(folder, tell)?;
    cluster
        .with_context(|| format!("there is no cluster in {}; `cargo xtask cluster up` makes one", tools::shown(folder)))
}

/// Whether all is up.
fn status(folder: &Path, json: bool) -> anyhow::Result<bool> {
    let Some(cluster) = Cluster::open(folder, tell)? else {
        println!(
            "{}",
            if json { "null".to_owned() } else { format!("there is no cluster in {}", tools::shown(folder)) }
        );
        return Ok(false);
    };
    let nodes = cluster.status();
    if json {
        let environment: std::collections::BTreeMap<_, _> = cluster.environment().into_iter().collect();
        let said = serde_json::json!({ "folder": cluster.folder(), "nodes": nodes, "environment": environment });
        println!("{said:#}");
    } else {
        nodes.iter().for_each(|node| println!("{}", line(node)));
    }
    Ok(nodes.iter().all(|node| node.state == State::Up))
}

/// A node as a person wants to read it.
fn line(status: &NodeStatus) -> String {
    let state = match status.state {
        State::Up => "up",
        State::Silent => "not ready",
        State::Paused => "paused",
        State::Down => return format!("{:10} down", status.node.name),
    };
    let (ports, pid) = (status.node.ports, status.pid.unwrap_or_default());
    format!(
        "{:10} {state}, http {}, tcp {}, ws {}, nodes {}, operators {}, process {pid}",
        status.node.name, ports.http, ports.tcp, ports.ws, ports.peers, ports.admin
    )
}

fn tell(text: &str) {
    println!("{text}");
}
