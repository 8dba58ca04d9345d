//! The arguments of every command, with the help that a newcomer reads.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::logging::LogFormat;
use crate::since::Since;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped as asked
  1  it failed on the way; the message says why
  2  wrong arguments or configuration; nothing was begun";

/// An instant-messaging server for the published RongCloud SDKs, durable, in one program.
///
/// Begin with `anser serve`, which needs no configuration. The README has a tour of five minutes.
#[derive(Debug, Parser)]
#[command(name = "anser", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<ServeArgs>),
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(subcommand)]
    App(AppCommand),
    Token(TokenArgs),
    Chat(ChatArgs),
    Load(LoadCommand),
    Health(HealthArgs),
    #[command(subcommand)]
    Cluster(ClusterCommand),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  anser serve                                  everything on 127.0.0.1, data in ./anser-data
  anser serve --http :8080 --tcp :8081 --ws :8082
                                               reachable from other machines
  anser serve --config /etc/anser.toml         settings from a file; flags win over it
  anser serve --http 127.0.0.1:0 --tcp 127.0.0.1:0 --ws 127.0.0.1:0 --ready-file ready.json
                                               free ports, for scripts and tests

The first start makes an app: its key is printed, its secret lies in the data folder.
SIGTERM or Ctrl-C stops the server in order; a second one at once. SIGHUP makes it read
certificates and apps again.

Every setting can be given as a flag below, as a variable (`tls.certificate` is
ANSER_TLS_CERTIFICATE), or in the file; in this order the first one wins.
`anser config reference` prints all settings. ANSER_LOG chooses log lines: info, debug,
anser_access=debug,info …";

/// Runs the server until it is told to stop.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Settings file (TOML). Without it, defaults.
    #[arg(long, value_name = "FILE", env = "ANSER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder, made if missing [default: ./anser-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Where navigation and the server API listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Where clients connect over TCP, or `off` [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR")]
    pub(crate) tcp: Option<String>,
    /// Where clients connect over WebSocket, or `off` [default: 127.0.0.1:8082].
    #[arg(long, value_name = "ADDR")]
    pub(crate) ws: Option<String>,
    /// Where operators ask how the node is: /livez, /readyz, /metrics [default: off].
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// App key to serve, instead of one made by chance. Goes with --app-secret. Also ANSER_APP_KEY.
    #[arg(long, value_name = "KEY")]
    pub(crate) app_key: Option<String>,
    /// Its secret. Prefer ANSER_APP_SECRET: other users of the machine can read arguments.
    #[arg(long, value_name = "SECRET")]
    pub(crate) app_secret: Option<String>,
    /// Certificate chain (PEM) for the TLS ports.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_certificate: Option<String>,
    /// Private key (PEM) of the certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// Where clients connect over TCP with TLS [default: off].
    #[arg(long, value_name = "ADDR")]
    pub(crate) tls_tcp: Option<String>,
    /// Where clients connect over secure WebSocket [default: off].
    #[arg(long, value_name = "ADDR")]
    pub(crate) tls_ws: Option<String>,
    /// Any other setting, by its name in the file; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Written, as JSON, once everything accepts: where the server listens, its app key, and the file with the secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Form of log lines.
    #[arg(long, value_enum, default_value = "human", value_name = "FORM")]
    pub(crate) log: LogFormat,
}

