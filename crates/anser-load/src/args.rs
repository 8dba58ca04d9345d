//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anser_client::Transport;
use clap::{Args, Subcommand, ValueEnum};

/// Put a server under load, measure it, and check that it keeps its promises.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    /// Hold idle connections, and see what they cost. For the cost in memory, against a server that was just started.
    Idle(IdleArgs),
    /// Pairs of users that send to each other.
    Private(PrivateArgs),
    /// One group with all members online.
    Group(GroupArgs),
    /// Users who come back and pull what was stored for them.
    Drain(DrainArgs),
    /// Sign in and out, over and over.
    SignIn(SignInArgs),
}

/// What every scenario takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Where the server answers HTTP (navigation and server API), such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: String,
    /// The app.
    #[arg(long, env = "ANSER_APP_KEY", value_name = "KEY")]
    pub(crate) app_key: String,
    /// The app's secret.
    #[arg(long, env = "ANSER_APP_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) app_secret: String,
    /// What to connect over.
    #[arg(long, value_enum, default_value_t = TransportArg::Tcp)]
    pub(crate) transport: TransportArg,
    /// Over TLS: trust the certificates of this PEM file. Without it any certificate is taken.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Threads of each process.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// Operating system processes. Default: as many as open files ask for, 18,000 connections each.
    #[arg(long, value_name = "N")]
    pub(crate) processes: Option<usize>,
    /// The server's process. Default: whoever listens at the HTTP address.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Write the result as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the result as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// No progress line.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Which part of a divided run this process is.
    #[arg(long, hide = true, value_name = "I/N")]
    pub(crate) part: Option<String>,
    /// What the users of this run are called; parts of one run share it.
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) run_name: Option<String>,
}

/// How fast messages are sent. Default: --closed.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct Pace {
    /// As fast as it goes: a window of unsettled messages per sender.
    #[arg(long)]
    pub(crate) closed: bool,
    /// So many messages a second over all senders, whatever the server does.
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
}

/// What scenarios with senders take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sending {
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// How long to send, in seconds.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) seconds: u64,
    /// Of these, how many at the beginning are not measured (but checked).
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) warm_up: u64,
    /// Bytes of each message's content; at least 64.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) bytes: usize,
    /// With --closed: unsettled messages per sender.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(crate) window: u16,
    /// How long to wait at the end for what is not acked or delivered yet, in seconds.
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub(crate) drain_time: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PrivateArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) sending: Sending,
    /// Pairs of users.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) pairs: usize,
    /// Both of a pair send.
    #[arg(long)]
    pub(crate) both: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GroupArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) sending: Sending,
    /// Members, all online.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) members: usize,
    /// Members who send.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) senders: usize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Users who come back.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) users: usize,
    /// Messages stored for each.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) messages: usize,
    /// Bytes of each message's content; at least 64.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) bytes: usize,
    /// Draining always goes as fast as it can; accepted so that scenarios take the same words.
    #[arg(long, hide = true)]
    pub(crate) closed: bool,
    /// While storing: unsettled messages per sender.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) window: u16,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SignInArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sign-ins at a time.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) workers: usize,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) seconds: u64,
    /// Different users.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) users: usize,
    /// Pull after each sign-in, and sign out only then.
    #[arg(long)]
    pub(crate) pull: bool,
    /// Sign-ins always go as fast as they can; accepted so that scenarios take the same words.
    #[arg(long, hide = true)]
    pub(crate) closed: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Connections.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) connections: usize,
    /// How long to hold them when all are there, such as 60s.
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) hold: Duration,
    /// Connections that are opened at a time.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) opening: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportArg {
    Tcp,
    Ws,
    Tls,
}

impl From<TransportArg> for Transport {
    fn from(arg: TransportArg) -> Self {
        match arg {
            TransportArg::Tcp => Self::Tcp,
            TransportArg::Ws => Self::Ws,
            TransportArg::Tls => Self::Tls,
        }
    }
}

impl Scenario {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Idle(args) => &args.common,
            Self::Private(args) => &args.common,
            Self::Group(args) => &args.common,
            Self::Drain(args) => &args.common,
            Self::SignIn(args) => &args.common,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Idle(_) => "idle",
            Self::Private(_) => "private",
            Self::Group(_) => "group",
            Self::Drain(_) => "drain",
            Self::SignIn(_) => "sign-in",
        }
    }
}

/// A time such as `90`, `90s`, `500ms` or `2m`; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no time: write 60s, 500ms or 2m"))?;
    match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => Ok(Duration::from_secs(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => Err(format!("{unit:?} is no unit of time: s, ms or m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        assert_eq!(parse_duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("60"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("2h").is_err());
        assert!(parse_duration("").is_err());
    }
}
