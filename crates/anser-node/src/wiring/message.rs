//! The message role of a node.

use std::sync::Arc;
use std::time::Duration;

use anser_access::Registry;
use anser_message::{MessageHandle, MessageRole, RoleError};
use anser_runtime::{Clock, Fate, Tasks};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::ServeError;
use crate::config::NodeConfig;

use super::storage::Storage;

/// How long the role may take to decide and apply what it has accepted.
const FINISH: Duration = Duration::from_secs(20);

/// The running role.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) handle: Arc<MessageHandle>,
    tasks: [JoinHandle<()>; 2],
}

/// Starts the role; returns when it has taken over all partitions.
pub(crate) async fn start(
    config: &NodeConfig,
    storage: &Storage,
    registry: &Arc<Registry>,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Message, ServeError> {
    let now = clock.clone();
    let access = Arc::clone(registry) as Arc<dyn anser_cluster::AccessService>;
    let (role, handle) =
        MessageRole::new("node", &config.message, storage.backends.clone(), access, Arc::new(move || now.now()));
    let (ready, is_ready) = oneshot::channel();
    let (deciding, applying) = role.into_tasks(ready);
    let tasks = [
        tasks.spawn("message loop", Fate::Vital, tell("message loop", deciding)),
        tasks.spawn("applier", Fate::Vital, tell("applier", applying)),
    ];
    is_ready.await.map_err(|_| ServeError::NotReady)?;
    Ok(Message { handle, tasks })
}

/// Logs why a task of the role ended; that it ended is seen by its fate.
async fn tell(task: &'static str, running: impl Future<Output = Result<(), RoleError>>) {
    if let Err(error) = running.await {
        tracing::error!(task, error = &error as &dyn std::error::Error, "message role failed");
    }
}

impl Message {
    /// Takes nothing more, and returns when all that was accepted is decided and applied, or takes too long.
    pub(crate) async fn finish(self) {
        self.handle.close();
        let [deciding, applying] = self.tasks;
        let ended = async {
            deciding.await.ok();
            applying.await.ok();
        };
        if tokio::time::timeout(FINISH, ended).await.is_err() {
            tracing::warn!("the message role did not finish in time; the next start goes on from the log");
        }
    }
}
