//! What the committer, the readers and the trimmer of one log share: which segments there are and how far each is durable.
//! Nothing is in here before it is durable, so a reader can never see what a crash could take back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anser_backend::{Bounds, ReadError};
use anser_types::{Offset, PartitionId, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::config::LogConfig;
use super::error::LogFailure;
use super::files::Folder;
use super::index::{ReadFrom, SegmentIndex};
use super::meta::Meta;

/// The parts of an open log that outlive any one call.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) meta: Meta,
    pub(super) head_len: u32,
    pub(super) config: LogConfig,
    pub(super) folder: Arc<dyn Folder>,
    pub(super) segments: RwLock<Segments>,
    /// Held by the one trim that may be under way.
    pub(super) trimming: Mutex<()>,
    /// Whether the newest commit found no room.
    pub(super) is_full: AtomicBool,
    /// Set once, when the log has failed for good.
    pub(super) failure: watch::Sender<Option<LogFailure>>,
}

/// All segments, each as far as it is durable.
#[derive(Debug)]
pub(super) struct Segments {
    /// Complete ones, oldest first, without a gap in their numbers.
    pub(super) whole: VecDeque<Arc<SegmentIndex>>,
    /// The one that is being written.
    pub(super) active: SegmentIndex,
}

/// A place in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) position: u32,
}

impl Segments {
    /// All segments, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SegmentIndex> {
        self.whole.iter().map(|index| &**index).chain([&self.active])
    }

    /// The segment with this number, if it is there.
    pub(super) fn get(&self, number: u64) -> Option<&SegmentIndex> {
        if number == self.active.number {
            return Some(&self.active);
        }
        let oldest = self.whole.front()?.number;
        let at = usize::try_from(number.checked_sub(oldest)?).ok()?;
        self.whole.get(at).map(|index| &**index)
    }

    pub(super) fn bounds(&self, partition: PartitionId) -> Bounds {
        let oldest = self.whole.front().map_or(&self.active, |index| &**index);
        Bounds { start: oldest.start_of(partition), end: self.active.end_of(partition) }
    }

    /// Checks that `offset` is a place where reading may begin or go on.
    pub(super) fn check(&self, partition: PartitionId, asked: Offset) -> Result<Bounds, ReadError> {
        let bounds = self.bounds(partition);
        if asked < bounds.start {
            return Err(ReadError::Trimmed { partition, asked, start: bounds.start });
        }
        if asked > bounds.end {
            return Err(ReadError::BeyondEnd { partition, asked, end: bounds.end });
        }
        Ok(bounds)
    }

    /// Where to begin reading for a record that is there. Offsets rise with the segments, so the search halves.
    pub(super) fn seek(&self, head_len: u32, partition: PartitionId, offset: Offset) -> Place {
        let at = self.whole.partition_point(|index| index.end_of(partition) <= offset);
        let index = self.whole.get(at).map_or(&self.active, |index| &**index);
        Place { segment: index.number, position: index.seek(head_len, partition, offset).position }
    }

    /// Where to begin reading for the first record at or after `time`, and which offset the partition has reached there;
    /// `None` if all records are older.
    pub(super) fn seek_time(&self, head_len: u32, partition: PartitionId, time: Timestamp) -> Option<(u64, ReadFrom)> {
        let at = self.whole.partition_point(|index| index.last_time < time);
        let index = self.whole.get(at).map_or(&self.active, |index| &**index);
        (index.last_time >= time).then(|| (index.number, index.seek_time(head_len, partition, time)))
    }
}
