//! Letting go of what is older than its retention, now and then.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anser_backend_embedded::SegmentLog;
use anser_message::MessageHandle;
use anser_runtime::{Fate, Tasks};
use tokio::time::{MissedTickBehavior, interval};

/// How often. What has expired is not shown meanwhile; this is about room.
const EVERY: Duration = Duration::from_secs(600);

/// Whoever lets go, at once and then every now and then.
#[derive(Debug)]
pub(crate) enum Retention {
    /// A node by itself, of whatever its stores hold.
    Alone(Arc<MessageHandle>, Arc<SegmentLog>),
    /// One message node of several: of timelines. Kafka and HBase let go by themselves, as their settings say.
    AmongOthers(Arc<MessageHandle>),
}

impl Retention {
    pub(crate) fn start(self, tasks: &Tasks) {
        tasks.spawn("retention", Fate::VitalCutOff, async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // What fails now is tried again the next time.
                if let Err(error) = self.let_go().await {
                    tracing::warn!(error = &*error, "nothing could be let go of");
                }
            }
        });
    }

    async fn let_go(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self {
            Self::Alone(message, log) => {
                let retention = message.expire().await?;
                let trimmed = log.trim(retention.keep_from, retention.before).await?;
                tracing::debug!(?trimmed, "let go of what is too old");
            }
            Self::AmongOthers(message) => message.expire_timelines().await?,
        }
        Ok(())
    }
}
