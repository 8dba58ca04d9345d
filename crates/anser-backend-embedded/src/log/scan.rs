//! Decides what the bytes of a segment say: which records it holds, where they end, and whether what follows is the torn
//! end of a write or damage. Pure; reads no file.
//!
//! **How a torn tail is told from damage.** A commit is written as one block and synced before the next one is begun. So
//! when a machine loses power, everything before the newest commit is on disk, and of the newest commit *any* part may be
//! missing, because a disk writes pages in the order it likes: a hole with whole records behind it is then an ordinary
//! torn tail, and "a bad record followed by a good one" proves nothing. What does prove something is that every
//! frame says where its commit began. A frame of a commit that began at position S was only written after everything
//! before S was durable. Hence, when the first bad byte is at B:
//!
//! * some later frame says that its commit began behind B: what is at B had been durable, records that were acknowledged may
//!   be lost, and the log is refused;
//! * every later frame, if there is one, belongs to a commit that began at or before B: nothing from B on was ever
//!   acknowledged, and the tail is cut at B;
//! * only zeros follow: the clean end of a file whose space was set aside beforehand.
//!
//! A later frame is searched at every byte behind B; its header alone is enough, and headers cannot be forged (see the
//! frame's own page). In a segment that is not the last one nothing but zeros may follow the last record, and the
//! header of the next segment says how far each partition must have come.
//!
//! The rule leaves one case that no reader of the file could decide: damage *inside* the newest commit looks like a torn write. The
//! next commit settles it, and the owners of the partitions write one at every start.
//!
//! Whole frames that do not fit together (an offset that is not the next one, a time before the last one) are refused
//! wherever they are: no crash produces them.

use anser_types::{Offset, PartitionId};

use super::frame::{FrameHeader, HEADER_LEN, HeaderFault, Salt};
use super::head::SegmentHead;
use super::index::SegmentIndex;

/// Whether a write may have been torn at the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The last segment.
    MayBeTorn,
    /// A segment with another one behind it.
    IsWhole,
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) index: SegmentIndex,
    /// Where the newest commit began; equal to the end where there is none.
    pub(super) last_commit: u32,
    /// Whether bytes other than zeros follow the last record.
    pub(super) torn: bool,
}

/// Why a segment is refused, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {position}")]
pub(super) struct Damage {
    pub(super) position: u32,
    pub(super) fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a record is damaged, though later ones were written")]
    BeforeLater,
    #[error("a record is damaged, though the segment was complete")]
    InWhole,
    #[error("a record of partition {partition} has offset {found} where {expected} is due")]
    Gap { partition: PartitionId, expected: Offset, found: Offset },
    #[error("a record does not fit the one before it")]
    Misfit,
    #[error("a record has version {0}, which this program does not know")]
    Version(u8),
}

/// Reads a whole segment: `bytes` is the file, `head` its decoded header, `first` the position of its first frame.
pub(super) fn scan(
    bytes: &[u8],
    head: &SegmentHead,
    first: u32,
    tail: Tail,
    checkpoint_every: u32,
) -> Result<Scan, Damage> {
    let mut walk = Walk::new(bytes, head, first);
    while let Some(header) = walk.step()? {
        let position = walk.found.index.file_end;
        if header.commit_start == position {
            walk.found.last_commit = position;
        }
        walk.found.index.note(position, &header, checkpoint_every);
    }
    walk.finish(tail)
}

struct Walk<'a> {
    bytes: &'a [u8],
    salt: Salt,
    found: Scan,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], head: &SegmentHead, first: u32) -> Self {
        let index = SegmentIndex::empty(head, first);
        Self { bytes, salt: Salt::of(head.log, head.number), found: Scan { index, last_commit: first, torn: false } }
    }

    fn position(&self) -> u32 {
        self.found.index.file_end
    }

    fn rest(&self) -> &'a [u8] {
        usize::try_from(self.position()).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// The whole frame at the position; `None` where there is none.
    fn step(&self) -> Result<Option<FrameHeader>, Damage> {
        let position = self.position();
        let header = match FrameHeader::decode(self.salt, position, self.rest()) {
            Ok(header) => header,
            Err(HeaderFault::Version(version)) => {
                return Err(Damage { position, fault: Fault::Version(version) });
            }
            Err(HeaderFault::Incomplete | HeaderFault::Invalid) => return Ok(None),
        };
        if !body(self.rest(), &header).is_some_and(|body| header.matches(body)) {
            return Ok(None);
        }
        match self.misfit(&header) {
            Some(fault) => Err(Damage { position, fault }),
            None => Ok(Some(header)),
        }
    }

    fn misfit(&self, header: &FrameHeader) -> Option<Fault> {
        let index = &self.found.index;
        let partition = header.partition;
        let commits = header.commit_start == self.position() || header.commit_start == self.found.last_commit;
        if usize::from(partition.0) >= index.start.len() || !commits || header.time < index.last_time {
            return Some(Fault::Misfit);
        }
        let expected = index.end_of(partition);
        (header.offset != expected).then_some(Fault::Gap { partition, expected, found: header.offset })
    }

    /// Decides what it means that no whole frame lies at the position.
    fn finish(mut self, tail: Tail) -> Result<Scan, Damage> {
        let position = self.position();
        if is_zero(self.rest()) {
            return Ok(self.found);
        }
        if tail == Tail::IsWhole {
            return Err(Damage { position, fault: Fault::InWhole });
        }
        if self.was_durable(position) {
            return Err(Damage { position, fault: Fault::BeforeLater });
        }
        self.found.torn = true;
        Ok(self.found)
    }

    /// Whether a later frame proves that the byte at `bad` had been durable.
    fn was_durable(&self, bad: u32) -> bool {
        let after = self.rest().get(1..).unwrap_or_default();
        (bad.saturating_add(1)..).zip(after.windows(HEADER_LEN)).any(|(position, bytes)| {
            FrameHeader::may_begin(bytes)
                && FrameHeader::decode(self.salt, position, bytes).is_ok_and(|header| header.commit_start > bad)
        })
    }
}

/// The body behind `header`, where `frame` begins with that header; `None` where it is cut off.
pub(super) fn body<'a>(frame: &'a [u8], header: &FrameHeader) -> Option<&'a [u8]> {
    let len = usize::try_from(header.body_len).ok()?;
    frame.get(HEADER_LEN..)?.get(..len)
}

fn is_zero(bytes: &[u8]) -> bool {
    // Or-ing whole blocks lets the compiler use wide registers; an early exit per byte would not.
    bytes.chunks(4096).all(|block| block.iter().fold(0, |any, byte| any | byte) == 0)
}

#[cfg(test)]
mod tests;
