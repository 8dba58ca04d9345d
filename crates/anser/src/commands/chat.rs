//! `anser chat`: a conversation in the terminal, through our own client.

use anser_client::Transport;
use anser_client::chat::{ChatOptions, ChatWith};
use anyhow::Context as _;

use crate::cli::ChatArgs;
use crate::commands::token::stored_app;
use crate::failure::Failure;
use crate::logging::{self, LogFormat};

pub(crate) fn run(args: ChatArgs) -> Result<(), Failure> {
    logging::start(LogFormat::Human, "warn")?;
    let app = stored_app(args.app_key.as_deref(), args.app_secret.as_deref(), &args.data.data)?;
    let with = match (args.to, args.group) {
        (Some(user), _) => ChatWith::User(user),
        (None, Some(group)) => ChatWith::Group(group),
        (None, None) => return Err(Failure::usage(anyhow::anyhow!("name --to or --group"))),
    };
    let place = format!("cannot chat through {}", args.http);
    let options = ChatOptions {
        http: args.http,
        app_key: app.key,
        app_secret: app.secret,
        user: args.user,
        with,
        transport: if args.tcp { Transport::Tcp } else { Transport::Ws },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(Box::pin(anser_client::chat::run(options)));
    // The thread that reads the keyboard cannot be interrupted; it ends with the process.
    runtime.shutdown_background();
    ended.context(place).map_err(Failure::Failed)
}
