//! The file `meta` of a log folder: who the log is, fixed when it is made. Bytes are forever.
//!
//! `ANSERLOG`, version (1), zero (1), partition count (2), log id (8), CRC32C (4); little-endian.

use anser_types::{LogId, PartitionCount};

use super::field::{Fields, seal, unseal};

/// The name of the file.
pub(super) const META_NAME: &str = "meta";

const MAGIC: &[u8; 8] = b"ANSERLOG";
const VERSION: u8 = 1;

/// What is fixed when a log is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) log: LogId,
    pub(super) partitions: PartitionCount,
}

/// Why bytes are not a readable `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetaFault {
    #[error("it is damaged")]
    Damaged,
    #[error("it has format version {0}, which this program does not know")]
    Version(u8),
}

impl Meta {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&self.partitions.get().to_le_bytes());
        out.extend_from_slice(&self.log.0.to_le_bytes());
        seal(&mut out);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, MetaFault> {
        let mut fields = Fields(bytes);
        if fields.take(MAGIC.len()) != Some(MAGIC) {
            return Err(MetaFault::Damaged);
        }
        match fields.u8() {
            Some(VERSION) => Self::decode_v1(bytes, fields).ok_or(MetaFault::Damaged),
            Some(version) => Err(MetaFault::Version(version)),
            None => Err(MetaFault::Damaged),
        }
    }

    fn decode_v1(bytes: &[u8], mut fields: Fields<'_>) -> Option<Self> {
        unseal(bytes)?;
        let (_zero, partitions) = (fields.u8()?, fields.u16()?);
        Some(Self { partitions: PartitionCount::new(partitions)?, log: LogId(fields.u64()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_meta_never_change() {
        let meta = Meta { log: LogId(0x1122_3344_5566_7788), partitions: PartitionCount::EMBEDDED };
        let bytes = meta.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "414e5345524c4f47010010008877665544332211edd22092");
        assert_eq!(Meta::decode(&bytes), Ok(meta));
    }

    #[test]
    fn damage_and_later_versions_are_told_apart() {
        let good = Meta { log: LogId(5), partitions: PartitionCount::EMBEDDED }.encode();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 == 8 { MetaFault::Version(bytes[8]) } else { MetaFault::Damaged };
            assert_eq!(Meta::decode(&bytes), Err(expected), "bit {bit}");
        }
        assert_eq!(Meta::decode(&[]), Err(MetaFault::Damaged));
    }
}
