//! Whether what Redis knows of who is where may be lost, or terminals of this node were overlooked while nobody knew of it, for the
//! access role: it tells it again.

use std::time::Duration;

use anser_backend_redis::{RedisLosses, RedisStore};
use anser_runtime::{Fate, Tasks};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::ServeError;

/// How often it is looked: well within the shortest lease, which a look that takes its time must not look like.
const PERIOD: Duration = Duration::from_millis(500);

/// Counts from now on how often something may have been lost.
pub(super) async fn watch(
    redis: &RedisStore,
    lease: Duration,
    tasks: &Tasks,
) -> Result<watch::Receiver<u64>, ServeError> {
    let losses = redis.losses().await?;
    let (count, counted) = watch::channel(0);
    tasks.spawn("losses of presence", Fate::VitalCutOff, look(losses, count, lease));
    Ok(counted)
}

/// A node that says nothing for as long as a lease runs is no member any more: nobody keeps for it what its terminals would have to hear
/// of. That is so whether the process stood still or was cut off; both show as a gap between two looks.
async fn look(mut losses: RedisLosses, count: watch::Sender<u64>, lease: Duration) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        period.tick().await;
        match losses.look().await {
            Ok(is_lost) => {
                if is_lost || last.elapsed() > lease {
                    count.send_modify(|count| *count += 1);
                }
                last = Instant::now();
            }
            // While it does not answer nobody is found there either; that is said elsewhere.
            Err(error) => tracing::debug!(%error, "redis does not say whether it lost anything"),
        }
    }
}
