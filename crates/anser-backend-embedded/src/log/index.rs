//! What is known of one segment without reading it: which offsets and times it holds, and where to begin reading for one of
//! them. Kept in memory for every segment; written beside a segment once that is full, so that a start reads no
//! full segment. Bytes are forever, but never the truth: a missing or damaged index is made again from the segment.
//!
//! File: `ANSERIDX`, version (1), zero (1), partition count (2), segment number (8), log id (8), last time (8), length of the
//! segment (4), number of checkpoints (4), first offsets (8 each), next offsets (8 each), then per checkpoint its position (4),
//! its time (8) and how many records of each partition lie before it (4 each); CRC32C of all (4); little-endian.

use anser_types::{LogId, Offset, PartitionId, Timestamp};

use super::field::{Fields, seal, unseal};
use super::frame::FrameHeader;
use super::head::SegmentHead;

const MAGIC: &[u8; 8] = b"ANSERIDX";
const VERSION: u8 = 1;

/// The index of one segment. Grows with its segment, then stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentIndex {
    pub(super) number: u64,
    /// The first offset per partition.
    pub(super) start: Vec<u64>,
    /// The offset behind the last record, per partition.
    pub(super) end: Vec<u64>,
    /// The time of the last record; before the first one, the floor of the segment.
    pub(super) last_time: Timestamp,
    /// The position behind the last record.
    pub(super) file_end: u32,
    checkpoints: Checkpoints,
}

/// Places where reading may begin, kept flat: a few bytes for each 128 KiB of log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Checkpoints {
    positions: Vec<u32>,
    /// The time of the record at the position; all before it are at most as late.
    times: Vec<u64>,
    /// For each checkpoint, one number per partition: its records before the position.
    counts: Vec<u32>,
}

/// Where to begin reading, and which offset of the partition asked for comes first from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadFrom {
    pub(super) position: u32,
    pub(super) next: Offset,
}

impl SegmentIndex {
    /// The index of a segment without records, whose first frame will lie at `position`.
    pub(super) fn empty(head: &SegmentHead, position: u32) -> Self {
        Self {
            number: head.number,
            start: head.start.clone(),
            end: head.start.clone(),
            last_time: head.floor,
            file_end: position,
            checkpoints: Checkpoints::default(),
        }
    }

    /// Takes the record behind the last one into the index. A checkpoint is set where `every` bytes have passed since the last.
    pub(super) fn note(&mut self, position: u32, header: &FrameHeader, every: u32) {
        let newest = self.checkpoints.positions.last().copied().unwrap_or(0);
        if position.saturating_sub(newest) >= every {
            self.set_checkpoint(position, header.time);
        }
        if let Some(end) = self.end.get_mut(usize::from(header.partition.0)) {
            *end = header.offset.next().0;
        }
        self.last_time = header.time;
        self.file_end = u32::try_from(u64::from(position) + header.frame_len()).unwrap_or(u32::MAX);
    }

    fn set_checkpoint(&mut self, position: u32, time: Timestamp) {
        self.checkpoints.positions.push(position);
        self.checkpoints.times.push(time.0);
        // A segment is shorter than 4 GiB, so it has fewer records than that.
        let counts = self
            .end
            .iter()
            .zip(&self.start)
            .map(|(end, start)| u32::try_from(end.saturating_sub(*start)).unwrap_or(u32::MAX));
        self.checkpoints.counts.extend(counts);
    }

    pub(super) fn start_of(&self, partition: PartitionId) -> Offset {
        Offset(self.start.get(usize::from(partition.0)).copied().unwrap_or(0))
    }

    pub(super) fn end_of(&self, partition: PartitionId) -> Offset {
        Offset(self.end.get(usize::from(partition.0)).copied().unwrap_or(0))
    }

    /// The last place from which reading forward meets every record of `partition` at or after `offset`.
    pub(super) fn seek(&self, head_len: u32, partition: PartitionId, offset: Offset) -> ReadFrom {
        self.last_checkpoint(head_len, partition, |_, next| next <= offset)
    }

    /// The last place from which reading forward meets every record whose time is at or after `time`.
    pub(super) fn seek_time(&self, head_len: u32, partition: PartitionId, time: Timestamp) -> ReadFrom {
        self.last_checkpoint(head_len, partition, |checkpoint, _| checkpoint < time)
    }

