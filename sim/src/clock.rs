//! The clock of the simulated machine: virtual time, plus whatever somebody has set it off by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anser_types::Timestamp;
use tokio::time::Instant;

/// When every run begins.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// A clock that can be set. Clones show the same time.
#[derive(Debug, Clone)]
pub(crate) struct SimClock {
    start: Instant,
    off_by: Arc<AtomicI64>,
    /// The farthest that it was ever ahead.
    ahead: Arc<AtomicI64>,
    set_forward: Arc<AtomicU64>,
}

impl SimClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), off_by: Arc::default(), ahead: Arc::default(), set_forward: Arc::default() }
    }

    /// Milliseconds of virtual time since the beginning of the run. Never goes back.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time of day that the server's machine believes in.
    pub(crate) fn now(&self) -> Timestamp {
        let true_time = EPOCH_MS + self.elapsed();
        Timestamp(true_time.saturating_add_signed(self.off_by.load(Ordering::Relaxed)))
    }

    /// The same clock as terminals have it: it does not follow it back.
    pub(crate) fn onward(&self) -> Timestamp {
        self.true_now().0.checked_add_signed(self.ahead.load(Ordering::Relaxed)).map_or(Timestamp(u64::MAX), Timestamp)
    }

    /// The time of day that everybody else believes in.
    pub(crate) fn true_now(&self) -> Timestamp {
        Timestamp(EPOCH_MS + self.elapsed())
    }

    /// Sets the machine's clock to be off by so many milliseconds.
    pub(crate) fn set_off_by(&self, millis: i64) {
        self.ahead.fetch_max(millis, Ordering::Relaxed);
        if self.off_by.swap(millis, Ordering::Relaxed) < millis {
            self.set_forward.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often the machine's clock was set forward.
    pub(crate) fn times_set_forward(&self) -> u64 {
        self.set_forward.load(Ordering::Relaxed)
    }

    /// The moment at which so many milliseconds have passed.
    pub(crate) fn instant(&self, elapsed: u64) -> Instant {
        self.start + std::time::Duration::from_millis(elapsed)
    }
}
