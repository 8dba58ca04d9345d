//! Retention: removes whole segments from the old end of the log.
//!
//! Nothing is removed that anybody may still have to read: the caller names, for each partition, the first offset that
//! its slowest reader needs. A partition that is not named keeps all it has.

use std::io;
use std::sync::Arc;

use anser_types::{Offset, PartitionId, Timestamp};

use super::head::{index_name, segment_name};
use super::index::SegmentIndex;
use super::shared::Shared;

/// What a trim did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// How many segments were removed.
    pub segments: usize,
    /// How many bytes of disk they took.
    pub bytes: u64,
}

/// Removes the oldest segments as long as all their records are older than `before` and below `keep_from`.
pub(super) fn trim(shared: &Shared, keep_from: &[(PartitionId, Offset)], before: Timestamp) -> io::Result<Trimmed> {
    // One at a time, oldest first, each removal made durable: a crash in between leaves no gap in the numbers.
    let _alone = shared.trimming.lock();
    let mut trimmed = Trimmed::default();
    while let Some(index) = take_oldest(shared, keep_from, before) {
        if let Err(error) = remove(shared, &segment_name(index.number)) {
            shared.segments.write().whole.push_front(index);
            return Err(error);
        }
        shared.folder.sync()?;
        remove(shared, &index_name(index.number))?;
        trimmed.segments += 1;
        trimmed.bytes += u64::from(index.file_end);
    }
    Ok(trimmed)
}

/// Takes the oldest segment out of sight, so that a reader meets "trimmed" and not a missing file.
fn take_oldest(shared: &Shared, keep_from: &[(PartitionId, Offset)], before: Timestamp) -> Option<Arc<SegmentIndex>> {
    let mut segments = shared.segments.write();
    let oldest = segments.whole.front()?;
    let expired = oldest.last_time < before
        && shared.meta.partitions.all().all(|partition| is_below(oldest, partition, keep_from));
    if expired { segments.whole.pop_front() } else { None }
}

fn is_below(index: &SegmentIndex, partition: PartitionId, keep_from: &[(PartitionId, Offset)]) -> bool {
    let kept = keep_from.iter().filter(|(named, _)| *named == partition).map(|(_, offset)| *offset).min();
    let end = index.end_of(partition);
    end == index.start_of(partition) || kept.is_some_and(|kept| end <= kept)
}

fn remove(shared: &Shared, name: &str) -> io::Result<()> {
    match shared.folder.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
