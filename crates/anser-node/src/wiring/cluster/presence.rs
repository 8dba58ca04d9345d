//! Whether what Redis knows of who is where may be lost, for the access role: it tells it again.

use std::time::Duration;

use anser_backend_redis::{RedisLosses, RedisStore};
use anser_runtime::{Fate, Tasks};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::ServeError;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts from now on how often something may have been lost.
pub(super) async fn watch(redis: &RedisStore, tasks: &Tasks) -> Result<watch::Receiver<u64>, ServeError> {
    let losses = redis.losses().await?;
    let (count, counted) = watch::channel(0);
    tasks.spawn("losses of presence", Fate::CutOff, look(losses, count));
    Ok(counted)
}

async fn look(mut losses: RedisLosses, count: watch::Sender<u64>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        match losses.look().await {
            Ok(true) => count.send_modify(|count| *count += 1),
            Ok(false) => {}
            // While it does not answer nobody is found there either; that is said elsewhere.
            Err(error) => tracing::debug!(%error, "redis does not say whether it lost anything"),
        }
    }
}
