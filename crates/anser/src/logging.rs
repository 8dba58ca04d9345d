//! Where log lines go and what they look like: to the standard error, for people or for machines.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
    let text =
        std::env::var(FILTER).ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| otherwise.to_owned());
    let filter = filter(&text)
        .map_err(|error| Failure::usage(anyhow::anyhow!("{FILTER}={text:?} is no log filter: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::Failed(anyhow::anyhow!("cannot write log lines: {error}")))
}

/// The filter that a text means. A word by itself has to be a level: one that is none would be taken for the name of a module, of which
/// everything is written, and nothing of all the others.
fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    let words = text.split(',').map(str::trim);
    if let Some(word) =
        words.into_iter().find(|word| !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err())
    {
        anyhow::bail!(
            "{word:?} is no level; there are error, warn, info, debug, trace and off, and a module takes one as in \
             anser_message=debug"
        );
    }
    Ok(EnvFilter::try_new(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "off", "info,anser_message=debug", "anser_peer[link]=trace,warn"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["warning", "inof", "info,anser_message", "anser_message=loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