/// Checks settings, or prints all there are.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Checks a settings file together with the ANSER_ variables, as `anser serve` would, and opens nothing.
    Check(ConfigCheckArgs),
    /// Prints all settings with their defaults and what they mean, as a settings file.
    Reference,
    /// Prints the settings that a file and the ANSER_ variables add up to.
    Show(ConfigCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    /// Settings file (TOML). Without it, the variables alone.
    #[arg(value_name = "FILE", env = "ANSER_CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

/// Makes apps and changes their secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Makes an app with a key and a secret by chance. A running server takes it up by itself.
    Create(DataArgs),
    /// Lists the apps of a data folder.
    List(DataArgs),
    /// Gives an app a new secret. A running server takes it up by itself; tokens stay good unless told otherwise.
    RotateSecret(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Data folder of the server.
    #[arg(long, value_name = "DIR", env = "ANSER_DATA", default_value = "./anser-data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which app; needed where there are several.
    #[arg(value_name = "APP_KEY")]
    pub(crate) app: Option<String>,
    /// Tokens made with older secrets count no more: everybody has to get a new one. For a secret that leaked.
    #[arg(long)]
    pub(crate) void_tokens: bool,
}

const TOKEN_EXAMPLES: &str = "\
Examples:
  anser token alice                            for the app in ./anser-data
  anser token alice --data /var/lib/anser --hours 24
  ANSER_APP_KEY=… ANSER_APP_SECRET=… anser token alice
                                               where the server was given its app

The token is made from the app's secret; the server need not run. It is what an app's
backend gets from POST /user/getToken.json.";

/// Prints a token with which a user signs in.
#[derive(Debug, Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(crate) struct TokenArgs {
    /// The user's id.
    #[arg(value_name = "USER")]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which app; the first one of the data folder if not given.
    #[arg(long, value_name = "KEY", env = "ANSER_APP_KEY")]
    pub(crate) app_key: Option<String>,
    /// The app's secret, if it is not in the data folder.
    #[arg(long, value_name = "SECRET", env = "ANSER_APP_SECRET", hide_env_values = true)]
    pub(crate) app_secret: Option<String>,
    /// How many hours it is good for. Without it: as long as the app's tokens are.
    #[arg(long, value_name = "N")]
    pub(crate) hours: Option<u64>,
    /// Navigation addresses to write behind the token's `@`, several with `;` between them.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub(crate) navi: String,
}

const CHAT_EXAMPLES: &str = "\
Examples, in two terminals beside a running server:
  anser chat --user alice --to bob
  anser chat --user bob --to alice
  anser chat --user alice --group tea          everybody who chats there is a member

Lines that you type are sent. /history shows what was said before, /quit ends.";

/// Chats with another user, or in a group, as one of the app's users.
#[derive(Debug, Args)]
#[command(after_help = CHAT_EXAMPLES)]
pub(crate) struct ChatArgs {
    /// Who you are; made if there is no such user yet.
    #[arg(long, value_name = "USER")]
    pub(crate) user: String,
    /// Whom you talk to.
    #[arg(long, value_name = "USER", conflicts_with = "group", required_unless_present = "group")]
    pub(crate) to: Option<String>,
    /// The group that you talk in.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Where the server answers HTTP.
    #[arg(long, value_name = "ADDR", env = "ANSER_HTTP", default_value = "127.0.0.1:8080")]
    pub(crate) http: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The app key; the first app of the data folder if not given.
    #[arg(long, value_name = "KEY", env = "ANSER_APP_KEY")]
    pub(crate) app_key: Option<String>,
    /// The app's secret, if it is not in the data folder.
    #[arg(long, value_name = "SECRET", env = "ANSER_APP_SECRET", hide_env_values = true)]
    pub(crate) app_secret: Option<String>,
    /// Connect over TCP instead of WebSocket.
    #[arg(long)]
    pub(crate) tcp: bool,
}

/// Makes a cluster of several nodes, shows how it is, and mends it.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Init(ClusterInitArgs),
    /// Shows nodes and partitions, and says what is wrong. The exit code is 1 if something is.
    Status(ClusterStatusArgs),
    /// A node that went without a word does not come back: status does not call it missing any more. To take a node away that
    /// lives, stop it.
    Forget(ClusterForgetArgs),
    Rebuild(ClusterRebuildArgs),
}

const INIT_EXAMPLES: &str = "\
Examples:
  anser cluster init anser.toml                     once, before the first node starts

Where HBase has several region servers, let its own shell make the tables in as many parts:
  anser cluster init anser.toml --hbase-shell 16 > tables.rb
  hbase shell -n tables.rb
  anser cluster init anser.toml                     finds them, and makes the rest";

/// Makes the topics in Kafka and the tables in HBase that the settings describe. What is there already stays.
#[derive(Debug, Args)]
#[command(after_help = INIT_EXAMPLES)]
pub(crate) struct ClusterInitArgs {
    #[command(flatten)]
    pub(crate) config: ConfigCheckArgs,
    /// Make nothing: print what makes the tables in the shell of HBase, each split into this many regions, 2 to 64. HBase's
    /// gateway, by which this command makes them itself, cannot split.
    #[arg(long, value_name = "REGIONS", value_parser = clap::value_parser!(u8).range(2..=64))]
    pub(crate) hbase_shell: Option<u8>,
}

