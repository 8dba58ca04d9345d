//! The log: the only truth. Durable, ordered within a partition, append-only.

use bytes::Bytes;

use anser_types::{LogId, Offset, PartitionCount, PartitionId, Timestamp};

use crate::BoxFuture;

/// Why an append was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room, on the disk or in the queue before it. Nothing was appended. Try again later.
    #[error("the log has no room")]
    Full,
    /// The partition does not end where the caller believes. Nothing was appended. Read the log before trying again.
    #[error("the partition ends at {end}, not where the append was to land")]
    NotExpected {
        /// Where the next record would land.
        end: Offset,
    },
    /// Nobody knows whether the records are in the log: read it to find out. Until then nothing further may be acked.
    #[error("the outcome of an append is unknown")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log has failed for good, for example because an fsync did. The node must stop.
    #[error("the log has failed")]
    Failed,
    /// The call itself is wrong: no records, too many bytes for one append, or a partition that is not there. Nothing
    /// was appended, and the same call never succeeds.
    #[error("the append can never succeed: {0}")]
    Refused(&'static str),
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Retention has removed what was asked for. Never skip over it in silence.
    #[error("offset {asked} of partition {partition} is gone, the log begins at {start}")]
    Trimmed {
        /// The partition.
        partition: PartitionId,
        /// What was asked for.
        asked: Offset,
        /// The first offset that is still there.
        start: Offset,
    },
    /// The reader was sent to a place that the log has not reached: it went back, or the asker's mark is of another log.
    /// Not worth a retry, and never to be waited for in silence.
    #[error("offset {asked} of partition {partition} is beyond the end of the log at {end}")]
    BeyondEnd {
        /// The partition.
        partition: PartitionId,
        /// What was asked for.
        asked: Offset,
        /// The offset that the next append gets.
        end: Offset,
    },
    /// The backend does not answer now. Try again.
    #[error("the log is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are damaged. Not worth a retry.
    #[error("the log is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How large one record may be in every log, in bytes: 16 MiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// What a partition holds: offsets from `start` to just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The first offset that is there.
    pub start: Offset,
    /// The offset that the next append gets.
    pub end: Offset,
}

/// One record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: Offset,
    /// When the backend took it, by the backend's clock.
    pub time: Timestamp,
    /// The record.
    pub bytes: Bytes,
}

/// A durable, partitioned log.
///
/// * Durability: when `append` returns an offset, the records outlive every crash of the process, and what the adapter's
///   documentation says of machines.
/// * Order: appends of one partition land in the order of the calls, at consecutive offsets; offsets are dense.
/// * Cancellation: dropping the future of an append does not undo it.
pub trait MessageLog: Send + Sync + std::fmt::Debug + 'static {
    /// The identity of this log, drawn when it was made.
    fn id(&self) -> LogId;

    /// How many partitions it was born with.
    fn partitions(&self) -> PartitionCount;

    /// For how long it keeps records at least, after which it may let go of them whoever still needs them; `None` if it lets go
    /// only of what it is told to.
    fn retention_ms(&self) -> Option<u64> {
        None
    }

    /// Appends records to one partition. Returns the offset of the first; the others follow without a gap.
    ///
    /// The call is made in order even if the future is polled later: the place in the order is taken at the call.
    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>>;

    /// Appends like [`MessageLog::append`], but only if the first record lands on `expected`.
    ///
    /// A log that can tell beforehand appends nothing otherwise, and answers [`AppendError::NotExpected`]: then whatever was
    /// sent behind a failed append fails too. One that cannot appends all the same, and the caller compares the offset.
    fn append_at(
        &self,
        partition: PartitionId,
        expected: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>>;

    /// What the partition holds and has made durable.
    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>>;

    /// The first offset whose record was taken at or after `time`; the end if there is none.
    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>>;

    /// What [`bounds`](Self::bounds) says of each of some partitions, in their order, in as few questions as there can be.
    ///
    /// If one of them is not answered for soon, nothing is said of any: then each may be asked about alone.
    fn bounds_of<'a>(&'a self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Bounds>, ReadError>> {
        Box::pin(async move {
            let mut bounds = Vec::with_capacity(partitions.len());
            for &partition in partitions {
                bounds.push(self.bounds(partition).await?);
            }
            Ok(bounds)
        })
    }

    /// What [`offset_at`](Self::offset_at) says of each of some partitions, as [`bounds_of`](Self::bounds_of) does.
    fn offsets_at<'a>(
        &'a self,
        partitions: &'a [PartitionId],
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ReadError>> {
        Box::pin(async move {
            let mut offsets = Vec::with_capacity(partitions.len());
            for &partition in partitions {
                offsets.push(self.offset_at(partition, time).await?);
            }
            Ok(offsets)
        })
    }

    /// Reads several partitions from the given offsets on, in one pass. An offset outside the bounds shows as an error of
    /// the first read; the end itself is a valid place to begin.
    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader>;

    /// One record; `None` beyond the end.
    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>>;
}

/// A reader at its place in the log.
pub trait LogReader: Send {
    /// The next records, in order within each partition: at least one and about `bytes_max` bytes at most, or none if all
    /// was read that was durable when this was called. It may be called again later to read what came since.
    fn next(&mut self, bytes_max: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>>;
}
