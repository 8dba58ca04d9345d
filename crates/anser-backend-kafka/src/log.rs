//! The log itself: the port, put together from its parts.

use std::sync::Arc;

use anser_backend::{AppendError, Bounds, BoxFuture, LogReader, MessageLog, ReadError};
use anser_types::{LogId, Offset, PartitionCount, PartitionId, Timestamp};
use bytes::Bytes;

use crate::birth::Birth;
use crate::calls::Undelivered;
use crate::client::appending;
use crate::config::{APPEND_BYTES_MAX, KafkaConfig, RECORD_BYTES_MAX};
use crate::error::SetupError;
use crate::health::{Health, KafkaHealth};
use crate::lane::Lane;
use crate::reader::{KafkaReader, read_one};
use crate::setup::find;
use crate::source::Source;

/// A [`MessageLog`] on one topic of a Kafka cluster.
///
/// *Durability*: an acknowledged append is on as many brokers as `min_insync_replicas` says, each of which may lose its
/// process. *Unknown outcome*: after a timeout, an error, or records that do not lie together. *Expected offsets*: Kafka cannot tell
/// beforehand, so [`MessageLog::append_at`] appends in any case and returns where. *Cancellation*: an append whose
/// future is dropped happens all the same.
pub struct KafkaLog {
    birth: Birth,
    retention_ms: u64,
    lanes: Arc<Vec<Lane>>,
    source: Arc<Source>,
    health: Arc<Health>,
}

impl KafkaLog {
    /// Opens the log that `config` names, if the cluster gives what is demanded of it.
    ///
    /// Timelines keep entries for `offline_retention_ms`; the log must keep records for longer.
    pub async fn open(config: &KafkaConfig, offline_retention_ms: u64) -> Result<Self, SetupError> {
        Self::start(config, offline_retention_ms).await.map_err(|error| error.at(&config.brokers))
    }

    async fn start(config: &KafkaConfig, offline_retention_ms: u64) -> Result<Self, SetupError> {
        config.check(offline_retention_ms).map_err(SetupError::Config)?;
        let health = Arc::new(Health::new(config.queue_bytes_max));
        // First, so that they get their ids while the topics are looked at.
        let lanes = start_lanes(config, &health).map_err(SetupError::unavailable("start producers"))?;
        let birth = find(config, offline_retention_ms).await?;
        let source = Source::new(config.log_topic(), birth.partitions, config, Arc::clone(&health));
        let source = source.map_err(|source| SetupError::Unavailable {
            brokers: String::new(),
            doing: "start readers",
            source: source.into(),
        })?;
        // All at once: they have been under way since they were started.
        futures_util::future::join_all(lanes.iter().map(Lane::ready_or_late)).await;
        Ok(Self { birth, retention_ms: config.retention_ms, lanes: Arc::new(lanes), source: Arc::new(source), health })
    }

    /// How the log is doing.
    pub fn health(&self) -> KafkaHealth {
        self.health.snapshot()
    }

    /// Takes no more appends, and waits until those under way are answered. Reading goes on. Calling it again does nothing.
    pub async fn close(&self) {
        let lanes = Arc::clone(&self.lanes);
        let closed = tokio::task::spawn_blocking(move || lanes.iter().for_each(Lane::close)).await;
        if closed.is_err() {
            tracing::error!("the producers of the log did not end well");
        }
    }

    fn hand_in(&self, partition: PartitionId, records: &[Bytes]) -> BoxFuture<'static, Result<Offset, AppendError>> {
        let taken = match self.refuse(partition, records) {
            Some(reason) => Err(AppendError::Refused(reason)),
            None => self.lane(partition).append(partition, records),
        };
        let (source, count) = (Arc::clone(&self.source), records.len() as u64);
        Box::pin(async move {
            let answer = taken?.await.unwrap_or_else(|_| Err(AppendError::Unknown(Undelivered::GivenUp.into())));
            answer.inspect(|first| source.note_end(partition, first.plus(count)))
        })
    }

    fn lane(&self, partition: PartitionId) -> &Lane {
        &self.lanes[usize::from(partition.0) % self.lanes.len()]
    }

    /// What speaks against an append, whatever the state of the log.
    fn refuse(&self, partition: PartitionId, records: &[Bytes]) -> Option<&'static str> {
        let bytes = records.iter().map(Bytes::len).fold(0, usize::saturating_add);
        if records.is_empty() {
            Some("it has no records")
        } else if !self.source.has(partition) {
            Some("there is no such partition")
        } else if bytes > APPEND_BYTES_MAX || records.iter().any(|record| record.len() > RECORD_BYTES_MAX) {
            Some("it is too large")
        } else {
            None
        }
    }
}

fn start_lanes(config: &KafkaConfig, health: &Arc<Health>) -> rdkafka::error::KafkaResult<Vec<Lane>> {
    let start = |_| Lane::start(config.log_topic(), appending(config), config.stall_timeout_ms, Arc::clone(health));
    (0..config.producers).map(start).collect()
}

impl MessageLog for KafkaLog {
    fn id(&self) -> LogId {
        self.birth.log
    }

    fn partitions(&self) -> PartitionCount {
        self.birth.partitions
    }

    fn retention_ms(&self) -> Option<u64> {
        // The brokers were asked at the start whether they keep records for so long.
        Some(self.retention_ms)
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.hand_in(partition, &records)
    }

    fn append_at(
        &self,
        partition: PartitionId,
        _expected: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.hand_in(partition, &records)
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        let source = Arc::clone(&self.source);
        Box::pin(self.source.blocking(move || source.bounds(partition)))
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        let source = Arc::clone(&self.source);
        Box::pin(self.source.blocking(move || {
            // The end first: a record that comes in meanwhile may be of that time, and must not lie below the answer.
            let bounds = source.bounds(partition)?;
            if bounds.start == bounds.end {
                return Ok(bounds.end);
            }
            let found = source.ask.at(&source.pool, partition, time)?;
            Ok(found.map_or(bounds.end, |found| found.max(bounds.start)))
        }))
    }

    fn bounds_of<'a>(&'a self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Bounds>, ReadError>> {
        let (source, partitions) = (Arc::clone(&self.source), partitions.to_vec());
        Box::pin(self.source.blocking(move || source.bounds_of(&partitions)))
    }

    fn offsets_at<'a>(
        &'a self,
        partitions: &'a [PartitionId],
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ReadError>> {
        let (source, partitions) = (Arc::clone(&self.source), partitions.to_vec());
        Box::pin(self.source.blocking(move || source.offsets_at(&partitions, time)))
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        Box::new(KafkaReader::new(Arc::clone(&self.source), from))
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        let source = Arc::clone(&self.source);
        Box::pin(self.source.blocking(move || read_one(&source, partition, offset)))
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("birth", &self.birth).field("source", &self.source).finish_non_exhaustive()
    }
}
