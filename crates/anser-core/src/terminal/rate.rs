//! How fast a terminal may publish: a leaky bucket in eight bytes.

use anser_types::Timestamp;

const MICROS_PER_SECOND: u64 = 1_000_000;
/// How many count of what comes at once: more than there is room for in a frame.
const AT_ONCE_MAX: u64 = 8_192;

/// The time at which the bucket will be empty again, in microseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gcra {
    empty_at: u64,
}

impl Gcra {
    /// Takes one from the allowance; `false` if there is none. `rate` a second go on for ever, `burst` at once.
    pub(super) fn take(&mut self, now: Timestamp, rate: u32, burst: u32) -> bool {
        self.take_many(1, now, rate, burst)
    }

    /// Takes so many. All of them pass if one would; what was beyond the burst is waited for before the next.
    pub(super) fn take_many(&mut self, count: usize, now: Timestamp, rate: u32, burst: u32) -> bool {
        if rate == 0 || count == 0 {
            return true;
        }
        let now = now.0.saturating_mul(1000);
        let each = MICROS_PER_SECOND / u64::from(rate);
        let room = each.saturating_mul(u64::from(burst.max(1)));
        let debt_max = room.saturating_add(each.saturating_mul(AT_ONCE_MAX));
        if self.empty_at > now.saturating_add(debt_max).saturating_add(MICROS_PER_SECOND) {
            // The clock went back. What was counted in another time says nothing about this one.
            self.empty_at = now;
        }
        let from = self.empty_at.max(now);
        let full = now.saturating_add(room);
        if from.saturating_add(each) > full {
            return false;
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX).min(AT_ONCE_MAX);
        self.empty_at = from.saturating_add(each.saturating_mul(count));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut rate = Gcra::default();
        let now = Timestamp(1_000_000);
        assert_eq!((0..300).filter(|_| rate.take(now, 100, 200)).count(), 200);
        assert_eq!((0..300).filter(|_| rate.take(now.plus(500), 100, 200)).count(), 50);
        assert_eq!((0..300).filter(|_| rate.take(now.plus(60_000), 100, 200)).count(), 200);
    }

    #[test]
    fn many_at_once_pass_and_are_waited_for_afterwards() {
        let mut rate = Gcra::default();
        let now = Timestamp(1_000_000);
        assert!(rate.take_many(50, now, 100, 200));
        assert!(rate.take_many(1_000, now, 100, 200), "there is room for some of them");
        assert!(!rate.take_many(1, now.plus(8_500), 100, 200), "850 of them were too many");
        assert!(rate.take(now.plus(8_510), 100, 200));
        assert!(!rate.take(now.plus(8_510), 100, 200));
        assert!(rate.take_many(usize::MAX, now.plus(20_000), 100, 200), "whatever their number is");
        assert!(!rate.take(now.plus(90_000), 100, 200) && rate.take(now.plus(110_000), 100, 200));
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let mut rate = Gcra::default();
        assert!(rate.take(Timestamp(10_000_000), 10, 10));
        assert!(rate.take(Timestamp(1_000), 10, 10));
    }
}
