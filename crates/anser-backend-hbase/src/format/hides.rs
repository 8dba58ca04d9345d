//! What a user has hidden in a conversation, in the table of messages. Row key: salt, hash and key of the user, a one, the key of
//! the conversation. Column `m:u`: the time up to which all is hidden. Columns `m:h`, sent time, UID: single messages.

use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{MessageUid, Subject, Timestamp, UserKey};
use bytes::Bytes;

use super::{Kind, fields, user_row, value};

pub(crate) const UNTIL: &[u8] = b"m:u";
const SINGLE: &[u8] = b"m:h";

pub(crate) fn row(user: &UserKey, subject: &Subject) -> Vec<u8> {
    let mut row = user_row(user, Kind::Hides);
    subject.write_key(&mut row);
    row
}

pub(crate) fn write_until(until: Timestamp) -> Vec<u8> {
    value(|writer| writer.u64(until.0))
}

pub(crate) fn read_until(stored: Vec<u8>) -> Result<Timestamp, DecodeError> {
    let mut reader = fields(stored)?;
    let until = Timestamp(reader.u64()?);
    reader.end()?;
    Ok(until)
}

pub(crate) fn single_column(sent: Timestamp, uid: MessageUid) -> Vec<u8> {
    let mut column = SINGLE.to_vec();
    let mut writer = Writer(&mut column);
    writer.u64(sent.0);
    writer.raw(uid.as_bytes());
    column
}

/// The value of such a column says nothing more.
pub(crate) fn write_single() -> Vec<u8> {
    value(|_| {})
}

pub(crate) fn read_single(column: &[u8], stored: Vec<u8>) -> Result<(Timestamp, MessageUid), DecodeError> {
    fields(stored)?.end()?;
    let rest = column.strip_prefix(SINGLE).ok_or(DecodeError::Value("column name"))?;
    let mut reader = Reader(Bytes::copy_from_slice(rest));
    let message = (Timestamp(reader.u64()?), MessageUid::from_bytes(reader.array()?));
    reader.end()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{bob, chat, hex, uid};
    use super::*;

    #[test]
    fn golden_hides() {
        let user = "0f1a306d946e944e8f0003617070000003626f62";
        assert_eq!(hex(&row(&bob(), &chat())), format!("{user}010003617070010005616c6963650003626f62"));
        assert_eq!(hex(&write_until(Timestamp(9))), "010000000000000009");
        assert_eq!(hex(&single_column(Timestamp(5), uid(5))), "6d3a68000000000000000500000000014000400007");
        assert_eq!(hex(&write_single()), "01");
    }

    proptest! {
        #[test]
        fn hides_round_trip(time: u64) {
            let (time, uid) = (Timestamp(time), uid(time));
            prop_assert_eq!(read_until(write_until(time)), Ok(time));
            prop_assert_eq!(read_single(&single_column(time, uid), write_single()), Ok((time, uid)));
        }
    }
}
