//! Waiting for what must come. Nothing here waits for time to pass.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until there is something, and panics with `what` when that takes longer than `limit`.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < limit, "{place}: waited {limit:?} in vain until {what}");
        }
    }
}

/// Awaits something that must not take longer than `limit`.
#[track_caller]
pub fn within<T>(what: &str, limit: Duration, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let ended = timeout(limit, future).await;
        ended.unwrap_or_else(|_| panic!("{place}: {what} took longer than {limit:?}"))
    }
}
