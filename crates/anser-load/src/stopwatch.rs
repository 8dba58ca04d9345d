//! Microseconds that all processes of a run share.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Microseconds since 1970 as of the start, moved on by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
    wall_us: u64,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the one place where the load tool reads the wall clock")]
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), wall_us: u64::try_from(since_1970.as_micros()).unwrap_or(0) }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.wall_us.saturating_add(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(0))
    }
}
