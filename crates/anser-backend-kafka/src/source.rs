//! Where readers get everything from: clients that read, answers about bounds, and threads on which they may block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_backend::{Bounds, ReadError};
use anser_types::{Offset, PartitionCount, PartitionId, Timestamp};
use tokio::sync::Semaphore;

use crate::ask::Asker;
use crate::client::reading;
use crate::config::KafkaConfig;
use crate::error::{Trouble, unavailable};
use crate::health::Health;
use crate::pool::Pool;

/// How many questions and reads of one log may block a thread at a time. More wait for their turn.
const BLOCKING_MAX: usize = 32;

/// One topic, as readers see it.
pub(crate) struct Source {
    pub(crate) ask: Asker,
    pub(crate) pool: Pool,
    pub(crate) health: Arc<Health>,
    partitions: PartitionCount,
    /// Up to where each partition is known to have reached: what spares a question, never what answers one.
    known_ends: Vec<AtomicU64>,
    threads: Arc<Semaphore>,
}

impl Source {
    /// Asks no broker.
    pub(crate) fn new(
        topic: String,
        partitions: PartitionCount,
        config: &KafkaConfig,
        health: Arc<Health>,
    ) -> Result<Self, ReadError> {
        // One more than there may be readers, for the questions.
        let clients_max = config.readers_max.saturating_add(1);
        let pool = Pool::start(reading(config), clients_max, config.readers_idle_max, Arc::clone(&health));
        let pool = pool.map_err(unavailable)?;
        let timeout = Duration::from_millis(u64::from(config.request_timeout_ms));
        let ask = Asker::new(topic, pool.take()?, timeout);
        let known_ends = partitions.all().map(|_| AtomicU64::new(0)).collect();
        Ok(Self { ask, pool, health, partitions, known_ends, threads: Arc::new(Semaphore::new(BLOCKING_MAX)) })
    }

    /// Whether there is such a partition.
    pub(crate) fn has(&self, partition: PartitionId) -> bool {
        u16::from(partition.0) < self.partitions.get()
    }

    /// What a partition holds. Blocks.
    pub(crate) fn bounds(&self, partition: PartitionId) -> Result<Bounds, ReadError> {
        if !self.has(partition) {
            return Ok(Bounds::default());
        }
        let bounds = self.ask.bounds(&self.pool, partition)?;
        self.note_end(partition, bounds.end);
        Ok(bounds)
    }

    /// What some partitions hold, in their order, if all of them are answered for soon. Blocks.
    pub(crate) fn bounds_of(&self, partitions: &[PartitionId]) -> Result<Vec<Bounds>, ReadError> {
        let known = self.ask.bounds_of(&self.present(partitions))?;
        for (&partition, bounds) in &known {
            self.note_end(partition, bounds.end);
        }
        Ok(partitions.iter().map(|partition| known.get(partition).copied().unwrap_or_default()).collect())
    }

    /// The first offset at or after a time of each of some partitions, in their order, or where it ends; if all of them are answered for
    /// soon. Blocks.
    pub(crate) fn offsets_at(&self, partitions: &[PartitionId], time: Timestamp) -> Result<Vec<Offset>, ReadError> {
        // The ends first: a record that comes in meanwhile may be of that time, and must not lie below the answer.
        let bounds = self.bounds_of(partitions)?;
        let found = self.ask.all_at(&self.present(partitions), time)?;
        let of = |(partition, bounds): (&PartitionId, Bounds)| {
            found.get(partition).copied().flatten().map_or(bounds.end, |found| found.max(bounds.start))
        };
        Ok(partitions.iter().zip(bounds).map(of).collect())
    }

    fn present(&self, partitions: &[PartitionId]) -> Vec<PartitionId> {
        partitions.iter().copied().filter(|partition| self.has(*partition)).collect()
    }

    /// Remembers that a partition has reached an offset.
    pub(crate) fn note_end(&self, partition: PartitionId, end: Offset) {
        if let Some(known) = self.known_ends.get(usize::from(partition.0)) {
            known.fetch_max(end.0, Ordering::Relaxed);
        }
    }

    /// Whether a partition is known to have reached beyond an offset.
    pub(crate) fn has_reached(&self, partition: PartitionId, offset: Offset) -> bool {
        let known = self.known_ends.get(usize::from(partition.0));
        known.is_some_and(|known| offset.0 < known.load(Ordering::Relaxed))
    }

    /// Runs what may block on a thread for that. If the caller no longer waits, it runs to its end all the same.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(unavailable)?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| unavailable(Trouble::Cancelled))?
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("topic", &self.ask.topic()).finish_non_exhaustive()
    }
}
