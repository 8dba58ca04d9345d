//! One life of the server's process: the message role between a start and a crash.

use std::sync::Arc;

use anser_message::{Clock, MessageConfig, MessageHandle, MessageRole, RoleError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::access::SimAccess;
use crate::backends::Fakes;
use crate::clock::SimClock;

/// See the module. Dropping it is a kill -9.
#[derive(Debug)]
pub(crate) struct SimNode {
    tasks: JoinSet<Result<(), RoleError>>,
    ready: Option<oneshot::Receiver<()>>,
    pub(crate) handle: Arc<MessageHandle>,
    pub(crate) access: Arc<SimAccess>,
    /// Why it has ended by itself.
    pub(crate) why_ended: String,
}

/// What becomes of a process by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It serves from now on.
    Serving,
    /// It has ended.
    Ended,
    /// The access role was told something.
    Told,
}

impl SimNode {
    pub(crate) fn start(fakes: &Fakes, config: &MessageConfig, clock: &SimClock) -> Self {
        let access = Arc::new(SimAccess::default());
        let clock = clock.clone();
        let clock: Clock = Arc::new(move || clock.now());
        let (role, handle) = MessageRole::new("sim", config, fakes.backends(), access.clone(), clock);
        let (ready, is_ready) = oneshot::channel();
        let parts = role.into_tasks(ready);
        let mut tasks = JoinSet::new();
        for task in [parts.deciding, parts.applying, parts.archiving] {
            tasks.spawn(task);
        }
        Self { tasks, ready: Some(is_ready), handle, access, why_ended: String::new() }
    }

    pub(crate) const fn is_serving(&self) -> bool {
        self.ready.is_none()
    }

    /// Waits for the process to change. Cancel-safe.
    pub(crate) async fn turn(&mut self) -> Turn {
        let ready = async {
            match &mut self.ready {
                Some(ready) => ready.await.is_ok(),
                None => std::future::pending().await,
            }
        };
        // In this order, so that a run does not depend on chance.
        tokio::select! {
            biased;
            ended = self.tasks.join_next() => {
                self.why_ended = match ended {
                    Some(Ok(Err(error))) => format!("{error:?}"),
                    other => format!("{other:?}"),
                };
                Turn::Ended
            }
            is_ready = ready => {
                if is_ready {
                    self.ready = None;
                    Turn::Serving
                } else {
                    Turn::Ended
                }
            }
            () = self.access.wait() => Turn::Told,
        }
    }
}
