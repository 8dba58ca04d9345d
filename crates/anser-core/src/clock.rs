//! The clock that a node decides by. It is told the machine's time and keeps what the machines hang on: a time of day that
//! never goes back, and a count of the time that has passed, which no setting of the clock changes.

use anser_types::Timestamp;

/// How much one call may say has passed. Calls come several times a second: whatever is more was set, or slept through.
const STEP_MS_MAX: u64 = 1_000;

/// A process that is not heard of for so long may be taken for dead by others: its lease of two seconds is renewed every half.
const STOOD_STILL_MS: u64 = 1_500;

/// A moment as a node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// The time of day, by which messages are stamped. Never goes back.
    pub now: Timestamp,
    /// How much time has passed since the node began. Waiting is measured by it: a clock that is set does not end it.
    pub passed_ms: u64,
}

/// The clock of a node: all its owners and queues decide by it.
///
/// It follows the machine's. Where that was set back, or the log is ahead of it, it goes on at half the pace until the machine's
/// clock has come up to it: so it never goes back, no conversation comes to a stop, and an hour ahead is gone in two.
///
/// One clock for all partitions, so that what a user sends sorts behind what the user was acked or shown, in whichever
/// partition that was, though the machine's clock was set back by an hour.
#[derive(Debug, Default)]
pub(crate) struct NodeClock {
    told: Timestamp,
    moment: Moment,
    /// Half a millisecond that is left from the last call while the clock is ahead.
    has_half: bool,
    stood_still: bool,
}

impl NodeClock {
    /// Takes the machine's time.
    pub(crate) fn advance(&mut self, told: Timestamp) -> Moment {
        let took_ms = told.since(self.told);
        self.stood_still = self.told > Timestamp::ZERO && took_ms >= STOOD_STILL_MS;
        let passed_ms = took_ms.min(STEP_MS_MAX);
        self.told = told;
        self.moment.passed_ms += passed_ms;
        if told < self.moment.now {
            let halves = passed_ms + u64::from(self.has_half);
            self.has_half = halves % 2 == 1;
            self.moment.now = self.moment.now.plus(halves / 2);
        }
        self.moment.now = self.moment.now.max(told);
        self.moment
    }

    /// Whether much more time passed before the last call than calls are apart: the process stood still, or the clock was set.
    pub(crate) const fn stood_still(&self) -> bool {
        self.stood_still
    }

    /// From now on it is not below this time.
    pub(crate) fn raise(&mut self, floor: Timestamp) {
        self.moment.now = self.moment.now.max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn after_it_was_set_back_it_comes_back_to_the_machines_clock_and_never_goes_back() {
        let mut clock = NodeClock::default();
        let start = Timestamp(10 * HOUR_MS);
        let mut last = clock.advance(start).now;
        let mut steps = 0;
        let mut told = start.minus(HOUR_MS);
        while last != told {
            told = told.plus(if steps % 2 == 0 { 33 } else { 100 });
            let moment = clock.advance(told);
            assert!(moment.now >= last && moment.now >= told);
            last = moment.now;
            steps += 1;
        }
        assert_eq!(last.0.div_ceil(1_000), (start.0 + HOUR_MS).div_ceil(1_000), "an hour ahead is gone in two");
        assert_eq!(clock.advance(told.plus(50)).now, told.plus(50));
    }

    #[test]
    fn what_has_passed_does_not_depend_on_how_the_clock_was_set() {
        let mut clock = NodeClock::default();
        let first = clock.advance(Timestamp(10 * HOUR_MS)).passed_ms;
        clock.advance(Timestamp(9 * HOUR_MS));
        clock.advance(Timestamp(9 * HOUR_MS + 100));
        let moment = clock.advance(Timestamp(11 * HOUR_MS));
        assert_eq!(moment.now, Timestamp(11 * HOUR_MS));
        assert!(moment.passed_ms - first <= 100 + STEP_MS_MAX);
    }
}
