//! A mailbox that came back without its newest writes: the partitions that were written there are replayed from the log.
//!
//! Until the replay begins, the applier lets go of what it has for such a partition: a newer record that was written over the
//! hole would put the mark above it, and the replay would be skipped. Nothing is lost by that, since it is all in the log.

use std::collections::BTreeSet;

use anser_backend::StoreError;
use anser_types::PartitionId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event_loop::MessageLoop;
use crate::rebuild::Rebuild;
use crate::takeover::Step;
use crate::ticks::Every;

/// How often the mailbox is asked whether it came back without something, in ticks of the loop.
const LOOK_TICKS: u32 = 10;

/// The partitions that are to be replayed, as the mailbox refused writes because it lacks earlier ones, or too much was kept for one, or
/// a bucket can be written again; until the loop takes them.
#[derive(Debug, Default)]
pub(crate) struct RolledBack {
    partitions: Mutex<BTreeSet<PartitionId>>,
    /// Those of which the directory was made anew: what is known of conversations there may be of before.
    anew: Mutex<BTreeSet<PartitionId>>,
    changed: Notify,
}

impl RolledBack {
    /// Notes a partition.
    pub(crate) fn note(&self, partition: PartitionId) {
        self.partitions.lock().insert(partition);
        self.changed.notify_one();
    }

    /// Notes a partition of which the directory was made anew.
    pub(crate) fn note_anew(&self, partition: PartitionId) {
        self.anew.lock().insert(partition);
        self.changed.notify_one();
    }

    /// Returns when there are some. Cancel-safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn take(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.partitions.lock())
    }

    fn take_anew(&self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.anew.lock())
    }
}

/// When the mailbox was last asked, and what it said.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    every: Every<LOOK_TICKS>,
    is_asked: bool,
    seen: Seen,
    /// What the applier could not write since: what the mailbox says next tells why.
    refused: BTreeSet<PartitionId>,
    pub(crate) rebuild: Rebuild,
}

/// What the mailbox says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// How often it came back without its newest writes.
    rollbacks: u64,
    /// How often it was asked to be made anew.
    rebuilds: u64,
}

impl MessageLoop {
    /// Sees to what the applier could not write, and to what was made anew.
    pub(crate) fn replay_refused(&mut self) {
        let anew = self.rolled_back.take_anew();
        if !anew.is_empty() {
            self.begin_again(anew.into_iter().collect());
        }
        let refused = self.rolled_back.take();
        if !refused.is_empty() {
            self.looks.refused.extend(refused);
            self.looks.every.hurry();
            self.look_for_rollbacks();
        }
    }

    /// Asks the mailbox now and then: a loss where nobody writes refuses nothing. Goes on with a rebuild.
    pub(crate) fn look_for_rollbacks(&mut self) {
        self.rebuild_on();
        if !self.looks.every.tick() || self.looks.is_asked {
            return;
        }
        self.looks.every.done();
        self.looks.is_asked = true;
        let mailbox = self.backends.mailbox.clone();
        self.steps.push(Box::pin(async move {
            let look =
                async { Ok(Seen { rollbacks: mailbox.rollbacks().await?, rebuilds: mailbox.rebuilds().await? }) };
            Step::Rollbacks(look.await)
        }));
    }

    pub(crate) fn rollbacks(&mut self, seen: Result<Seen, StoreError>) {
        self.looks.is_asked = false;
        let seen = match seen {
            Ok(seen) => seen,
            // While it does not answer, nothing can be written there either.
            Err(error) if error.is_retryable() => return,
            Err(_) => {
                // Whoever looks for the place to replay from meets the same, and says so.
                let refused = std::mem::take(&mut self.looks.refused);
                return self.replay_forgotten(refused.into_iter().collect());
            }
        };
        let before = std::mem::replace(&mut self.looks.seen, seen);
        let refused = std::mem::take(&mut self.looks.refused);
        if before.rollbacks < seen.rollbacks {
            tracing::warn!("the mailbox came back, perhaps without its newest writes");
            // All at once; for a rebuild as well, if there is one.
            self.looks.rebuild.stop();
            self.replay_forgotten(self.node.partitions().collect());
            return;
        }
        if before.rebuilds < seen.rebuilds {
            self.looks.rebuild.begin(self.node.partitions());
            self.rebuild_on();
        }
        // What is replayed already is replayed once more: what was refused of it is not in what comes.
        let refused = refused.into_iter().filter(|partition| !self.looks.rebuild.awaits(*partition));
        self.replay_forgotten(refused.collect());
    }

    fn replay_forgotten(&mut self, partitions: Vec<PartitionId>) {
        let replayed = self.replay(partitions);
        if replayed > 0 {
            tracing::info!(partitions = replayed, "what the mailbox may lack is replayed from the log");
        }
    }

    /// Takes partitions over anew, those that are here. Returns how many.
    pub(crate) fn begin_again(&mut self, partitions: Vec<PartitionId>) -> usize {
        let now = (self.clock)();
        let reclaimed: Vec<_> =
            partitions.into_iter().filter(|partition| self.node.reclaim(*partition, now, &mut self.effects)).collect();
        let count = reclaimed.len();
        self.take_over_anew(reclaimed);
        count
    }

    /// Takes partitions over whose claims were given up.
    pub(crate) fn take_over_anew(&mut self, reclaimed: Vec<PartitionId>) {
        for partition in &reclaimed {
            self.progress.note_not_served(*partition);
            self.let_go_of_kept(*partition);
        }
        self.take_over(reclaimed);
    }
}
