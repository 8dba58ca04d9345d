//! `anser config`: checks settings and prints them.

use std::path::PathBuf;

use anser_node::config::{Loaded, REFERENCE, Sources};

use crate::cli::ConfigCommand;
use crate::failure::Failure;

pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(args.file.clone()),
        ConfigCommand::Show(args) => show(args.file.clone()),
        ConfigCommand::Reference => {
            print!("{REFERENCE}");
            Ok(())
        }
    }
}

fn check(file: Option<PathBuf>) -> Result<(), Failure> {
    let place = file.as_ref().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let loaded = load(file)?;
    for name in loaded.unknown_variables {
        println!("note: {name} is no setting and is not used");
    }
    println!("{place}: good");
    Ok(())
}

fn show(file: Option<PathBuf>) -> Result<(), Failure> {
    print!("{}", load(file)?.config.to_toml());
    Ok(())
}

pub(crate) fn load(file: Option<PathBuf>) -> Result<Loaded, Failure> {
    Sources { file, environment: environment(), flags: Vec::new() }.load().map_err(Failure::usage)
}

/// The process's variables, as far as they are text.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))).collect()
}
