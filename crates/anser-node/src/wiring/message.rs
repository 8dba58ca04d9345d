//! The message role of a node.

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::AccessService;
use anser_message::{Backends, Cluster, MessageHandle, MessageRole, Outside, RoleError, Share, Trouble};
use anser_runtime::{Clock, Drain, Fate, Tasks};
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
    let drain = tasks.drain();
    let tasks = [
        tasks.spawn("message loop", Fate::Vital, tell("message loop", drain.clone(), role.deciding)),
        tasks.spawn("applier", Fate::Vital, tell("applier", drain.clone(), role.applying)),
        tasks.spawn("archiver", Fate::Vital, tell("archiver", drain.clone(), role.archiving)),
    ];
    is_ready.await.map_err(|_| ServeError::NotReady)?;
    Ok(Message { handle, tasks })
}

/// Says why a task of the role failed, also while the node drains: then what was accepted may not be stored.
async fn tell(task: &'static str, drain: Drain, running: impl Future<Output = Result<(), RoleError>>) {
    match running.await {
        Ok(()) => {}
        // Another task has failed, and says so itself.
        Err(RoleError::Ended) => tracing::debug!(task, "ends as another task of the message role has ended"),
        Err(error) => {
            tracing::error!(task, error = &error as &dyn std::error::Error, "message role failed");
            drain.fail(task);
        }
    }
}

impl Message {
    /// Lets operators see how the role is.
    pub(crate) fn show(&self, shown: &Shown) {
        shown.metrics.add(|to| self.handle.metrics().register(to));
        let handle = Arc::clone(&self.handle);
        shown.health.add("its partitions", Weight::Needed, move || not_served(handle.share()));
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

/// Why the role decides nothing, if it does not.
fn not_served(share: Share) -> Option<String> {
    let Share { is_known, has_come, own, served, open } = share;
    if !is_known {
        return Some("it is not known yet which they are".to_owned());
    }
    if !has_come {
        return Some(format!("{served} of {own} are taken over"));
    }
    (own > 0 && open == 0).then(|| format!("none of {own} takes anything in"))
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
    fn a_role_without_its_partitions_is_not_ready() {
        let share =
            |is_known, has_come, own, served| not_served(Share { is_known, has_come, own, served, open: served });
        assert_eq!(share(false, false, 0, 0).as_deref(), Some("it is not known yet which they are"));
        assert_eq!(share(true, false, 86, 40).as_deref(), Some("40 of 86 are taken over"));
        assert_eq!(share(true, true, 86, 0).as_deref(), Some("none of 86 takes anything in"));
        // Some are tried again, or wait for a store to be mended: the others are served.
        assert_eq!(share(true, true, 86, 1), None);
        let full = Share { is_known: true, has_come: true, own: 86, served: 86, open: 0 };
        assert_eq!(not_served(full).as_deref(), Some("none of 86 takes anything in"));
        assert_eq!(share(true, true, 0, 0), None, "there are more nodes than partitions");
    }

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
