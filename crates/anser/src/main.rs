//! The `anser` command: the server, and what its operator needs beside it.
//!
//! It reads arguments, hands them to the libraries, and turns what they answer into words and an exit code. It decides
//! nothing else.

mod cli;
mod commands;
mod failure;
mod logging;
mod since;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("anser: {failure}");
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(args) => commands::serve::run(*args),
        Command::Config(command) => commands::config::run(&command),
        Command::App(command) => commands::app::run(&command),
        Command::Token(args) => commands::token::run(&args),
        Command::Chat(args) => commands::chat::run(args),
        Command::Load(command) => commands::load::run(command.args),
        Command::Health(args) => commands::health::run(&args),
        Command::Cluster(command) => commands::cluster::run(command),
    }
}
