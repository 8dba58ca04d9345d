//! Local time for a session: the wall clock of the start, moved on by a clock that never goes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anser_types::Timestamp;
use tokio::time::Instant;

/// Milliseconds since 1970 that never go back, whatever happens to the wall clock. Follows Tokio's time, so that a paused
/// test pauses it too.
#[derive(Debug, Clone, Copy)]
pub struct LocalClock {
    started: Instant,
    wall: Timestamp,
}

impl LocalClock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place where a client reads the wall clock")]
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX));
        Self { started: Instant::now(), wall }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_millis();
        self.wall.plus(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// When it is `time`, rounded up to the next millisecond. For times before the start: the start.
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        self.started + Duration::from_millis(time.since(self.wall))
    }
}
