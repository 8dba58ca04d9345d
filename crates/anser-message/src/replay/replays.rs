//! The replays that are asked for or under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anser_backend::{LogReader, StoreError};
use anser_types::{PartitionId, Subject};
use tokio::sync::Semaphore;

use super::reading::Reading;
use crate::takeover::Permit;
use crate::ticks::Every;

/// How many there are at a time. They hold up no take-over, so their permits are others.
const AT_ONCE: usize = 3;
/// How often what could not be read is tried again, in ticks of the loop.
const TRY_AGAIN_TICKS: u32 = 5;

/// Names a replay among those of this life of the node.
pub(super) type Id = u64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Replays {
    /// The newest of each partition; what older ones still read is of no use.
    newest: BTreeMap<PartitionId, Id>,
    pub(super) under_way: BTreeMap<Id, Replay>,
    last: Id,
    pub(super) permits: Arc<Semaphore>,
    /// What could not be read, and is tried again.
    pub(super) failed: BTreeSet<PartitionId>,
    pub(super) tries: Every<TRY_AGAIN_TICKS>,
    /// How often a conversation could not be loaded of a partition that is replayed.
    load_failures: u32,
    /// Whether those that wait for something are to look again.
    pub(super) look_again: bool,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            newest: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last: 0,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            failed: BTreeSet::new(),
            tries: Every::default(),
            load_failures: 0,
            look_again: false,
        }
    }
}

impl Replays {
    /// Whether a partition is still to be replayed.
    pub(crate) fn has(&self, partition: PartitionId) -> bool {
        self.newest.contains_key(&partition) || self.failed.contains(&partition)
    }

    /// Whether the replay of a partition waits for a conversation, for however long.
    pub(crate) fn waits(&self, partition: PartitionId) -> bool {
        self.under_way.values().any(|replay| replay.reading.get(&partition).is_some_and(Reading::is_waiting))
    }

    /// The partitions that are to take nothing in until they are replayed.
    pub(crate) fn behind(&self) -> BTreeSet<PartitionId> {
        let reading = self.under_way.values().flat_map(|replay| &replay.reading);
        reading.filter(|(_, reading)| reading.falls_behind()).map(|(partition, _)| *partition).collect()
    }

    /// A conversation was loaded, for which one may wait.
    pub(crate) const fn note_loaded(&mut self) {
        self.look_again = true;
    }

    /// A conversation could not be loaded; it is tried again if a replay waits for it.
    pub(super) fn note_not_loaded(&mut self, partition: PartitionId, subject: &Subject, error: &StoreError) {
        if !self.has(partition) {
            return;
        }
        self.load_failures = self.load_failures.saturating_add(1);
        if self.load_failures.is_power_of_two() {
            let (failures, source) = (self.load_failures, std::error::Error::source(error));
            tracing::warn!(
                %partition, ?subject, failures, %error, ?source,
                "a conversation cannot be read, and what the mailbox forgot of its partition waits for that"
            );
        }
    }

    pub(super) fn begin(&mut self, partitions: impl IntoIterator<Item = PartitionId>) -> Id {
        if self.newest.is_empty() {
            self.load_failures = 0;
        }
        self.last += 1;
        for partition in partitions {
            self.newest.insert(partition, self.last);
            self.failed.remove(&partition);
        }
        self.last
    }

    pub(super) fn is_newest(&self, id: Id, partition: PartitionId) -> bool {
        self.newest.get(&partition) == Some(&id)
    }

    /// Partitions of a replay are to be replayed later.
    pub(super) fn put_off(&mut self, id: Id, partitions: impl IntoIterator<Item = PartitionId>) {
        for partition in partitions {
            if self.is_newest(id, partition) {
                self.newest.remove(&partition);
                self.failed.insert(partition);
            }
        }
    }

    /// Partitions of a replay are replayed, or are to be by another one, or are not served any more.
    pub(super) fn end(&mut self, id: Id, is_over: impl Fn(&PartitionId) -> bool) {
        self.newest.retain(|partition, newest| *newest != id || !is_over(partition));
    }
}

/// Some partitions that are read together.
pub(super) struct Replay {
    pub(super) reading: BTreeMap<PartitionId, Reading>,
    /// While nothing is read.
    pub(super) reader: Option<Box<dyn LogReader>>,
    /// Whether there was no more to read; there will be.
    pub(super) is_at_end: bool,
    /// Whether it goes on in another turn.
    pub(super) is_pausing: bool,
    /// Until all of them are applied, or wait for conversations.
    pub(super) permit: Permit,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("reading", &self.reading).finish_non_exhaustive()
    }
}
