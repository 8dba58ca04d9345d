//! Rebuilding what is in memory: the reference for what every other one must do.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use anser_types::{Offset, PartitionId, Timestamp};

use super::{MemoryDirectory, MemoryHistory};
use crate::{BoxFuture, HistoryWrite, RebuildAsked, RebuildState, Rebuilds, StoreError, ViewsAnew};

/// [`Rebuilds`] of a [`MemoryHistory`] and a [`MemoryDirectory`]. Clones share the same tables.
#[derive(Debug, Clone)]
pub struct MemoryRebuilds {
    history: MemoryHistory,
    directory: MemoryDirectory,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    asked: Option<RebuildAsked>,
    begun: HashMap<PartitionId, Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Timestamp,
    by: u64,
    state: RebuildState,
}

impl State {
    fn of(&self, partition: PartitionId, asked: RebuildAsked) -> Option<RebuildState> {
        self.begun.get(&partition).filter(|begun| begun.at == asked.at).map(|begun| begun.state)
    }
}

impl MemoryRebuilds {
    /// Of these tables.
    pub fn new(history: MemoryHistory, directory: MemoryDirectory) -> Self {
        Self { history, directory, state: Arc::default() }
    }
}

fn ready<T: Send + 'static>(result: T) -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(std::future::ready(Ok(result)))
}

impl Rebuilds for MemoryRebuilds {
    fn ask(&self, since: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<RebuildAsked, StoreError>> {
        let mut state = self.state.lock();
        let at = state.asked.map_or(now, |before| now.max(before.at.plus(1)));
        ready(*state.asked.insert(RebuildAsked { at, since }))
    }

    fn asked(&self) -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>> {
        ready(self.state.lock().asked)
    }

    fn states(
        &self,
        asked: RebuildAsked,
        partitions: Vec<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<(PartitionId, RebuildState)>, StoreError>> {
        let state = self.state.lock();
        let of = |partition| state.of(partition, asked).map(|state| (partition, state));
        ready(partitions.into_iter().filter_map(of).collect())
    }

    fn begin(
        &self,
        partition: PartitionId,
        by: Option<u64>,
    ) -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>> {
        let mut state = self.state.lock();
        let is_done = |asked: &RebuildAsked| state.of(partition, *asked).is_some_and(|state| state.is_done);
        let is_newer = |asked: &RebuildAsked| {
            let begun = state.begun.get(&partition).filter(|begun| begun.at == asked.at);
            by.is_some_and(|by| begun.is_some_and(|begun| begun.by > by))
        };
        let asked = state.asked.filter(|asked| !is_done(asked) && !is_newer(asked));
        if let (Some(asked), Some(by)) = (asked, by) {
            state.begun.insert(partition, Begun { at: asked.at, by, state: RebuildState::default() });
        }
        ready(asked)
    }

    fn note(&self, partition: PartitionId, place: Offset, hidden: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(begun) = self.state.lock().begun.get_mut(&partition) {
            (begun.state.place, begun.state.hidden) = (place, hidden);
        }
        ready(())
    }

    fn end(&self, partition: PartitionId, by: u64, asked: RebuildAsked) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut state = self.state.lock();
        let begun = state.begun.get_mut(&partition).filter(|begun| begun.by == by && begun.at == asked.at);
        ready(begun.map(|begun| begun.state.is_done = true).is_some())
    }

    fn write_rows(&self, writes: Vec<HistoryWrite>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.history.write_rows(writes);
        ready(())
    }

    fn write_views(&self, views: ViewsAnew) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.history.write_heads(&views.heads);
        self.directory.write_views(views.from, &views.changes);
        ready(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::rebuild::{Anew, RebuildFixture};

    struct Fixture;

    impl RebuildFixture for Fixture {
        fn create(&self) -> BoxFuture<'_, Anew> {
            let (history, directory) = (MemoryHistory::new(), MemoryDirectory::new());
            let rebuilds = Arc::new(MemoryRebuilds::new(history.clone(), directory.clone()));
            let (history, directory) = (Arc::new(history), Arc::new(directory));
            Box::pin(std::future::ready(Anew { history, directory, rebuilds }))
        }
    }

    crate::rebuild_suite!(Fixture);
}
