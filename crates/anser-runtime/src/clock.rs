//! The time of day, as something that is handed in.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use anser_types::Timestamp;
use tokio::time::Instant;

/// From how much on a difference between the clock of the machine and the time that has passed is a step, not a correction.
const STEP_MS: u64 = 500;

/// For tests alone: the file of this variable says by how many milliseconds the machine's clock is to appear off. It is read
/// each time, so that the clock of a process that runs can be set; while it is not there, the clock is as it is.
const TEST_CLOCK: &str = "TEST_CLOCK_OFF_FILE";

static TEST_CLOCK_FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(TEST_CLOCK).map(PathBuf::from));

/// A clock. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
    Onward(Arc<Onward>),
    Steady(Arc<Steady>),
}

/// A clock that is followed forward, but not back.
#[derive(Debug)]
struct Onward {
    of: Clock,
    since: Instant,
    /// The time that it showed at `since`, as seen from the farthest that it has been ahead.
    start: AtomicU64,
}

/// A clock that is followed where it goes evenly, and not where it is set.
#[derive(Debug)]
struct Steady {
    of: Clock,
    since: Instant,
    /// The time that it showed at `since`, as seen from now.
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
            Source::Steady(steady) => steady.now(),
        }
    }

    /// A clock that goes with this one, but never back: when this one is set back, it goes on from where it is. What waits is
    /// measured by it, so that nothing waits for an hour because a machine's clock was set.
    pub fn onward(&self) -> Self {
        Self(Source::Onward(Arc::new(Onward { of: self.clone(), since: Instant::now(), start: AtomicU64::new(0) })))
    }

    /// A clock that goes with this one through small corrections. When this one is set, it goes on as if nothing had been,
    /// until [`Self::follow`]: among nodes that are told the time, one that is suddenly wrong must not tell others.
    pub fn steady(&self) -> Self {
        let start = AtomicU64::new(self.now().0);
        Self(Source::Steady(Arc::new(Steady { of: self.clone(), since: Instant::now(), start })))
    }

    /// What the clock behind a steady one shows; of any other one, what it shows.
    pub fn followed(&self) -> Timestamp {
        match &self.0 {
            Source::Steady(steady) => steady.of.now(),
            _ => self.now(),
        }
    }

    /// From now on a steady clock shows what the one behind it shows.
    pub fn follow(&self) {
        if let Source::Steady(steady) = &self.0 {
            let passed = steady.passed_ms();
            steady.set(steady.of.now(), passed);
        }
    }
}

impl Steady {
    fn now(&self) -> Timestamp {
        // In this order: what a process sleeps through between the two then looks like a step, and is not kept.
        let passed = self.passed_ms();
        let told = self.of.now();
        if told.0.abs_diff(self.start.load(Ordering::Relaxed).saturating_add(passed)) >= STEP_MS {
            return Timestamp(self.start.load(Ordering::Relaxed).saturating_add(self.passed_ms()));
        }
        self.set(told, passed);
        told
    }

    fn set(&self, told: Timestamp, passed: u64) {
        self.start.store(told.0.saturating_sub(passed), Ordering::Relaxed);
    }

    fn passed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
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
    let now = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Timestamp(TEST_CLOCK_FILE.as_ref().map_or(now, |file| now.saturating_add_signed(test_off_ms(file))))
}

#[cold]
fn test_off_ms(file: &std::path::Path) -> i64 {
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
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

    #[tokio::test(start_paused = true)]
    async fn a_steady_clock_takes_corrections_and_no_step() {
        const HOUR_MS: u64 = 3_600_000;
        let (clock, hands) = Clock::manual(Timestamp(10 * HOUR_MS));
        let steady = clock.steady();
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(1_000)).await;
            hands.advance(1_400);
            assert_eq!(steady.now(), clock.now(), "a clock that is corrected is followed");
        }
        let before = steady.now();
        for wrong in [before.plus(HOUR_MS), before.minus(HOUR_MS), before.plus(600)] {
            hands.set(wrong);
            assert_eq!((steady.now(), steady.followed()), (before, wrong));
        }
        tokio::time::advance(Duration::from_millis(7)).await;
        assert_eq!(steady.now(), before.plus(7), "it goes on");
        hands.set(before.plus(8));
        assert_eq!(steady.now(), before.plus(8), "the clock was set right again");
        hands.set(before.plus(HOUR_MS));
        steady.follow();
        assert_eq!(steady.now(), before.plus(HOUR_MS), "it is told that the step was right");
    }

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(Clock::system().now() > Timestamp(1_577_836_800_000));
    }
}
