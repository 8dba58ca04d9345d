//! The segment log as a whole: the port's suite on a real folder, and what only a folder that can be broken shows.

mod accidents;
mod crashes;
mod faults;
mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_backend::{AppendError, LogEntry, ReadError};
use tokio::sync::oneshot;

use super::fake::FakeFolder;
use super::*;

const PARTITIONS: PartitionCount = match PartitionCount::new(3) {
    Some(count) => count,
    None => panic!("3 is a valid number of partitions"),
};

/// Segments so small that a few commits fill one.
fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 4096,
        first_segment_bytes: 512,
        checkpoint_every_bytes: 100,
        full_retry_ms: 0,
        ..LogConfig::default()
    }
}

/// A clock that moves on by a millisecond each time it is looked at.
fn ticking() -> Now {
    let clock = AtomicU64::new(1_000);
    Arc::new(move || Timestamp(clock.fetch_add(1, Ordering::Relaxed)))
}

type Answer = oneshot::Receiver<Result<Offset, AppendError>>;

/// A log without a thread: commits happen when the test says so.
struct Stepped {
    shared: Arc<Shared>,
    queue: Arc<AppendQueue>,
    committer: Committer,
}

impl Stepped {
    fn open(folder: &FakeFolder) -> Result<Self, OpenError> {
        Self::open_with(folder, small())
    }

    fn open_with(folder: &FakeFolder, config: LogConfig) -> Result<Self, OpenError> {
        let (shared, queue, committer) = assemble(Arc::new(folder.clone()), PARTITIONS, config, ticking())?;
        Ok(Self { shared, queue, committer })
    }

    /// Lets an append wait for the next commit.
    fn push(&self, partition: u8, records: &[Vec<u8>]) -> Answer {
        let records: Vec<Bytes> = records.iter().cloned().map(Bytes::from).collect();
        let frames_len = records.iter().map(|record| record.len() + HEADER_LEN).sum();
        let (done, answer) = oneshot::channel();
        self.queue
            .push(Append { partition: PartitionId(partition), expected: None, records, frames_len, done })
            .unwrap();
        answer
    }

    /// Appends and commits one record.
    fn append(&mut self, partition: u8, record: &[u8]) -> Result<Offset, AppendError> {
        let mut answer = self.push(partition, &[record.to_vec()]);
        self.committer.step();
        answer.try_recv().unwrap()
    }

    /// Everything that is there, by partition.
    fn read_all(&self) -> Result<Vec<Vec<LogEntry>>, ReadError> {
        let from: Vec<_> = PARTITIONS.all().map(|partition| (partition, self.bounds(partition).start)).collect();
        let mut cursor = Cursor::new(&from);
        let mut all = vec![Vec::new(); from.len()];
        loop {
            let entries = cursor.next(&self.shared, 1000)?;
            if entries.is_empty() {
                return Ok(all);
            }
            entries.into_iter().for_each(|entry| all[usize::from(entry.partition.0)].push(entry));
        }
    }

    fn bounds(&self, partition: PartitionId) -> Bounds {
        self.shared.segments.read().bounds(partition)
    }
}
