//! Torments a cluster: under steady load, nodes and servers are killed, paused and cut off in turn, as a seed has it. Whoever
//! is connected writes down all that happens to them, and the checker judges it. Ends with a table for `docs/reliability.md`.
//!
//! Knows the server only by its command line and its ports.

mod dice;
mod fault;
mod network;
mod owner;
mod report;
mod run;
mod sdk;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use anser_sandbox::{Brokers, RedisShape, Shape};
use anyhow::Context as _;
use clap::Parser;

use fault::FaultKind;

/// Torments a cluster on real backends on this machine, and judges what clients saw.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// For how long faults are inflicted.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Goes on after that time until there was a fault of each kind.
    #[arg(long)]
    each: bool,
    /// What the choice of faults, victims and durations comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these kinds of faults, with commas between; `list` names them.
    #[arg(long)]
    only: Option<String>,
    /// For how many seconds HBase is away when it is; without this the seed says so.
    #[arg(long)]
    hbase_away: Option<u64>,
    /// Kafka brokers: 1 or 3.
    #[arg(long, default_value_t = 3)]
    brokers: u16,
    /// Redis: single, replica or cluster.
    #[arg(long, default_value = "replica")]
    redis: String,
    /// How many users chat.
    #[arg(long, default_value_t = 12)]
    users: u32,
    /// How many messages they send a second, together.
    #[arg(long, default_value_t = 60)]
    rate: u32,
    /// Published SDKs that chat as well, with commas between; an empty list: none.
    #[arg(long, default_value = "next,v4")]
    sdks: String,
    /// Where the scripts that drive SDKs are.
    #[arg(long)]
    sdk_scripts: PathBuf,
    /// Where SDKs are installed.
    #[arg(long)]
    sdk_packages: PathBuf,
    /// Where stack and cluster are to be; nothing of an earlier run may be there.
    #[arg(long)]
    folder: PathBuf,
    /// Where the jars of the servers are.
    #[arg(long)]
    jars: PathBuf,
    /// The `anser` program.
    #[arg(long)]
    program: PathBuf,
    /// Settings of all nodes, each as NAME=VALUE in the syntax of TOML.
    #[arg(long = "set")]
    settings: Vec<String>,
}

impl Arguments {
    fn kinds(&self) -> anyhow::Result<Vec<FaultKind>> {
        let Some(list) = &self.only else {
            return Ok(FaultKind::ALL.into_iter().filter(|kind| !kind.is_by_name()).collect());
        };
        let names = || FaultKind::ALL.map(FaultKind::name).join(", ");
        let find = |name: &str| FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
        list.split(',')
            .map(|name| find(name).with_context(|| format!("no fault {name}; there are {}", names())))
            .collect()
    }

    fn shape(&self) -> anyhow::Result<Shape> {
        let kafka = match self.brokers {
            1 => Brokers::One,
            3 => Brokers::Three,
            other => anyhow::bail!("--brokers takes 1 or 3, not {other}"),
        };
        let redis = match self.redis.as_str() {
            "single" => RedisShape::Single,
            "replica" => RedisShape::Replica,
            "cluster" => RedisShape::Cluster,
            other => anyhow::bail!("--redis takes single, replica or cluster, not {other}"),
        };
        Ok(Shape { kafka: Some(kafka), redis: Some(redis), ..Shape::default() })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run::run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
