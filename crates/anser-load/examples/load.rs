//! The load tool by itself, for trying it without the rest: `cargo run -p anser-load --example load -- private --help`.

use std::process::ExitCode;

use anser_load::LoadArgs;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "load")]
struct Cli {
    #[command(flatten)]
    load: LoadArgs,
}

fn main() -> anyhow::Result<ExitCode> {
    let report = anser_load::run(Cli::parse().load)?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
