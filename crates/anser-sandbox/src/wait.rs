//! The clock, and waiting for what must come: real processes take real time.

#![expect(clippy::disallowed_methods, reason = "other programs are waited for, on the clock that they have too")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something; none if that takes longer than `limit`.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() > limit {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Now, to measure from.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Lets time pass, because that is what is asked for.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
