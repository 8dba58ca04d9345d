//! Writing to the mailbox until it is written.

use std::collections::BTreeSet;
use std::time::Duration;

use anser_backend::{BoxFuture, BucketBatch, Mailbox, Placed, StoreError};
use anser_types::PartitionId;

use super::parked::is_of_bucket;
use crate::metrics::MessageMetrics;

/// How long to wait before a table is tried again, at first and at most.
const TRY_AGAIN_MIN: Duration = Duration::from_millis(5);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(1);

/// What became of the batch of a bucket.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Where the entries of each part went; nothing of a part that was refused.
    pub(super) placed: Vec<Vec<Option<Placed>>>,
    /// Partitions with a newer owner, which applies their records again.
    pub(super) stale: BTreeSet<PartitionId>,
    /// Partitions that have to be replayed.
    pub(super) rolled_back: BTreeSet<PartitionId>,
    /// Why the bucket cannot be written, whoever tries.
    pub(super) damaged: Option<StoreError>,
}

/// Parts of a batch that were refused. None of them is tried again, nor is a later part of the same partition written: should the
/// mailbox forget why it refused the first, it would take what follows over the hole.
#[derive(Debug, Default)]
pub(super) struct Refused {
    stale: BTreeSet<PartitionId>,
    rolled_back: BTreeSet<PartitionId>,
}

impl Refused {
    fn has(&self, partition: PartitionId) -> bool {
        self.stale.contains(&partition) || self.rolled_back.contains(&partition)
    }

    fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.rolled_back.is_empty()
    }
}

/// Writes a batch, as often as needed.
pub(super) async fn write_bucket(
    mailbox: &dyn Mailbox,
    metrics: &MessageMetrics,
    batch: &BucketBatch,
) -> Result<Written, StoreError> {
    let (mut tries, mut refused) = (Tries::default(), Refused::default());
    loop {
        match write_once(mailbox, batch, &mut refused).await {
            Err(error) if error.is_retryable() => {
                metrics.tries_again("mailbox");
                tries.wait("mailbox", &error).await;
            }
            Ok(placed) => {
                let Refused { stale, rolled_back } = refused;
                return Ok(Written { placed, stale, rolled_back, damaged: None });
            }
            Err(error) if is_of_bucket(&error) => {
                let placed = vec![Vec::new(); batch.parts.len()];
                return Ok(Written { placed, damaged: Some(error), ..Written::default() });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes a batch once, without what was refused. Returns where the entries of each part went.
pub(super) async fn write_once(
    mailbox: &dyn Mailbox,
    batch: &BucketBatch,
    refused: &mut Refused,
) -> Result<Vec<Vec<Option<Placed>>>, StoreError> {
    if refused.is_empty() {
        match mailbox.apply(batch.clone()).await {
            Err(StoreError::StaleClaim | StoreError::RolledBack) => {}
            other => return other,
        }
    }
    // Part by part: those that are not refused go on.
    let mut placed = Vec::with_capacity(batch.parts.len());
    for part in &batch.parts {
        if refused.has(part.partition) {
            placed.push(Vec::new());
            continue;
        }
        let alone = BucketBatch { bucket: batch.bucket, parts: vec![part.clone()] };
        match mailbox.apply(alone).await {
            Ok(one) => placed.extend(one),
            Err(error) => {
                let of = match error {
                    StoreError::StaleClaim => &mut refused.stale,
                    StoreError::RolledBack => &mut refused.rolled_back,
                    error => return Err(error),
                };
                of.insert(part.partition);
                placed.push(Vec::new());
            }
        }
    }
    Ok(placed)
}

/// How often something was tried that a store could not do, and how long to wait before the next time.
#[derive(Debug, Default)]
struct Tries {
    count: u32,
}

impl Tries {
    /// Waits before the next try: longer each time, a second at most.
    async fn wait(&mut self, table: &'static str, error: &StoreError) {
        if self.count.is_power_of_two() || self.count == 0 {
            let source = std::error::Error::source(error);
            tracing::warn!(table, tries = self.count, %error, ?source, "a table cannot be written, what comes waits for it");
        }
        let pause = TRY_AGAIN_MIN * 2u32.saturating_pow(self.count.min(8));
        self.count += 1;
        tokio::time::sleep(pause.min(TRY_AGAIN_MAX)).await;
    }
}

/// Does something with a table until it can be done. A repeated write changes nothing.
pub(super) async fn until_written<'a, T>(
    table: &'static str,
    metrics: &MessageMetrics,
    write: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut tries = Tries::default();
    loop {
        match write().await {
            Err(error) if error.is_retryable() => {
                metrics.tries_again(table);
                tries.wait(table, &error).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
