//! How many requests an app may make: a bucket of tokens per app.

use std::collections::HashMap;

use anser_types::{AppKey, Timestamp};
use parking_lot::Mutex;

/// One request, in the thousandths that a bucket counts.
const REQUEST: u64 = 1000;

/// The buckets of all apps that made a request. Bounded by the number of apps: only signed requests get here.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: u64,
    buckets: Mutex<HashMap<AppKey, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    filled: Timestamp,
}

impl RateLimiter {
    /// Buckets that fill at this rate and hold two seconds of it; with 0 there is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: u64::from(per_second), buckets: Mutex::default() }
    }

    /// Whether the app may make a request now; counts it if so.
    pub(crate) fn allows(&self, app: &AppKey, now: Timestamp) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let full = self.per_second * 2 * REQUEST;
        let mut buckets = self.buckets.lock();
        let bucket = match buckets.get_mut(app) {
            Some(bucket) => bucket,
            None => buckets.entry(app.clone()).or_insert(Bucket { left: full, filled: now }),
        };
        // A rate per second is as many thousandths per millisecond.
        let gained = now.since(bucket.filled).saturating_mul(self.per_second);
        bucket.left = bucket.left.saturating_add(gained).min(full);
        bucket.filled = now;
        let allowed = bucket.left >= REQUEST;
        if allowed {
            bucket.left -= REQUEST;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_gets_its_rate_and_no_other_app_pays_for_it() {
        let (one, other) = (AppKey::new("one").unwrap(), AppKey::new("other").unwrap());
        let limiter = RateLimiter::new(10);
        let at = |app: &AppKey, millis: u64, tries: usize| {
            (0..tries).filter(|_| limiter.allows(app, Timestamp(millis))).count()
        };
        assert_eq!(at(&one, 1_000, 50), 20, "two seconds' worth at once");
        assert_eq!(at(&one, 1_099, 50), 0);
        assert_eq!(at(&other, 1_099, 1), 1);
        assert_eq!(at(&one, 1_100, 50), 1);
        assert_eq!(at(&one, 2_100, 50), 10);
        assert_eq!(at(&one, 500, 50), 0, "a clock that goes back gives nothing");
        assert_eq!(at(&one, 90_000, 50), 20);
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let limiter = RateLimiter::new(0);
        let app = AppKey::new("one").unwrap();
        assert!((0..10_000).all(|_| limiter.allows(&app, Timestamp(0))));
    }
}
