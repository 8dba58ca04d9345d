//! A table that can forget its newest writes: the in-memory reference of a port, and the list of everything that was
//! written to it.

use std::collections::BTreeMap;

use anser_backend::{BoxFuture, StoreError};
use anser_types::{Mark, PartitionId};
use futures_util::FutureExt;

/// What can be written again.
pub(super) trait Redo {
    type Write: Clone;

    fn fresh() -> Self;
    /// Writes; what it answers is not needed.
    fn redo(&self, write: &Self::Write);
    /// The place to replay from that a write notes.
    fn noted(write: &Self::Write) -> Option<(PartitionId, Mark)>;
}

#[derive(Debug)]
pub(super) struct Table<M: Redo> {
    pub(super) live: M,
    writes: Vec<M::Write>,
    flushed: usize,
    /// Below these, everything is written; and below those, flushed; and below the last, it was at the flush before.
    noted: BTreeMap<PartitionId, Mark>,
    safe: BTreeMap<PartitionId, Mark>,
    old: BTreeMap<PartitionId, Mark>,
}

/// How new a place to replay from may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As new as what was noted: the table never forgets.
    Newest,
    /// Not newer than what it can not forget.
    Safe,
    /// Some time old. Whoever noted it has told everybody by now, or has been dead for long.
    Old,
}

impl Place {
    /// Of a table that forgets so often, of a thousand times.
    pub(super) const fn of(forget: u64) -> Self {
        if forget > 0 { Self::Safe } else { Self::Newest }
    }
}

impl<M: Redo> Table<M> {
    pub(super) fn new() -> Self {
        let (noted, safe, old) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { live: M::fresh(), writes: Vec::new(), flushed: 0, noted, safe, old }
    }

    /// Notes a write that was done.
    pub(super) fn done(&mut self, write: M::Write) {
        if let Some((partition, next)) = M::noted(&write) {
            let noted = self.noted.entry(partition).or_default();
            *noted = next.max(*noted);
        }
        self.writes.push(write);
    }

    pub(super) fn flush(&mut self) {
        self.old = std::mem::replace(&mut self.safe, self.noted.clone());
        self.flushed = self.writes.len();
    }

    /// Forgets what was not flushed.
    pub(super) fn forget(&mut self) {
        self.writes.truncate(self.flushed);
        self.noted = self.safe.clone();
        self.live = M::fresh();
        for write in &self.writes {
            self.live.redo(write);
        }
    }

    /// Takes back that they were noted; what is live has to forget them by itself.
    pub(super) fn roll_back(&mut self) {
        self.writes.truncate(self.flushed);
        self.noted = self.safe.clone();
    }

    /// From where a partition is to be replayed.
    pub(super) fn replay_from(&self, partition: PartitionId, place: Place) -> Mark {
        let places = match place {
            Place::Newest => &self.noted,
            Place::Safe => &self.safe,
            Place::Old => &self.old,
        };
        places.get(&partition).copied().unwrap_or_default()
    }
}

/// The answer of a table in memory.
pub(super) fn now<T>(answer: BoxFuture<'_, T>) -> T {
    answer.now_or_never().expect("a table in memory answers at once")
}

pub(super) fn unavailable() -> StoreError {
    StoreError::Unavailable("simulated".into())
}
