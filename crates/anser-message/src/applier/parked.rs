//! Buckets of the mailbox that cannot be written although the mailbox works: they wait, and nobody else does.
//!
//! What comes for a parked bucket is not kept: it is in the log. The partitions that it comes from are replayed from a place before it
//! when the bucket can be written again; so that place goes no further meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anser_backend::{BucketBatch, Mailbox, StoreError};
use anser_types::{BucketId, PartitionId};

use super::writes::{Refused, write_once};

/// How often it is tried whether a bucket can be written again.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The buckets that wait.
#[derive(Debug, Default)]
pub(super) struct Parked(BTreeMap<BucketId, Waiting>);

/// What is known of one of them.
#[derive(Debug)]
struct Waiting {
    /// The batch that could not be written. What came later must not lie over it.
    first: BucketBatch,
    /// From where something of the bucket is missing.
    partitions: BTreeSet<PartitionId>,
}

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The batch of a bucket that waits is not written. Returns whether it is one.
    pub(super) fn has(&mut self, batch: &BucketBatch) -> bool {
        let Some(waiting) = self.0.get_mut(&batch.bucket) else {
            return false;
        };
        waiting.partitions.extend(batch.parts.iter().map(|part| part.partition));
        true
    }

    /// From now on a bucket waits, of which this could not be written.
    pub(super) fn park(&mut self, first: BucketBatch) {
        let partitions = first.parts.iter().map(|part| part.partition).collect();
        self.0.insert(first.bucket, Waiting { first, partitions });
    }

    /// Whether something of a partition is missing, so that it has to be replayed from before.
    pub(super) fn holds(&self, partition: PartitionId) -> bool {
        self.0.values().any(|waiting| waiting.partitions.contains(&partition))
    }

    /// These partitions are replayed, perhaps from before what waits of them: that must not lie over what comes again, and is
    /// dropped. Returns the buckets of which nothing waits then, with the partitions that are to be replayed for them, too. Whether
    /// they can be written is told by what comes next.
    pub(super) fn begin_replay(&mut self, partitions: &[PartitionId]) -> Vec<(BucketId, BTreeSet<PartitionId>)> {
        let mut over = Vec::new();
        self.0.retain(|bucket, waiting| {
            waiting.first.parts.retain(|part| !partitions.contains(&part.partition));
            let is_over = waiting.first.parts.is_empty();
            if is_over {
                over.push((*bucket, std::mem::take(&mut waiting.partitions)));
            }
            !is_over
        });
        over
    }

    /// Tries all. Returns those that need not wait any more, with the partitions that are to be replayed for them.
    pub(super) async fn try_again(&mut self, mailbox: &dyn Mailbox) -> Vec<(BucketId, BTreeSet<PartitionId>)> {
        let mut written = Vec::new();
        for (bucket, waiting) in &self.0 {
            // What is refused has a newer owner or is replayed in any case.
            if write_once(mailbox, &waiting.first, &mut Refused::default()).await.is_ok() {
                written.push(*bucket);
            }
        }
        let take = |bucket| self.0.remove(&bucket).map(|waiting| (bucket, waiting.partitions));
        written.into_iter().filter_map(take).collect()
    }
}

/// Whether an error is for good, and of what it concerns alone.
pub(super) const fn is_of_bucket(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { .. })
}
