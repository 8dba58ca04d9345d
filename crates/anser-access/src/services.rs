//! What connections need of the rest of the process.

use std::sync::Arc;

use anser_cluster::{AccessService, AppRegistry, BoxFuture, ConnectionIds, DirectoryService, MessageService, Refusal};
use anser_core::terminal::{Reply, Request, TerminalConfig};
use anser_runtime::Clock;
use anser_types::Timestamp;

use crate::sweeper::Seconds;
use crate::{AccessConfig, Registry};

/// Everything that a connection calls. One for all of them.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) config: AccessConfig,
    pub(crate) terminal: Arc<TerminalConfig>,
    pub(crate) apps: Arc<dyn AppRegistry>,
    pub(crate) messages: Arc<dyn MessageService>,
    pub(crate) directory: Arc<dyn DirectoryService>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    /// The same, never back: what terminals measure their waits by.
    pub(crate) onward: Clock,
    pub(crate) seconds: Seconds,
    pub(crate) ids: Arc<ConnectionIds>,
    pub(crate) cluster: Option<Arc<dyn AccessService>>,
}

impl Services {
    pub(crate) fn new(config: AccessConfig, deps: crate::AccessDeps) -> Self {
        Self {
            terminal: Arc::new(config.terminal()),
            config,
            apps: deps.apps,
            messages: deps.messages,
            directory: deps.directory,
            registry: deps.registry,
            onward: deps.clock.onward(),
            clock: deps.clock,
            seconds: Seconds::default(),
            ids: deps.ids,
            cluster: deps.cluster,
        }
    }

    /// Asks what a terminal wants to know, from the first poll on.
    pub(crate) fn ask(&self, request: Request) -> BoxFuture<'static, Result<Reply, Refusal>> {
        let messages = Arc::clone(&self.messages);
        match request {
            Request::Pull(request) => Box::pin(async move { messages.pull(request).await.map(Reply::Pull) }),
            Request::History(request) => Box::pin(async move { messages.history(request).await.map(Reply::History) }),
            Request::Conversations { user, kind, before, count } => {
                Box::pin(
                    async move { messages.conversations(&user, kind, before, count).await.map(Reply::Conversations) },
                )
            }
            Request::Settings { user, version } => {
                let directory = Arc::clone(&self.directory);
                Box::pin(async move { directory.settings(&user, version).await.map(Reply::Settings) })
            }
            Request::Commands(commands) => Box::pin(async move {
                let mut done = Timestamp::ZERO;
                for command in commands {
                    done = messages.command(command).await?;
                }
                Ok(Reply::Done(done))
            }),
            Request::Recall(recall) => Box::pin(async move { messages.recall(*recall).await.map(Reply::Recalled) }),
        }
    }
}
