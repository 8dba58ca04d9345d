//! Letting old things go: entries of timelines, history, and what the log need not keep for anybody.

use anser_backend::StoreError;
use anser_types::{Mark, Offset, PartitionId, Timestamp};

use crate::handle::MessageHandle;

/// How much longer than timelines the log keeps records.
const LOG_MARGIN_MS: u64 = 24 * 3600 * 1000;

/// What the log may let go of.
#[derive(Debug, Clone)]
pub struct LogRetention {
    /// Per partition the first offset that some table still needs.
    pub keep_from: Vec<(PartitionId, Offset)>,
    /// Nothing taken at or after this time may go.
    pub before: Timestamp,
}

impl MessageHandle {
    /// Lets entries of timelines go that are older than their retention. Any node may do that for all of them, at any time: the mailbox of a
    /// cluster goes by its own clock as well.
    pub async fn expire_timelines(&self) -> Result<(), StoreError> {
        self.backends.mailbox.expire((self.clock)().minus(self.limits.offline_retention_ms)).await
    }

    /// Lets expired entries of timelines and history go, and says what the log may let go of: what all tables have applied
    /// for good, and is older than the longest retention of a timeline by a day.
    pub async fn expire(&self) -> Result<LogRetention, StoreError> {
        self.expire_timelines().await?;
        let now = (self.clock)();
        self.backends.history.expire(now.minus(self.limits.history_retention_ms)).await?;
        let mut keep_from = Vec::new();
        for partition in self.backends.log.partitions().all() {
            let mailbox = self.backends.mailbox.replay_from(partition).await?;
            let history = self.backends.history.replay_from(partition).await?;
            let directory = self.backends.directory.replay_from(partition).await?;
            // Read after the marks: if they reach it, all that counts by the old claim is applied. What comes next may still count by it,
            // but not when that is old enough to go: claims are renewed within minutes, and nothing goes that is not a day old.
            let end = self.backends.log.bounds(partition).await.map_or(Offset(u64::MAX), |bounds| bounds.end);
            let needed = |mark: Mark| if mark.next >= end { mark.next } else { mark.first_needed() };
            keep_from.push((partition, needed(mailbox).min(needed(history)).min(needed(directory))));
        }
        let before = now.minus(self.limits.offline_retention_ms.saturating_add(LOG_MARGIN_MS));
        Ok(LogRetention { keep_from, before })
    }
}
