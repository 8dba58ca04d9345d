//! `anser cluster`: makes a cluster, shows how it is, and mends it.

mod rebuild;
mod text;

use anser_node::{ClusterView, cluster_view, forget_node, hbase_script, init_cluster};

use crate::cli::{ClusterCommand, ClusterStatusArgs};
use crate::commands::config::load;
use crate::failure::Failure;

pub(crate) fn run(command: ClusterCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = match command {
        ClusterCommand::Init(args) => {
            let config = load(args.config.file)?.config;
            if let Some(regions) = args.hbase_shell {
                print!("{}", hbase_script(&config, regions));
                return Ok(());
            }
            println!("making topics in kafka and tables in hbase, as far as they are not there");
            let made = runtime.block_on(init_cluster(&config));
            made.map_err(Failure::from).map(|made| {
                println!("cluster {:016x} with {} partitions is ready for its nodes", made.log.0, made.partitions);
            })
        }
        ClusterCommand::Status(args) => {
            let config = load(args.config.file.clone())?.config;
            runtime.block_on(cluster_view(&config)).map_err(Failure::from).and_then(|view| show(&view, &args))
        }
        ClusterCommand::Forget(args) => {
            let (config, name) = (load(args.config.file)?.config, args.name);
            let known = runtime.block_on(forget_node(&config, &name)).map_err(Failure::from);
            known.and_then(|known| forgotten(&name, known))
        }
        ClusterCommand::Rebuild(args) => {
            let config = load(args.config.file.clone())?.config;
            runtime.block_on(rebuild::run(&config, &args))
        }
    };
    runtime.shutdown_background();
    done
}

fn forgotten(name: &str, was_missed: bool) -> Result<(), Failure> {
    if !was_missed {
        return Err(Failure::Failed(anyhow::anyhow!(
            "no node of the name {name} is missing; status names those that are"
        )));
    }
    println!("{name} is not missed any more");
    Ok(())
}

/// Prints it; what is wrong is a failure.
fn show(view: &ClusterView, args: &ClusterStatusArgs) -> Result<(), Failure> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(view)?);
    } else {
        print!("{}", text::of(view, args.partitions));
    }
    match view.problems.len() {
        0 => Ok(()),
        1 => Err(Failure::Failed(anyhow::anyhow!("something is wrong with the cluster"))),
        count => Err(Failure::Failed(anyhow::anyhow!("{count} things are wrong with the cluster"))),
    }
}
