//! Which gateway a connection goes to: in turn, and not to one that was just found to be away.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

const FIRST_WAIT_MS: u64 = 50;

/// All gateways, with what is known of each.
#[derive(Debug)]
pub(super) struct Choice {
    gateways: Mutex<Vec<Gateway>>,
    wait_ms_max: u64,
}

#[derive(Debug)]
struct Gateway {
    address: String,
    failures: u32,
    not_before: Option<Instant>,
    last_failure: String,
}

/// No gateway may be tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllAway {
    /// How long until one may.
    pub(super) wait: Duration,
    /// Why the one that may be tried first is away.
    pub(super) last_failure: String,
}

impl Choice {
    pub(super) fn new(addresses: Vec<String>, wait_ms_max: u64) -> Self {
        let gateways = addresses.into_iter().map(|address| Gateway {
            address,
            failures: 0,
            not_before: None,
            last_failure: String::new(),
        });
        Self { gateways: Mutex::new(gateways.collect()), wait_ms_max }
    }

    /// The next gateway that may be tried, beginning with number `turn`.
    pub(super) fn next(&self, turn: usize, now: Instant) -> Result<(usize, String), AllAway> {
        let gateways = self.gateways.lock();
        let count = gateways.len();
        let may = |gateway: &Gateway| gateway.not_before.is_none_or(|time| time <= now);
        let found = (turn..turn.saturating_add(count)).map(|n| n % count).find(|n| may(&gateways[*n]));
        if let Some(number) = found {
            return Ok((number, gateways[number].address.clone()));
        }
        let first = gateways.iter().min_by_key(|gateway| gateway.not_before);
        Err(AllAway {
            wait: first.and_then(|gateway| gateway.not_before).map_or(Duration::ZERO, |time| time - now),
            last_failure: first.map(|gateway| gateway.last_failure.clone()).unwrap_or_default(),
        })
    }

    /// It did not answer: it is left alone for a while, longer each time.
    pub(super) fn note_away(&self, number: usize, now: Instant, failure: String) {
        let mut gateways = self.gateways.lock();
        let gateway = &mut gateways[number];
        let wait = FIRST_WAIT_MS.checked_shl(gateway.failures.min(16)).unwrap_or(u64::MAX).min(self.wait_ms_max);
        gateway.failures += 1;
        gateway.not_before = Some(now + Duration::from_millis(wait));
        gateway.last_failure = failure;
    }

    /// It answered. Returns whether it was away before.
    pub(super) fn note_answer(&self, number: usize) -> bool {
        let mut gateways = self.gateways.lock();
        let gateway = &mut gateways[number];
        gateway.not_before = None;
        std::mem::take(&mut gateway.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_take_turns_and_one_that_is_away_is_left_alone() {
        let choice = Choice::new(vec!["a:1".into(), "b:1".into()], 400);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let next = |turn, ms| choice.next(turn, at(ms)).map(|(number, _)| number);
        assert_eq!([next(0, 0), next(1, 0), next(2, 0)], [Ok(0), Ok(1), Ok(0)]);
        choice.note_away(0, at(0), "refused".into());
        assert_eq!([next(0, 49), next(0, 50)], [Ok(1), Ok(0)]);
        choice.note_away(1, at(0), "silent".into());
        choice.note_away(1, at(0), "silent".into());
        assert_eq!(next(0, 20), Err(AllAway { wait: Duration::from_millis(30), last_failure: "refused".into() }));
        assert!(choice.note_answer(0) && !choice.note_answer(0));
        assert_eq!(next(1, 60), Ok(0));
        for _ in 0..40 {
            choice.note_away(1, at(100), "silent".into());
        }
        assert_eq!([next(1, 499), next(1, 500)], [Ok(0), Ok(1)]);
    }
}
