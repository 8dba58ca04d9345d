//! The time of day, as something that is handed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_types::Timestamp;
use tokio::time::Instant;

/// A clock. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
    Onward(Arc<Onward>),
}

/// A clock that is followed forward, but not back.
#[derive(Debug)]
struct Onward {
    of: Clock,
    since: Instant,
    /// The time that it showed at `since`, as seen from the farthest that it has been ahead.
    start: AtomicU64,
}

impl Clock {
    /// The clock of the machine.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until its hands are moved.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hands = Arc::new(AtomicU64::new(start.0));
        (Self(Source::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// The time now, in milliseconds. It may stand still and it may go back: a machine's clock can be set.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(hands) => Timestamp(hands.load(Ordering::Relaxed)),
            Source::Onward(onward) => onward.now(),
        }
    }

    /// A clock that goes with this one, but never back: when this one is set back, it goes on from where it is. What waits is
    /// measured by it, so that nothing waits for an hour because a machine's clock was set.
    pub fn onward(&self) -> Self {
        Self(Source::Onward(Arc::new(Onward { of: self.clone(), since: Instant::now(), start: AtomicU64::new(0) })))
    }
}

impl Onward {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let start = self.of.now().0.saturating_sub(passed);
        let start = self.start.fetch_max(start, Ordering::Relaxed).max(start);
        Timestamp(start.saturating_add(passed))
    }
}

/// The hands of a manual clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Sets the time.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, Ordering::Relaxed);
    }

    /// Moves the time on.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A machine that believes to be before 1970 is at the beginning of time.
    Timestamp(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_moved() {
        let (clock, hands) = Clock::manual(Timestamp(5));
        assert_eq!(clock.now(), Timestamp(5));
        hands.advance(7);
        assert_eq!(clock.now(), Timestamp(12));
        hands.set(Timestamp(1));
        assert_eq!(clock.now(), Timestamp(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_onward_follows_forward_and_not_back() {
        let (clock, hands) = Clock::manual(Timestamp(1_000_000));
        let onward = clock.onward();
        assert_eq!(onward.now(), Timestamp(1_000_000));
        hands.set(Timestamp(5));
        tokio::time::advance(Duration::from_millis(30)).await;
        assert_eq!(onward.now(), Timestamp(1_000_030), "time goes on");
        hands.set(Timestamp(2_000_000));
        assert_eq!(onward.now(), Timestamp(2_000_000));
    }

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(Clock::system().now() > Timestamp(1_577_836_800_000));
    }
}
