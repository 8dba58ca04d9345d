//! The clock of a node among others, compared with that of Redis, by which leases run.
//!
//! Where the clocks of nodes differ by more than a floor may be ahead, the sent times of a user go back when the user writes to
//! a conversation of another node; and everything that waits for a time of day is wrong: tokens, retention. So a node whose
//! clock is off does not start, and one that runs follows no step of its machine's clock unless Redis says that it was right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anser_backend::StoreError;
use anser_backend_redis::RedisStore;
use anser_runtime::metrics::Looked;
use anser_runtime::{Clock, Tasks};
use anser_types::Timestamp;

use crate::ServeError;
use crate::config::ClusterConfig;
use crate::health::Weight;
use crate::wiring::admin::Shown;

/// From how far off on it is worth a word while the node runs, and the machine's clock may be the better one.
const OFF_MS: u64 = 2_000;

/// How often a clock that is off is looked at again before it is refused: an answer that was long under way tells little.
const LOOKS: u32 = 3;

/// It is off by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Off {
    /// That by which the node goes.
    #[error("it is {} ms {} that of redis", .0.unsigned_abs(), way(*.0))]
    Node(i64),
    /// That of the machine, and the node goes on by itself.
    #[error("that of the machine is {} ms {} that of redis; the node goes on without it", .0.unsigned_abs(), way(*.0))]
    Machine(i64),
}

/// By how many milliseconds a node is ahead of Redis.
#[derive(Debug, Clone, Copy)]
struct Seen {
    node: i64,
    machine: i64,
}

impl Seen {
    /// Whether the machine's clock was set, and rightly so.
    const fn is_machine_better(self) -> bool {
        self.node.unsigned_abs() > OFF_MS && self.machine.unsigned_abs() < self.node.unsigned_abs() / 2
    }

    const fn judge(self) -> Result<(), Off> {
        if self.node.unsigned_abs() > OFF_MS {
            Err(Off::Node(self.node))
        } else if self.machine.unsigned_abs() > OFF_MS {
            Err(Off::Machine(self.machine))
        } else {
            Ok(())
        }
    }
}

/// Refuses a clock that is so far off that somebody has to set it first.
pub(super) async fn check(cluster: &ClusterConfig, redis: &RedisStore, clock: &Clock) -> Result<(), ServeError> {
    let mut judged = Ok(());
    for _ in 0..LOOKS {
        let seen = compare(redis, clock).await.map_err(ServeError::Members)?;
        judged = judge(seen.node, cluster.clock_off_ms_max);
        if judged.is_ok() {
            break;
        }
    }
    judged
}

fn judge(off_ms: i64, max_ms: u64) -> Result<(), ServeError> {
    if max_ms == 0 || off_ms.unsigned_abs() <= max_ms {
        return Ok(());
    }
    Err(ServeError::Clock { off_ms: off_ms.unsigned_abs(), way: way(off_ms), max_ms })
}

/// From now on operators see how far it is off, and a machine's clock that was set right is followed.
pub(super) fn watch(show: &Shown, tasks: &Tasks, redis: Arc<RedisStore>, clock: Clock) {
    let off = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&off);
    show.health.watch("the clock", Weight::Wished, tasks, move || {
        let (redis, clock, shown) = (Arc::clone(&redis), clock.clone(), Arc::clone(&shown));
        async move {
            // That Redis is away is said elsewhere.
            let Ok(seen) = compare(&redis, &clock).await else { return Ok(()) };
            shown.store(seen.machine, Ordering::Relaxed);
            if seen.is_machine_better() {
                tracing::warn!(
                    was_off_ms = seen.node,
                    off_ms = seen.machine,
                    "the machine's clock was set; it is followed"
                );
                clock.follow();
                return Ok(());
            }
            seen.judge()
        }
    });
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            let off_ms = i32::try_from(off.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
            let help = "How far the machine's clock is ahead of that of Redis";
            looks.gauge("clock_off_seconds", help, f64::from(off_ms) / 1_000.0)
        })));
    });
}

/// How far the clock is ahead of that of Redis.
async fn compare(redis: &RedisStore, clock: &Clock) -> Result<Seen, StoreError> {
    let before = clock.now();
    let there = redis.time().await?;
    let after = clock.now();
    let here = before.plus(after.since(before) / 2);
    let node = ahead(here, there);
    Ok(Seen { node, machine: node.saturating_add(ahead(clock.followed(), after)) })
}

fn ahead(time: Timestamp, of: Timestamp) -> i64 {
    let size = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    size(time.since(of)) - size(of.since(time))
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

    #[test]
    fn a_clock_that_was_set_wrong_is_named_and_one_that_was_set_right_is_followed() {
        let wrong = Seen { node: 20, machine: 3_600_020 };
        assert!(!wrong.is_machine_better());
        assert_eq!(wrong.judge(), Err(Off::Machine(3_600_020)));
        let right = Seen { node: -3_600_000, machine: 15 };
        assert!(right.is_machine_better());
        let both = Seen { node: 3_000, machine: 3_000 };
        assert!(!both.is_machine_better());
        assert_eq!(both.judge(), Err(Off::Node(3_000)));
    }
}
