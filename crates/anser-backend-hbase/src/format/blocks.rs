//! Who blocks whom in a private chat, in the table of views. Row key: salt, hash and key of the chat, a four. Column `v:` and a zero
//! byte.

use anser_backend::PrivateBlocks;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject};

use super::{Kind, fields, subject_row, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";
const LOW: u8 = 1;
const HIGH: u8 = 2;

pub(crate) fn row(private: &Subject) -> Vec<u8> {
    subject_row(private, Kind::Blocks)
}

pub(crate) fn write(blocks: PrivateBlocks) -> Vec<u8> {
    let low = if blocks.low_blocks { LOW } else { 0 };
    let high = if blocks.high_blocks { HIGH } else { 0 };
    value(|writer| {
        writer.u64(blocks.next.0);
        writer.u8(low | high);
    })
}

pub(crate) fn read(stored: Vec<u8>) -> Result<PrivateBlocks, DecodeError> {
    let mut reader = fields(stored)?;
    let next = Offset(reader.u64()?);
    let bits = reader.u8()?;
    reader.end()?;
    Ok(PrivateBlocks { low_blocks: bits & LOW != 0, high_blocks: bits & HIGH != 0, next })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{chat, hex};
    use super::*;

    #[test]
    fn golden_blocks() {
        assert_eq!(hex(&row(&chat())), "238d850844bdc37ee30003617070010005616c6963650003626f6204");
        for (low_blocks, high_blocks, bits) in [(false, false, "00"), (true, false, "01"), (false, true, "02")] {
            let blocks = PrivateBlocks { low_blocks, high_blocks, next: Offset(7) };
            assert_eq!(hex(&write(blocks)), format!("010000000000000007{bits}"));
        }
    }

    proptest! {
        #[test]
        fn blocks_round_trip(low_blocks: bool, high_blocks: bool, next: u64) {
            let blocks = PrivateBlocks { low_blocks, high_blocks, next: Offset(next) };
            prop_assert_eq!(read(write(blocks)), Ok(blocks));
        }
    }
}
