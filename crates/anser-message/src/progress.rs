//! How far the applier has got, for the loop: what the tables do not contain yet stays in the memory of the owners.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_types::{Offset, PartitionCount, PartitionId};

/// Per partition, the offset below which all tables have applied everything. Written by the applier, read by the loop.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<[AtomicU64]>);

impl Progress {
    /// Nothing is applied yet.
    pub(crate) fn new(count: PartitionCount) -> Self {
        Self(count.all().map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that everything below `next` is applied. Never goes back: a replay repeats what was applied before.
    pub(crate) fn note(&self, partition: PartitionId, next: Offset) {
        if let Some(applied) = self.0.get(usize::from(partition.0)) {
            applied.fetch_max(next.0, Ordering::Release);
        }
    }

    /// The partitions in order, each with the offset below which everything is applied.
    pub(crate) fn applied(&self) -> impl Iterator<Item = (PartitionId, Offset)> {
        let partitions = (0..=u8::MAX).map(PartitionId);
        partitions.zip(self.0.iter()).map(|(partition, next)| (partition, Offset(next.load(Ordering::Acquire))))
    }
}
