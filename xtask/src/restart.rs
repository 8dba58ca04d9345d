//! `cargo xtask bench-restart`: how long a restart takes with many messages stored.

use crate::tools;

/// Fills a data folder through the client port, kills the server, and measures from start to ready.
pub(crate) fn run(messages: u64) -> anyhow::Result<bool> {
    let mut command = tools::scenarios()?;
    command.args(["--nocapture", "restart_is_fast"]).env("ANSER_RESTART_MESSAGES", messages.to_string());
    Ok(command.status()?.success())
}
