//! A mailbox that is to be made anew: the partitions are replayed as far back as timelines go.
//!
//! Of a partition that is replayed nothing new is delivered, so only a few are at a time. In the others it is; what the mailbox does not
//! take of them before their turn has come, the replay brings.

use std::collections::BTreeSet;

use anser_core::owner::Owner;
use anser_types::PartitionId;

use crate::event_loop::MessageLoop;
use crate::troubles::Trouble;

/// How many partitions of a node are replayed at a time: enough that one waits for the log while others are applied.
const AT_ONCE: usize = 4;

/// The partitions that are still to be replayed, and those that are.
#[derive(Debug, Default)]
pub(crate) struct Rebuild {
    waiting: BTreeSet<PartitionId>,
    under_way: BTreeSet<PartitionId>,
}

impl Rebuild {
    /// All of these are to be replayed.
    pub(crate) fn begin(&mut self, partitions: impl Iterator<Item = PartitionId>) {
        self.waiting = partitions.collect();
        tracing::info!(
            partitions = self.waiting.len(),
            "the mailbox is made anew; partitions are replayed from the log"
        );
    }

    /// None is to be replayed any more; somebody else sees to it.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Whether a partition waits for its turn.
    pub(crate) fn awaits(&self, partition: PartitionId) -> bool {
        self.waiting.contains(&partition)
    }
}

impl MessageLoop {
    /// Goes on with the next ones when others are done.
    pub(crate) fn rebuild_on(&mut self) {
        let (node, replays, troubles) = (&self.node, &self.replays, &self.progress.troubles);
        // Those that wait for the directory, or for somebody to mend something, do not hold up the others.
        let is_read = |partition: &PartitionId| {
            if node.owner(*partition).is_some_and(Owner::is_serving) {
                replays.has(*partition) && !replays.waits(*partition)
            } else {
                node.owner(*partition).is_some() && !troubles.has(Trouble::NotTakenOver, *partition)
            }
        };
        self.looks.rebuild.under_way.retain(is_read);
        let free = AT_ONCE.saturating_sub(self.looks.rebuild.under_way.len());
        let next: Vec<PartitionId> = self.looks.rebuild.waiting.iter().copied().take(free).collect();
        if next.is_empty() {
            return;
        }
        for partition in &next {
            self.looks.rebuild.waiting.remove(partition);
            self.looks.rebuild.under_way.insert(*partition);
        }
        self.replay(next);
        if self.looks.rebuild.waiting.is_empty() {
            tracing::info!("the last partitions of this node are replayed for the new mailbox");
        }
    }
}
