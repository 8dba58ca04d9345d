//! `anser cluster`: makes a cluster, and shows its nodes.

use anser_node::{cluster_members, init_cluster};

use crate::cli::ClusterCommand;
use crate::commands::config::load;
use crate::failure::Failure;

pub(crate) fn run(command: ClusterCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = match command {
        ClusterCommand::Init(args) => {
            let config = load(args.file)?.config;
            println!("making topics in kafka and tables in hbase, as far as they are not there");
            runtime.block_on(init_cluster(&config)).map(|made| {
                println!("cluster {:016x} with {} partitions is ready for its nodes", made.log.0, made.partitions);
            })
        }
        ClusterCommand::Status(args) => {
            let config = load(args.file)?.config;
            runtime.block_on(cluster_members(&config)).map(|members| {
                if members.is_empty() {
                    println!("no node is alive");
                }
                for member in members {
                    let roles: Vec<_> = member.roles.iter().map(anser_backend::Role::name).collect();
                    let state = if member.draining { "draining" } else { "up" };
                    let terminals = member.connections;
                    println!(
                        "{:16} {state:9} {:24} {terminals} terminals  {}",
                        member.name,
                        roles.join(","),
                        member.address
                    );
                }
            })
        }
    };
    runtime.shutdown_background();
    done.map_err(Into::into)
}
