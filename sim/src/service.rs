//! Asking the message role, wherever it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anser_cluster::Refusal;
use anser_message::MessageHandle;
use anser_peer::Routes;
use anser_types::{NodeId, PartitionCount, Subject, UserKey};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a question is asked, and when it is asked again.
const PATIENCE: Duration = Duration::from_secs(8);
const AGAIN: Duration = Duration::from_millis(50);

/// Whom a question is for.
#[derive(Debug, Clone)]
pub(crate) enum For {
    /// The node of a user.
    User(UserKey),
    /// The owner of a conversation.
    Owner(Subject),
}

/// Which nodes there are, and who is asked for what.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) routes: Routes,
    pub(crate) partitions: PartitionCount,
    pub(crate) nodes: BTreeMap<NodeId, Reachable>,
    /// Those that nobody else reaches.
    pub(crate) cut: BTreeSet<NodeId>,
}

/// A process that can be asked, and whether it lives.
#[derive(Debug, Clone)]
pub(crate) struct Reachable {
    pub(crate) handle: Arc<MessageHandle>,
    pub(crate) death: Arc<Death>,
}

/// Tells those who wait for an answer of a process that it has died, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Death {
    has_come: AtomicBool,
    comes: Notify,
}

impl Death {
    pub(crate) fn come(&self) {
        self.has_come.store(true, Ordering::Relaxed);
        self.comes.notify_waiters();
    }

    pub(crate) async fn wait(&self) {
        let comes = self.comes.notified();
        if !self.has_come.load(Ordering::Relaxed) {
            comes.await;
        }
    }
}

impl Directory {
    /// A process that can be asked now.
    pub(crate) fn reachable(&self, node: NodeId) -> Option<Reachable> {
        self.nodes.get(&node).filter(|_| !self.cut.contains(&node)).cloned()
    }

    fn target(&self, whom: &For) -> Option<NodeId> {
        match whom {
            For::User(user) => self.routes.message_node(user),
            For::Owner(subject) => self.routes.owner(subject.partition(self.partitions)),
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// There is one node.
    One(Arc<MessageHandle>),
    /// There are several.
    Fleet(Arc<Mutex<Directory>>),
}

impl Service {
    /// Asks, and asks again when a node dies over it. `None`: whether it was done is not known.
    pub(crate) async fn ask<T>(
        &self,
        whom: &For,
        mut question: impl AsyncFnMut(&MessageHandle) -> Result<T, Refusal>,
    ) -> Option<Result<T, Refusal>> {
        let directory = match self {
            Self::One(handle) => return Some(question(handle).await),
            Self::Fleet(directory) => directory,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (node, reachable) = {
                let directory = directory.lock();
                let node = directory.target(whom);
                (node, node.and_then(|node| directory.reachable(node)))
            };
            if let Some(Reachable { handle, death }) = reachable {
                let answer = tokio::select! {
                    biased;
                    answer = question(&handle) => Some(answer),
                    () = death.wait() => None,
                    () = sleep_until(deadline) => return None,
                };
                // Of a node that was cut off meanwhile no answer comes.
                let answer = answer.filter(|_| node.is_some_and(|node| !directory.lock().cut.contains(&node)));
                match answer {
                    // The node knew better, and the routes have changed meanwhile.
                    Some(Err(Refusal::UNAVAILABLE)) if directory.lock().target(whom) != node => {}
                    Some(answer) => return Some(answer),
                    None => {}
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(AGAIN).await;
        }
    }
}