    /// The last checkpoint that `fits` its time and the next offset of `partition` there, or the beginning.
    /// `fits` must hold for a first part of the checkpoints and for none after it.
    fn last_checkpoint(
        &self,
        head_len: u32,
        partition: PartitionId,
        fits: impl Fn(Timestamp, Offset) -> bool,
    ) -> ReadFrom {
        let (mut low, mut high) = (0, self.checkpoints.positions.len());
        let mut found = ReadFrom { position: head_len, next: self.start_of(partition) };
        while low < high {
            let middle = low.midpoint(high);
            match self.checkpoint(middle, partition) {
                Some((from, time)) if fits(time, from.next) => {
                    found = from;
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        found
    }

    fn checkpoint(&self, at: usize, partition: PartitionId) -> Option<(ReadFrom, Timestamp)> {
        let position = *self.checkpoints.positions.get(at)?;
        let time = *self.checkpoints.times.get(at)?;
        let count = *self.checkpoints.counts.get(at * self.start.len() + usize::from(partition.0))?;
        let next = self.start_of(partition).plus(u64::from(count));
        Some((ReadFrom { position, next }, Timestamp(time)))
    }

    pub(super) fn encode(&self, log: LogId) -> Vec<u8> {
        let partitions = u16::try_from(self.start.len()).expect("a log has at most 256 partitions");
        let checkpoints = u32::try_from(self.checkpoints.positions.len()).expect("a segment is shorter than 4 GiB");
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&partitions.to_le_bytes());
        for number in [self.number, log.0, self.last_time.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.file_end.to_le_bytes());
        out.extend_from_slice(&checkpoints.to_le_bytes());
        for offset in self.start.iter().chain(&self.end) {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let counts = self.checkpoints.counts.chunks(self.start.len().max(1));
        for ((position, time), counts) in self.checkpoints.positions.iter().zip(&self.checkpoints.times).zip(counts) {
            out.extend_from_slice(&position.to_le_bytes());
            out.extend_from_slice(&time.to_le_bytes());
            counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        }
        seal(&mut out);
        out
    }

    /// Reads an index file. `None` where it is not the whole, undamaged index of the segment with this `head`.
    pub(super) fn decode(bytes: &[u8], head: &SegmentHead) -> Option<Self> {
        let mut fields = Fields(unseal(bytes)?);
        let known = fields.take(MAGIC.len())? == MAGIC && fields.u8()? == VERSION;
        let (_zero, partitions) = (fields.u8()?, usize::from(fields.u16()?));
        let (number, log, last_time) = (fields.u64()?, LogId(fields.u64()?), Timestamp(fields.u64()?));
        let (file_end, checkpoints) = (fields.u32()?, fields.u32()?);
        let (start, end) = (fields.u64s(partitions)?, fields.u64s(partitions)?);
        let checkpoints = Checkpoints::decode(&mut fields, checkpoints, partitions)?;
        let index = Self { number, start, end, last_time, file_end, checkpoints };
        (known && log == head.log && number == head.number && index.start == head.start).then_some(index)
    }
}

impl Checkpoints {
    fn decode(fields: &mut Fields<'_>, count: u32, partitions: usize) -> Option<Self> {
        let mut checkpoints = Self::default();
        for _ in 0..count {
            checkpoints.positions.push(fields.u32()?);
            checkpoints.times.push(fields.u64()?);
            for _ in 0..partitions {
                checkpoints.counts.push(fields.u32()?);
            }
        }
        Some(checkpoints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD_LEN: u32 = 56;

    fn head() -> SegmentHead {
        SegmentHead { log: LogId(9), number: 4, floor: Timestamp(100), start: vec![10, 0] }
    }

    /// Six records of 100 bytes, alternating between the partitions, ten milliseconds apart; a checkpoint each 200 bytes.
    fn index() -> SegmentIndex {
        let mut index = SegmentIndex::empty(&head(), HEAD_LEN);
        for at in 0..6_u32 {
            let partition = PartitionId(u8::try_from(at % 2).unwrap());
            let header = FrameHeader {
                partition,
                offset: index.end_of(partition),
                time: Timestamp(100 + u64::from(at) * 10),
                body_len: 64,
                body_crc: 0,
                commit_start: 0,
            };
            index.note(HEAD_LEN + at * 100, &header, 200);
        }
        index
    }

    #[test]
    fn the_bytes_of_an_index_never_change() {
        let hex: String = index().encode(LogId(9)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "414e5345524944580100020004000000000000000900000000000000960000000000000090020000020000000a0000000000000000000000000000000d0000000000000003000000000000000001000078000000000000000100000001000000c80100008c0000000000000002000000020000005fc277fd"
        );
    }

    #[test]
    fn seeking_never_lands_behind_what_is_sought() {
        let index = index();
        assert_eq!((index.end.as_slice(), index.file_end), ([13, 3].as_slice(), 656));
        let seek = |partition, offset| index.seek(HEAD_LEN, PartitionId(partition), Offset(offset));
        assert_eq!(seek(0, 10), ReadFrom { position: 56, next: Offset(10) });
        assert_eq!(seek(0, 11), ReadFrom { position: 256, next: Offset(11) });
        assert_eq!(seek(1, 0), ReadFrom { position: 56, next: Offset(0) });
        assert_eq!(seek(1, 2), ReadFrom { position: 456, next: Offset(2) });
        assert_eq!(index.seek_time(HEAD_LEN, PartitionId(1), Timestamp(120)).position, 56);
        assert_eq!(index.seek_time(HEAD_LEN, PartitionId(1), Timestamp(121)).position, 256);
        assert_eq!(index.seek_time(HEAD_LEN, PartitionId(1), Timestamp(999)).position, 456);
    }

    #[test]
    fn a_damaged_index_or_one_of_another_segment_is_not_used() {
        let good = index().encode(LogId(9));
        assert_eq!(SegmentIndex::decode(&good, &head()), Some(index()));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentIndex::decode(&bytes, &head()), None, "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(SegmentIndex::decode(&good[..len], &head()), None);
        }
        for other in [
            SegmentHead { log: LogId(8), ..head() },
            SegmentHead { number: 5, ..head() },
            SegmentHead { start: vec![10, 1], ..head() },
        ] {
            assert_eq!(SegmentIndex::decode(&good, &other), None);
        }
    }
}
