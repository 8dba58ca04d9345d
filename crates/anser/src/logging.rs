//! Where log lines go and what they look like: to the standard error, for people or for machines.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// The variable that says which lines are written.
const FILTER: &str = "ANSER_LOG";

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// Begins to write log lines. `otherwise` is the filter where the environment names none.
pub(crate) fn start(format: LogFormat, otherwise: &str) -> Result<(), Failure> {
    let text = std::env::var(FILTER).unwrap_or_else(|_| otherwise.to_owned());
    let filter = EnvFilter::try_new(&text)
        .map_err(|error| Failure::usage(anyhow::anyhow!("{FILTER}={text:?} is no log filter: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::Failed(anyhow::anyhow!("cannot write log lines: {error}")))
}
