//! From where a partition is replayed, in the table of views. Row key: a byte of ones, what is replayed, the partition. Column `v:` and
//! a zero byte.

use anser_types::codec::DecodeError;
use anser_types::{Claim, Mark, Offset, PartitionId};

use super::{fields, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";
/// No salt is this byte.
pub(super) const NOT_APP_DATA: u8 = 0xff;

/// What is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Replayed {
    History = b'h',
    Directory = b'd',
}

pub(crate) fn row(replayed: Replayed, partition: PartitionId) -> Vec<u8> {
    vec![NOT_APP_DATA, replayed as u8, partition.0]
}

pub(crate) fn write(mark: Mark) -> Vec<u8> {
    value(|writer| {
        writer.u64(mark.claim.0.0);
        writer.u64(mark.next.0);
    })
}

pub(crate) fn read(stored: Vec<u8>) -> Result<Mark, DecodeError> {
    let mut reader = fields(stored)?;
    let mark = Mark { claim: Claim(Offset(reader.u64()?)), next: Offset(reader.u64()?) };
    reader.end()?;
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_mark() {
        assert_eq!(row(Replayed::History, PartitionId(3)), b"\xffh\x03");
        assert_eq!(row(Replayed::Directory, PartitionId(255)), b"\xffd\xff");
        let mark = Mark { claim: Claim(Offset(1)), next: Offset(9) };
        assert_eq!(hex(&write(mark)), "0100000000000000010000000000000009");
    }

    proptest! {
        #[test]
        fn marks_round_trip(claim: u64, next: u64) {
            let mark = Mark { claim: Claim(Offset(claim)), next: Offset(next) };
            prop_assert_eq!(read(write(mark)), Ok(mark));
        }
    }
}
