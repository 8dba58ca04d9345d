//! The birth record, the only record of the meta topic: who the log is, fixed when it is made. Bytes are forever.
//!
//! `ANSERKFK`, version (1), zero (1), partition count (2), log id (8), CRC32C of all before (4); little-endian.

use anser_types::{LogId, PartitionCount};

const MAGIC: &[u8; 8] = b"ANSERKFK";
const VERSION: u8 = 1;
const LEN: usize = 24;

/// What is fixed when a log is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// The identity of the log, drawn at random.
    pub log: LogId,
    /// How many partitions it has.
    pub partitions: PartitionCount,
}

/// Why bytes are not a readable birth record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthFault {
    /// They are no birth record, or a damaged one.
    #[error("it is damaged, or something else")]
    Damaged,
    /// A later program wrote it.
    #[error("it has format version {0}, which this program does not know")]
    Version(u8),
}

impl Birth {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&self.partitions.get().to_le_bytes());
        out.extend_from_slice(&self.log.0.to_le_bytes());
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BirthFault> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BirthFault::Damaged)?;
        match rest.first() {
            Some(&VERSION) => Self::decode_v1(bytes).ok_or(BirthFault::Damaged),
            Some(&version) => Err(BirthFault::Version(version)),
            None => Err(BirthFault::Damaged),
        }
    }

    fn decode_v1(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        let partitions = u16::from_le_bytes(body.get(10..12)?.try_into().ok()?);
        let log = u64::from_le_bytes(body.get(12..20)?.try_into().ok()?);
        Some(Self { log: LogId(log), partitions: PartitionCount::new(partitions)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_bytes_of_a_birth_record_never_change() {
        let birth = Birth { log: LogId(0x1122_3344_5566_7788), partitions: PartitionCount::EMBEDDED };
        let hex: String = birth.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "414e5345524b464b010010008877665544332211c211b41e");
    }

    #[test]
    fn damage_and_later_versions_are_told_apart() {
        let good = Birth { log: LogId(5), partitions: PartitionCount::EMBEDDED }.encode();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 == 8 { BirthFault::Version(bytes[8]) } else { BirthFault::Damaged };
            assert_eq!(Birth::decode(&bytes), Err(expected), "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(Birth::decode(&good[..len]), Err(BirthFault::Damaged));
        }
    }

    proptest! {
        #[test]
        fn a_birth_record_comes_back(log in any::<u64>(), partitions in 1_u16..=256) {
            let birth = Birth { log: LogId(log), partitions: PartitionCount::new(partitions).unwrap() };
            prop_assert_eq!(Birth::decode(&birth.encode()), Ok(birth));
        }

        #[test]
        fn other_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Birth::decode(&bytes), Err(BirthFault::Damaged));
        }
    }
}
