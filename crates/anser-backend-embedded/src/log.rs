//! The segment log: the only truth of a single node.
//!
//! One physical log for all partitions, in a folder of append-only segment files. An append is written, synced and only
//! then answered; what a crash tears is cut at the next start; damage that no crash explains is refused, with the
//! file, the byte and what to do. Keeps the promises *acked-is-durable*, *nothing-lost* (in reading) and *in-order* of
//! its part, and knows nothing of what the records say.
//!
//! | file | holds |
//! | --- | --- |
//! | `meta` | log id, number of partitions |
//! | `00000000000000000001.seg` … | the records, in commit order |
//! | `00000000000000000001.idx` … | for each full segment, where what is in it; made again when missing |
//! | `*.new` | unfinished; removed at a start |
//!
//! One thread writes ([`commit`]); readers see what is durable ([`shared`]) and read files by themselves ([`reader`]). What
//! survives a crash, and why, stands in [`scan`].

mod chunk;
mod commit;
mod config;
mod error;
mod field;
mod files;
mod frame;
mod head;
mod index;
mod inspect;
mod meta;
mod queue;
mod reader;
mod recover;
mod scan;
mod segment;
mod shared;
mod trim;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anser_backend::{AppendError, Bounds, BoxFuture, LogReader, MessageLog, ReadError};
use anser_types::{LogId, Offset, PartitionCount, PartitionId, Timestamp};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

pub use self::config::LogConfig;
pub use self::error::{InspectError, LogFailure, OpenError};
pub use self::inspect::{SegmentReport, inspect_segment};
pub use self::trim::Trimmed;

use self::commit::Committer;
use self::files::{DiskFolder, Folder};
use self::frame::{BODY_MAX, HEADER_LEN};
use self::queue::{Append, AppendQueue};
use self::reader::{Cursor, SegmentReader, on_blocking_thread};
use self::recover::{Birth, head_len, open_folder};
use self::shared::{Segments, Shared};
use crate::FolderLock;

/// The clock that stamps appends. It need not be monotonic; append times never go back all the same.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The folder of the log within a data folder.
const LOG_FOLDER: &str = "log";

/// How many bytes one append may hold.
const APPEND_MAX: usize = 64 << 20;

/// A [`MessageLog`] on the files of one folder.
///
/// *Durability*: an acknowledged append outlives a crash of the process and a loss of power, as far as the disk keeps what
/// `fdatasync` promises. *Unknown outcome*: only after a failed write or sync, with which the log fails for good; what was
/// under way may be there after the next start, wholly, in part from its first record on, or not at all. *Cancellation*: an append
/// whose future is dropped happens all the same.
pub struct SegmentLog {
    shared: Arc<Shared>,
    queue: Arc<AppendQueue>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// Held until the committer has ended; tests on a folder in memory have none.
    _lock: Option<Arc<FolderLock>>,
}

impl SegmentLog {
    /// Opens the log in the data folder that `lock` stands for, or makes one there. Blocks while it reads the last segment.
    pub fn open(
        lock: Arc<FolderLock>,
        partitions: PartitionCount,
        config: LogConfig,
        now: Now,
    ) -> Result<Self, OpenError> {
        let path = lock.path().join(LOG_FOLDER);
        let folder = DiskFolder::open(path.clone()).map_err(|source| OpenError::Io { doing: "use", path, source })?;
        Self::start(Arc::new(folder), Some(lock), partitions, config, now)
    }

    /// Opens the log in `folder` and starts its committer.
    fn start(
        folder: Arc<dyn Folder>,
        lock: Option<Arc<FolderLock>>,
        partitions: PartitionCount,
        config: LogConfig,
        now: Now,
    ) -> Result<Self, OpenError> {
        let path = folder.path("");
        let (shared, queue, committer) = assemble(folder, partitions, config, now)?;
        let thread = std::thread::Builder::new()
            .name("anser-log".to_owned())
            .spawn(move || committer.run())
            .map_err(|source| OpenError::Io { doing: "start the committer of", path, source })?;
        Ok(Self { shared, queue, committer: Mutex::new(Some(thread)), _lock: lock })
    }

    /// Waits until the log has failed for good, and says why. Never returns while the log is well.
    pub async fn failed(&self) -> LogFailure {
        let mut failure = self.shared.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            if failure.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Removes the oldest segments, as long as all their records are older than `before` and below `keep_from`. A
    /// partition that `keep_from` does not name keeps all it has.
    pub async fn trim(&self, keep_from: Vec<(PartitionId, Offset)>, before: Timestamp) -> Result<Trimmed, ReadError> {
        let shared = Arc::clone(&self.shared);
        on_blocking_thread(move || {
            trim::trim(&shared, &keep_from, before).map_err(|error| ReadError::Unavailable(error.into()))
        })
        .await
    }

    /// How many bytes of records the log holds on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.segments.read().iter().map(|index| u64::from(index.file_end)).sum()
    }

