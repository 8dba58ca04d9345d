//! A mailbox that came back without its newest writes: the partitions that were written there are taken over anew, which replays
//! what it forgot.
//!
//! Until the replay begins, the applier lets go of what it has for such a partition: a newer record that was written over the
//! hole would put the mark above it, and the replay would be skipped. Nothing is lost by that, since it is all in the log.

use std::collections::BTreeSet;

use anser_backend::StoreError;
use anser_types::PartitionId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event_loop::MessageLoop;
use crate::takeover::Step;

/// How often the mailbox is asked whether it came back without something, in ticks of the loop.
const LOOK_TICKS: u32 = 10;

/// The partitions whose writes the mailbox refused because it lacks earlier ones, until the loop takes them.
#[derive(Debug, Default)]
pub(crate) struct RolledBack {
    partitions: Mutex<BTreeSet<PartitionId>>,
    changed: Notify,
}

impl RolledBack {
    /// Notes a partition.
    pub(crate) fn note(&self, partition: PartitionId) {
        self.partitions.lock().insert(partition);
        self.changed.notify_one();
    }

    /// Returns when there are some. Cancel-safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn take(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.partitions.lock())
    }
}

/// When the mailbox was last asked, and what it said.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    ticks: u32,
    is_asked: bool,
    rollbacks: u64,
}

impl MessageLoop {
    /// Takes over anew what the applier could not write.
    pub(crate) fn replay_refused(&mut self) {
        let partitions: Vec<_> = self.rolled_back.take().into_iter().collect();
        self.replay(partitions);
    }

    /// Asks the mailbox now and then: a loss where nobody writes refuses nothing.
    pub(crate) fn look_for_rollbacks(&mut self) {
        self.looks.ticks += 1;
        if self.looks.ticks < LOOK_TICKS || self.looks.is_asked {
            return;
        }
        self.looks.ticks = 0;
        self.looks.is_asked = true;
        let mailbox = self.backends.mailbox.clone();
        self.steps.push(Box::pin(async move { Step::Rollbacks(mailbox.rollbacks().await) }));
    }

    pub(crate) fn rollbacks(&mut self, seen: Result<u64, StoreError>) {
        self.looks.is_asked = false;
        // While it does not answer, nothing can be written there either.
        let Ok(seen) = seen else { return };
        if std::mem::replace(&mut self.looks.rollbacks, seen) < seen {
            self.replay(self.node.partitions().collect());
        }
    }

    fn replay(&mut self, partitions: Vec<PartitionId>) {
        let now = (self.clock)();
        let reclaimed: Vec<_> =
            partitions.into_iter().filter(|partition| self.node.reclaim(*partition, now, &mut self.effects)).collect();
        if !reclaimed.is_empty() {
            tracing::warn!(
                partitions = reclaimed.len(),
                "the mailbox came back, perhaps without its newest writes; they are replayed from the log"
            );
        }
        self.take_over(reclaimed);
    }
}
