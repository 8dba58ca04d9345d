//! The newest message of a conversation, in the table of views. Row key: salt, hash and key of the conversation, a two. Column `v:` and
//! a zero byte.

use anser_backend::Head;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject};

use super::{Kind, fields, subject_row, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";

pub(crate) fn row(subject: &Subject) -> Vec<u8> {
    subject_row(subject, Kind::Head)
}

pub(crate) fn write(head: Head) -> Vec<u8> {
    value(|writer| {
        writer.u64(head.number);
        writer.u64(head.next.0);
    })
}

pub(crate) fn read(stored: Vec<u8>) -> Result<Head, DecodeError> {
    let mut reader = fields(stored)?;
    let head = Head { number: reader.u64()?, next: Offset(reader.u64()?) };
    reader.end()?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{chat, hex};
    use super::*;

    #[test]
    fn golden_head() {
        assert_eq!(hex(&row(&chat())), "238d850844bdc37ee30003617070010005616c6963650003626f6202");
        assert_eq!(hex(&write(Head { number: 2, next: Offset(3) })), "0100000000000000020000000000000003");
    }

    proptest! {
        #[test]
        fn heads_round_trip(number: u64, next: u64) {
            let head = Head { number, next: Offset(next) };
            prop_assert_eq!(read(write(head)), Ok(head));
        }
    }
}
