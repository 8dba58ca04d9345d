//! The time of day of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_types::Timestamp;
use tokio::time::Instant;

/// By how much a look moves a clock that looks move.
const LOOK_MS: u64 = 5;

/// A clock that goes with the time of the test and can be set. Clones show the same time.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    begun: Instant,
    /// What it showed then, as seen from now.
    start: Arc<AtomicU64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), start: Arc::new(AtomicU64::new(1_800_000_000_000)) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.since(self.start.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.start.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn set_back(&self, millis: u64) {
        self.start.fetch_sub(millis, Ordering::Relaxed);
    }

    /// For a role that needs no more than to know the time.
    pub(crate) fn steady(&self) -> anser_message::Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    /// For a role whose time passes with its own looks as well: what it does without waiting has different times.
    pub(crate) fn moved_by_looks(&self) -> anser_message::Clock {
        let clock = self.clone();
        Arc::new(move || clock.since(clock.start.fetch_add(LOOK_MS, Ordering::Relaxed)))
    }

    fn since(&self, start: u64) -> Timestamp {
        Timestamp(start + u64::try_from(self.begun.elapsed().as_millis()).unwrap())
    }
}
