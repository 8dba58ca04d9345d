//! The clock of a node among others, compared with that of Redis, by which leases run.
//!
//! Nothing is lost where clocks differ, but everything that waits for a time of day is wrong by as much: tokens, retention,
//! the times that users see.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anser_backend::StoreError;
use anser_backend_redis::RedisStore;
use anser_runtime::metrics::Looked;
use anser_runtime::{Clock, Tasks};

use crate::ServeError;
use crate::config::ClusterConfig;
use crate::health::Weight;
use crate::wiring::admin::Shown;

/// From how far off on it is worth a word while the node runs.
const OFF_MS: u64 = 2_000;

/// It is off by so much.
#[derive(Debug, thiserror::Error)]
#[error("it is {} ms {} that of redis", .0.unsigned_abs(), way(*.0))]
struct Off(i64);

/// Refuses a clock that is so far off that somebody has to set it first.
pub(super) async fn check(cluster: &ClusterConfig, redis: &RedisStore, clock: &Clock) -> Result<(), ServeError> {
    let off_ms = compare(redis, clock).await.map_err(ServeError::Members)?;
    judge(off_ms, cluster.clock_off_ms_max)
}

fn judge(off_ms: i64, max_ms: u64) -> Result<(), ServeError> {
    if max_ms == 0 || off_ms.unsigned_abs() <= max_ms {
        return Ok(());
    }
    Err(ServeError::Clock { off_ms: off_ms.unsigned_abs(), way: way(off_ms), max_ms })
}

/// From now on operators see how far it is off.
pub(super) fn watch(show: &Shown, tasks: &Tasks, redis: Arc<RedisStore>, clock: Clock) {
    let off = Arc::new(AtomicI64::new(0));
    let seen = Arc::clone(&off);
    show.health.watch("the clock", Weight::Wished, tasks, move || {
        let (redis, clock, seen) = (Arc::clone(&redis), clock.clone(), Arc::clone(&seen));
        async move {
            // That Redis is away is said elsewhere.
            let Ok(off_ms) = compare(&redis, &clock).await else { return Ok(()) };
            seen.store(off_ms, Ordering::Relaxed);
            if off_ms.unsigned_abs() > OFF_MS { Err(Off(off_ms)) } else { Ok(()) }
        }
    });
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            let off_ms = i32::try_from(off.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
            looks.gauge("clock_off_seconds", "How far the clock is ahead of that of Redis", f64::from(off_ms) / 1_000.0)
        })));
    });
}

/// How many milliseconds the clock is ahead of that of Redis.
async fn compare(redis: &RedisStore, clock: &Clock) -> Result<i64, StoreError> {
    let before = clock.now();
    let there = redis.time().await?;
    let here = before.plus(clock.now().since(before) / 2);
    let size = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    Ok(size(here.since(there)) - size(there.since(here)))
}

const fn way(off_ms: i64) -> &'static str {
    if off_ms > 0 { "ahead of" } else { "behind" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_why_a_clock_that_is_off_is_refused_with_what_to_do() {
        assert!(judge(5_000, 5_000).is_ok() && judge(-5_000, 5_000).is_ok() && judge(3_600_000, 0).is_ok());
        let ahead = judge(3_600_000, 5_000).unwrap_err().to_string();
        assert!(ahead.contains("3600000 ms ahead of that of redis") && ahead.contains("time server"), "{ahead}");
        let behind = judge(-5_001, 5_000).unwrap_err().to_string();
        assert!(behind.contains("5001 ms behind that of redis") && behind.contains("clock_off_ms_max"), "{behind}");
    }
}
