//! The message role of a node.

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::AccessService;
use anser_message::{Backends, Cluster, MessageHandle, MessageRole, Outside, RoleError, Trouble};
use anser_runtime::{Clock, Fate, Tasks};
use anser_types::{BucketId, PartitionId};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::admin::Shown;
use crate::ServeError;
use crate::config::NodeConfig;
use crate::health::Weight;
use crate::status::PartitionStatus;

/// How long the role may take to decide and apply what it has accepted.
const FINISH: Duration = Duration::from_secs(20);

/// How long partitions may take to leave at the end.
const HAND_OVER: Duration = Duration::from_secs(10);

/// What the role is connected to.
pub(crate) struct Parts<'a> {
    /// The node, in words for people.
    pub(crate) name: &'a str,
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Cluster>,
}

/// The running role.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) handle: Arc<MessageHandle>,
    tasks: [JoinHandle<()>; 3],
}

/// Starts the role; returns when it has taken over all partitions that are its own by then.
pub(crate) async fn start(
    config: &NodeConfig,
    parts: Parts<'_>,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Message, ServeError> {
    let now = clock.clone();
    let now: anser_message::Clock = Arc::new(move || now.now());
    let Parts { name, backends, access, cluster } = parts;
    let outside = Outside { backends, access, clock: now, cluster };
    let (role, handle) = MessageRole::new(name, &config.message, outside);
    let (ready, is_ready) = oneshot::channel();
    let role = role.into_tasks(ready);
    let tasks = [
        tasks.spawn("message loop", Fate::Vital, tell("message loop", role.deciding)),
        tasks.spawn("applier", Fate::Vital, tell("applier", role.applying)),
        tasks.spawn("archiver", Fate::Vital, tell("archiver", role.archiving)),
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
    /// Lets operators see how the role is.
    pub(crate) fn show(&self, shown: &Shown) {
        shown.metrics.add(|to| self.handle.metrics().register(to));
        let handle = Arc::clone(&self.handle);
        shown.health.add("mailbox", Weight::Wished, move || parked(&handle.parked()));
        let handle = Arc::clone(&self.handle);
        shown.health.add("partitions", Weight::Wished, move || troubled(&handle.troubles()));
        let handle = Arc::clone(&self.handle);
        shown.parts.tell_partitions(move || {
            let states = handle.partitions().into_iter();
            let told = states.map(|state| PartitionStatus {
                partition: state.partition.0,
                to_apply: state.to_apply,
                to_archive: state.to_archive,
                stopped: state.is_stopped,
                held_back: state.is_held_back,
            });
            told.collect()
        });
    }

    /// Returns when all partitions have left for other nodes, or take too long.
    pub(crate) async fn hand_over(&self) {
        if tokio::time::timeout(HAND_OVER, self.handle.released()).await.is_err() {
            tracing::warn!("some partitions did not leave in time; their next owners go on from the log");
        }
    }

    /// Takes nothing more, and returns when all that was accepted is decided and applied, or takes too long. What
    /// history has not taken by then it gets from the log.
    pub(crate) async fn finish(self) {
        self.handle.close();
        let ended = async {
            for task in self.tasks {
                task.await.ok();
            }
        };
        if tokio::time::timeout(FINISH, ended).await.is_err() {
            tracing::warn!("the message role did not finish in time; the next start goes on from the log");
        }
    }
}

/// What to say of buckets that wait, if there are any.
fn parked(buckets: &[(BucketId, String)]) -> Option<String> {
    let (first, why) = buckets.first()?;
    let numbers: Vec<String> = buckets.iter().map(|(bucket, _)| bucket.0.to_string()).collect();
    let (count, numbers) = (numbers.len(), numbers.join(", "));
    Some(format!(
        "{count} of 256 buckets parked ({numbers}): what comes for their users waits in the log until redis is mended; bucket {}: {why}",
        first.0
    ))
}

/// What to say of partitions that wait until a store is mended, if there are any.
fn troubled(troubles: &[(Trouble, PartitionId, String)]) -> Option<String> {
    let say = |trouble: Trouble, what: &str| {
        let of: Vec<_> = troubles.iter().filter(|(known, ..)| *known == trouble).collect();
        let (_, first, why) = of.first()?;
        let numbers: Vec<String> = of.iter().map(|(_, partition, _)| partition.to_string()).collect();
        Some(format!("{} {what} until that is mended ({}); {first}: {why}", of.len(), numbers.join(", ")))
    };
    let taken_over = say(Trouble::NotTakenOver, "take nothing in");
    let archived = say(Trouble::NotArchived, "are not archived");
    let said: Vec<String> = taken_over.into_iter().chain(archived).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_said_by_what_waits_with_the_first_reason() {
        assert_eq!(troubled(&[]), None);
        let trouble = |trouble, partition, why: &str| (trouble, PartitionId(partition), why.to_owned());
        let both = [
            trouble(Trouble::NotTakenOver, 3, "it is gone"),
            trouble(Trouble::NotTakenOver, 7, "it is gone, too"),
            trouble(Trouble::NotArchived, 9, "nobody wrote these bytes"),
        ];
        let said = "2 take nothing in until that is mended (3, 7); 3: it is gone; \
                    1 are not archived until that is mended (9); 9: nobody wrote these bytes";
        assert_eq!(troubled(&both).as_deref(), Some(said));
    }
}
