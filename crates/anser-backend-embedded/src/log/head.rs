//! The header of a segment file, and the name of that file. Bytes are forever.
//!
//! `ANSERSEG`, version (1), zero (1), partition count (2), segment number (8), log id (8), floor time (8), next offset of each
//! partition (8 each), CRC32C of all of it (4); little-endian. A segment is written aside, made durable and only then
//! given its name, so under that name a header is whole or damaged, never unfinished.

use anser_types::{LogId, PartitionCount, Timestamp};

use super::field::{Fields, seal, unseal};

const MAGIC: &[u8; 8] = b"ANSERSEG";
const VERSION: u8 = 1;
const FIXED_LEN: usize = 40;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) log: LogId,
    /// 1, 2, 3 … in the order they were made.
    pub(super) number: u64,
    /// No record in this segment is older.
    pub(super) floor: Timestamp,
    /// The offset of the first record of each partition that this segment, or a later one, holds.
    pub(super) start: Vec<u64>,
}

/// Why bytes are not the header of the segment that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadFault {
    #[error("its header is damaged")]
    Damaged,
    #[error("its header has version {0}, which this program does not know")]
    Version(u8),
    #[error("it belongs to another log")]
    OtherLog,
    #[error("it has {0} partitions, the log has another number")]
    Partitions(u16),
    #[error("its header says that it is segment {0}")]
    Number(u64),
}

impl SegmentHead {
    /// How many bytes the header of a log with so many partitions has.
    pub(super) fn encoded_len(partitions: PartitionCount) -> usize {
        FIXED_LEN + 8 * usize::from(partitions.get())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let partitions = u16::try_from(self.start.len()).expect("a log has at most 256 partitions");
        let mut out = Vec::with_capacity(FIXED_LEN + 8 * self.start.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&partitions.to_le_bytes());
        for number in [self.number, self.log.0, self.floor.0].iter().chain(&self.start) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        seal(&mut out);
        out
    }

    /// Reads the header that starts `bytes` and checks that it belongs to segment `number` of this log.
    pub(super) fn decode(bytes: &[u8], log: LogId, partitions: PartitionCount, number: u64) -> Result<Self, HeadFault> {
        let head = Self::decode_any(bytes)?;
        if head.log != log {
            return Err(HeadFault::OtherLog);
        }
        if head.start.len() != usize::from(partitions.get()) {
            return Err(HeadFault::Partitions(u16::try_from(head.start.len()).unwrap_or(u16::MAX)));
        }
        if head.number != number {
            return Err(HeadFault::Number(head.number));
        }
        Ok(head)
    }

    /// Reads the header that starts `bytes`, of whatever segment it is.
    pub(super) fn decode_any(bytes: &[u8]) -> Result<Self, HeadFault> {
        let mut fields = Fields(bytes);
        let magic = fields.take(MAGIC.len()).ok_or(HeadFault::Damaged)?;
        let version = fields.u8().ok_or(HeadFault::Damaged)?;
        if magic != MAGIC {
            return Err(HeadFault::Damaged);
        }
        if version != VERSION {
            return Err(HeadFault::Version(version));
        }
        Self::decode_v1(bytes, fields).ok_or(HeadFault::Damaged)
    }

    fn decode_v1(bytes: &[u8], mut fields: Fields<'_>) -> Option<Self> {
        let (_zero, partitions) = (fields.u8()?, fields.u16()?);
        let count = PartitionCount::new(partitions)?;
        unseal(bytes.get(..Self::encoded_len(count))?)?;
        Some(Self {
            number: fields.u64()?,
            log: LogId(fields.u64()?),
            floor: Timestamp(fields.u64()?),
            start: fields.u64s(usize::from(partitions))?,
        })
    }
}

/// The name of a segment file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:020}.seg")
}

/// The name of the index that goes with a full segment.
pub(super) fn index_name(number: u64) -> String {
    format!("{number:020}.idx")
}

/// The number in the name of a segment file; `None` for every other name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?;
    let digits = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    if digits { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> SegmentHead {
        SegmentHead { log: LogId(0xa1), number: 7, floor: Timestamp(1_700_000_000_000), start: vec![3, 0x0400] }
    }

    #[test]
    fn the_bytes_of_a_segment_header_never_change() {
        let hex: String = head().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "414e534552534547010002000700000000000000a1000000000000000068e5cf8b01000003000000000000000004000000000000e7d040e5"
        );
    }

    #[test]
    fn a_header_must_be_the_one_that_was_expected() {
        let two = PartitionCount::new(2).unwrap();
        let bytes = head().encode();
        assert_eq!(bytes.len(), SegmentHead::encoded_len(two));
        assert_eq!(SegmentHead::decode(&bytes, LogId(0xa1), two, 7), Ok(head()));
        assert_eq!(SegmentHead::decode(&bytes, LogId(0xa2), two, 7), Err(HeadFault::OtherLog));
        assert_eq!(SegmentHead::decode(&bytes, LogId(0xa1), two, 8), Err(HeadFault::Number(7)));
        assert_eq!(
            SegmentHead::decode(&bytes, LogId(0xa1), PartitionCount::EMBEDDED, 7),
            Err(HeadFault::Partitions(2))
        );
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_noticed() {
        let two = PartitionCount::new(2).unwrap();
        let good = head().encode();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHead::decode(&bytes, LogId(0xa1), two, 7).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(SegmentHead::decode(&good[..len], LogId(0xa1), two, 7), Err(HeadFault::Damaged));
        }
    }

    #[test]
    fn only_segment_names_are_taken_for_segments() {
        assert_eq!(segment_number(&segment_name(42)), Some(42));
        for name in
            ["meta", "00000000000000000042.idx", "42.seg", "0000000000000000004x.seg", "00000000000000000042.seg.new"]
        {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