    /// Whether the newest commit found no room on the disk.
    pub fn is_full(&self) -> bool {
        self.shared.is_full.load(Ordering::Relaxed)
    }

    /// How many bytes of appends wait or are under way; about [`LogConfig::queue_bytes_max`] at most.
    pub fn waiting_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Refuses further appends, commits what waits and ends the committer. Reading goes on. Calling it again does nothing.
    pub async fn close(&self) {
        self.queue.close();
        let thread = self.committer.lock().take();
        let joined = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join)).await;
        if !matches!(joined, Ok(None | Some(Ok(())))) {
            tracing::error!("the committer of the log did not end well");
        }
    }

    /// Puts an append in line for the next commit.
    fn hand_in(
        &self,
        partition: PartitionId,
        expected: Option<Offset>,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        if let Some(reason) = self.refuse(partition, &records) {
            return Box::pin(std::future::ready(Err(AppendError::Refused(reason))));
        }
        let frames_len = records.iter().map(|record| record.len() + HEADER_LEN).sum();
        let (done, answer) = oneshot::channel();
        let taken = self.queue.push(Append { partition, expected, records, frames_len, done });
        Box::pin(async move {
            taken?;
            answer.await.unwrap_or(Err(AppendError::Failed))
        })
    }

    /// What speaks against an append, whatever the state of the log.
    fn refuse(&self, partition: PartitionId, records: &[Bytes]) -> Option<&'static str> {
        let bytes: usize = records.iter().map(|record| record.len().saturating_add(HEADER_LEN)).sum();
        if records.is_empty() {
            Some("it has no records")
        } else if u16::from(partition.0) >= self.shared.meta.partitions.get() {
            Some("there is no such partition")
        } else if bytes > APPEND_MAX || records.iter().any(|record| record.len() > BODY_MAX) {
            Some("it is too large")
        } else {
            None
        }
    }
}

/// Opens a folder, and makes the parts that work on it. Nothing runs yet.
fn assemble(
    folder: Arc<dyn Folder>,
    partitions: PartitionCount,
    config: LogConfig,
    now: Now,
) -> Result<(Arc<Shared>, Arc<AppendQueue>, Committer), OpenError> {
    let log = LogId(getrandom::u64().map_err(|error| OpenError::NoRandom(error.to_string()))?);
    let opened = open_folder(&*folder, Birth { partitions, log, now: now() }, &config)?;
    let shared = Arc::new(Shared {
        meta: opened.meta,
        head_len: head_len(partitions),
        config,
        folder,
        segments: RwLock::new(Segments { whole: opened.whole, active: opened.active }),
        trimming: Mutex::new(()),
        is_full: AtomicBool::new(false),
        failure: watch::Sender::new(None),
    });
    let queue = Arc::new(AppendQueue::new(config.queue_bytes_max));
    let committer = Committer::new(Arc::clone(&shared), Arc::clone(&queue), opened.file, now);
    Ok((shared, queue, committer))
}

impl MessageLog for SegmentLog {
    fn id(&self) -> LogId {
        self.shared.meta.log
    }

    fn partitions(&self) -> PartitionCount {
        self.shared.meta.partitions
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.hand_in(partition, None, records)
    }

    fn append_at(
        &self,
        partition: PartitionId,
        expected: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.hand_in(partition, Some(expected), records)
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        let bounds = self.shared.segments.read().bounds(partition);
        Box::pin(std::future::ready(Ok(bounds)))
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(on_blocking_thread(move || reader::offset_at(&shared, partition, time)))
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        Box::new(SegmentReader::new(Arc::clone(&self.shared), &from))
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if offset >= shared.segments.read().bounds(partition).end {
                return Ok(None);
            }
            let mut cursor = Cursor::new(&[(partition, offset)]);
            let entries = on_blocking_thread(move || cursor.next(&shared, 1)).await?;
            Ok(entries.into_iter().next().map(|entry| entry.bytes))
        })
    }
}

impl std::fmt::Debug for SegmentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentLog")
            .field("meta", &self.shared.meta)
            .field("folder", &self.shared.folder)
            .finish_non_exhaustive()
    }
}

impl Drop for SegmentLog {
    /// Ends the committer, after the commit that is under way and what waits.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.committer.get_mut().take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
