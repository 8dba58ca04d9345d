//! Letting go of what is older than its retention, now and then.

use std::sync::Arc;
use std::time::Duration;

use anser_backend_embedded::SegmentLog;
use anser_message::MessageHandle;
use anser_runtime::{Fate, Tasks};
use tokio::time::{MissedTickBehavior, interval};

/// How often. What has expired is not shown meanwhile; this is about room on the disk.
const EVERY: Duration = Duration::from_secs(600);

/// Starts to let go, at once and then every now and then.
pub(crate) fn start(message: Arc<MessageHandle>, log: Arc<SegmentLog>, tasks: &Tasks) {
    tasks.spawn("retention", Fate::CutOff, async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What fails now is tried again the next time.
            if let Err(error) = let_go(&message, &log).await {
                tracing::warn!(error = &*error, "nothing could be let go of");
            }
        }
    });
}

async fn let_go(message: &MessageHandle, log: &SegmentLog) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let retention = message.expire().await?;
    let trimmed = log.trim(retention.keep_from, retention.before).await?;
    tracing::debug!(?trimmed, "let go of what is too old");
    Ok(())
}