const REBUILD_EXAMPLES: &str = "\
Examples:
  anser cluster rebuild mailbox anser.toml          says what it does and does not, and asks
  anser cluster rebuild mailbox anser.toml --yes    begins at once, for scripts
  anser cluster rebuild mailbox anser.toml --follow begins nothing; shows how far the last one is
  anser cluster rebuild directory anser.toml --since 36h

mailbox: for a Redis that was put back from an old copy, or written to by something else. One that
was wiped is filled again by itself.
directory: for an HBase that was put back from a backup, or lost rows. History comes with it: both
are made from the same records. The log holds no more than its retention, so what is older comes
from a backup.

The message nodes do it while they serve; ending this command does not end it.
docs/operations/rebuild.md says more.";

/// Makes a table anew from the log, while the cluster serves.
#[derive(Debug, Args)]
#[command(after_help = REBUILD_EXAMPLES)]
pub(crate) struct ClusterRebuildArgs {
    /// What to make anew.
    #[arg(value_enum)]
    pub(crate) what: Rebuilt,
    #[command(flatten)]
    pub(crate) config: ConfigCheckArgs,
    /// Begin without asking.
    #[arg(long, conflicts_with = "follow")]
    pub(crate) yes: bool,
    /// Begin nothing, show how far the last one is.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Of the directory: from when on the log is applied again, as 2026-11-27T02:00Z, or 36h ago. It must be before the damage was
    /// done, or before the backup was taken that was restored. All that the log holds if not given.
    #[arg(long, value_name = "TIME", conflicts_with = "follow", value_parser = Since::parse)]
    pub(crate) since: Option<Since>,
}

/// What can be made anew from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rebuilt {
    /// Timelines, conversation lists and unread counts, in Redis.
    Mailbox,
    /// Groups, blacklists, users and settings, and the history of messages, in HBase.
    Directory,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterForgetArgs {
    /// The name of the node: its `cluster.name`.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) config: ConfigCheckArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterStatusArgs {
    #[command(flatten)]
    pub(crate) config: ConfigCheckArgs,
    /// Everything there is to know, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Each partition with its owner, too.
    #[arg(long)]
    pub(crate) partitions: bool,
}

const HEALTH_EXAMPLES: &str = "\
Examples, beside a server that was started with --admin 127.0.0.1:8084:
  anser health                                 does it take traffic? what is missing?
  anser health --live                          does it live?

The exit code is 0 if so, 1 if not. For health checks where there is no curl.";

/// Asks a running server how it is.
#[derive(Debug, Args)]
#[command(after_help = HEALTH_EXAMPLES)]
pub(crate) struct HealthArgs {
    /// The server's port for operators.
    #[arg(long, value_name = "ADDR", env = "ANSER_ADMIN_LISTEN", default_value = "127.0.0.1:8084")]
    pub(crate) admin: anser_node::config::Listen,
    /// Ask whether it lives, instead of whether it takes traffic.
    #[arg(long)]
    pub(crate) live: bool,
    /// How long to wait for the answer, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) timeout: u64,
}

const LOAD_EXAMPLES: &str = "\
Examples, beside a running server, with ANSER_APP_KEY and ANSER_APP_SECRET set:
  anser load private --http 127.0.0.1:8080 --closed --pairs 50 --seconds 20
  anser load private --http 127.0.0.1:8080 --rate 2000 --json result.json --plot result.svg
  anser load idle --http 127.0.0.1:8080 --transport ws --connections 10000 --hold 60s

Every run checks the promises: nothing acked is lost, doubled or out of order. The exit
code is 1 if one was broken.";

/// Puts a server under load, measures it, and checks that it keeps its promises.
#[derive(Debug, Args)]
#[command(after_help = LOAD_EXAMPLES)]
pub(crate) struct LoadCommand {
    #[command(flatten)]
    pub(crate) args: anser_load::LoadArgs,
}
