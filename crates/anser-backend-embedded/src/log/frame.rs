//! The frame around one record, as it lies in a segment. Bytes are forever: the golden test pins them.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | CRC32C of the place and of bytes 4 to 36 |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | zero |
//! | 6 | 2 | partition |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | CRC32C of the body |
//! | 16 | 8 | offset in the partition: 0, 1, 2 … |
//! | 24 | 8 | append time, milliseconds since 1970 |
//! | 32 | 4 | where in this segment the commit began that wrote this frame |
//! | 36 | … | body |
//!
//! All numbers are little-endian. The header has a CRC of its own, so that a reader can step over a record of another
//! partition without touching its body, and so that a search for frames behind damaged bytes costs the same
//! whatever those bytes are.
//!
//! The header's CRC also covers where the frame lies: log id, segment number, position. Bytes of a frame that turn up at
//! another place (inside a message body, say, or left over by a disk) are therefore never taken for a frame, and nobody
//! who can send a message can forge one, because the log id is drawn at random and never leaves the node.

use anser_backend::RECORD_BYTES_MAX;
use anser_types::{LogId, Offset, PartitionId, Timestamp};

use super::field::Fields;

/// Bytes in front of every body.
pub(super) const HEADER_LEN: usize = 36;
/// The largest body. A limit of the format: a longer length is damage.
pub(super) const BODY_MAX: usize = RECORD_BYTES_MAX;

const VERSION: u8 = 1;

/// What ties a frame to its segment; covered by the CRC of every header in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(u32);

impl Salt {
    pub(super) fn of(log: LogId, segment: u64) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&log.0.to_le_bytes()), &segment.to_le_bytes()))
    }
}

/// What stands in front of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) partition: PartitionId,
    pub(super) offset: Offset,
    pub(super) time: Timestamp,
    pub(super) body_len: u32,
    pub(super) body_crc: u32,
    /// The position of the first frame of the same commit. Everything before it was durable before this frame was
    /// written; recovery draws its line there.
    pub(super) commit_start: u32,
}

/// Why bytes are not a frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Fewer bytes than a header has.
    Incomplete,
    /// The CRC or a field is wrong.
    Invalid,
    /// The CRC is right, and the version is one that this program does not know.
    Version(u8),
}

impl FrameHeader {
    /// The bytes from this frame's first to the next frame's first.
    pub(super) fn frame_len(&self) -> u64 {
        u64::from(self.body_len) + HEADER_LEN as u64
    }

    /// Whether `body` is what was written.
    pub(super) fn matches(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_crc
    }

    /// The header's bytes for a frame that will lie at `position`.
    pub(super) fn encode(&self, salt: Salt, position: u32) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[4] = VERSION;
        out[6..8].copy_from_slice(&u16::from(self.partition.0).to_le_bytes());
        out[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        out[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        out[16..24].copy_from_slice(&self.offset.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.time.0.to_le_bytes());
        out[32..36].copy_from_slice(&self.commit_start.to_le_bytes());
        let crc = header_crc(salt, position, &out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header that starts `bytes`, which lie at `position`.
    pub(super) fn decode(salt: Salt, position: u32, bytes: &[u8]) -> Result<Self, HeaderFault> {
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(HeaderFault::Incomplete)?;
        let (crc, covered) = header.split_first_chunk::<4>().ok_or(HeaderFault::Incomplete)?;
        if header_crc(salt, position, covered) != u32::from_le_bytes(*crc) {
            return Err(HeaderFault::Invalid);
        }
        match covered {
            [VERSION, ..] => Self::decode_fields(covered).ok_or(HeaderFault::Invalid),
            [version, ..] => Err(HeaderFault::Version(*version)),
            [] => Err(HeaderFault::Incomplete),
        }
    }

    fn decode_fields(covered: &[u8]) -> Option<Self> {
        let mut fields = Fields(covered);
        let (_version, zero) = (fields.u8()?, fields.u8()?);
        let partition = PartitionId(u8::try_from(fields.u16()?).ok()?);
        let body_len = fields.u32()?;
        let header = Self {
            partition,
            body_len,
            body_crc: fields.u32()?,
            offset: Offset(fields.u64()?),
            time: Timestamp(fields.u64()?),
            commit_start: fields.u32()?,
        };
        (zero == 0 && usize::try_from(body_len).is_ok_and(|len| len <= BODY_MAX)).then_some(header)
    }

    /// Whether `bytes` could begin a header of this version: cheap, and wrong only in saying yes.
    pub(super) fn may_begin(bytes: &[u8]) -> bool {
        matches!(bytes, [_, _, _, _, VERSION, 0, ..])
    }
}

fn header_crc(salt: Salt, position: u32, covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt.0, &position.to_le_bytes()), covered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT_OF: (LogId, u64) = (LogId(0x0102_0304_0506_0708), 9);

    fn header() -> FrameHeader {
        FrameHeader {
            partition: PartitionId(3),
            offset: Offset(41),
            time: Timestamp(1_700_000_000_000),
            body_len: 5,
            body_crc: crc32c::crc32c(b"hello"),
            commit_start: 168,
        }
    }

    fn salt() -> Salt {
        Salt::of(SALT_OF.0, SALT_OF.1)
    }

    #[test]
    fn the_bytes_of_a_frame_header_never_change() {
        let bytes = header().encode(salt(), 4096);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "db5c29db01000300050000004cbb719a29000000000000000068e5cf8b010000a8000000");
    }

    #[test]
    fn a_header_counts_only_where_it_was_written() {
        let bytes = header().encode(salt(), 4096);
        assert_eq!(FrameHeader::decode(salt(), 4096, &bytes), Ok(header()));
        assert_eq!(FrameHeader::decode(salt(), 4097, &bytes), Err(HeaderFault::Invalid));
        assert_eq!(FrameHeader::decode(Salt::of(SALT_OF.0, 10), 4096, &bytes), Err(HeaderFault::Invalid));
        assert_eq!(FrameHeader::decode(Salt::of(LogId(1), 9), 4096, &bytes), Err(HeaderFault::Invalid));
    }

    #[test]
    fn a_header_of_a_later_version_is_told_from_damage() {
        let mut bytes = header().encode(salt(), 0);
        bytes[4] = 2;
        let crc = header_crc(salt(), 0, &bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(FrameHeader::decode(salt(), 0, &bytes), Err(HeaderFault::Version(2)));
    }

    proptest! {
        #[test]
        fn headers_round_trip(partition: u8, offset: u64, time: u64, body_len in 0..=BODY_MAX as u32, body_crc: u32, commit_start: u32, position: u32) {
            let header = FrameHeader {
                partition: PartitionId(partition), offset: Offset(offset), time: Timestamp(time), body_len, body_crc, commit_start,
            };
            let bytes = header.encode(salt(), position);
            prop_assert!(FrameHeader::may_begin(&bytes));
            prop_assert_eq!(FrameHeader::decode(salt(), position, &bytes), Ok(header));
        }

        #[test]
        fn any_flipped_bit_is_noticed(bit in 0..HEADER_LEN * 8) {
            let mut bytes = header().encode(salt(), 77);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(FrameHeader::decode(salt(), 77, &bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, position: u32) {
            prop_assert!(FrameHeader::decode(salt(), position, &bytes).is_err());
        }
    }
}
