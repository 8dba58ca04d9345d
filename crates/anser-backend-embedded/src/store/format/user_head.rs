//! The head row of a user: its newest position, and a one if something of its timeline was taken back. Key: the user's key,
//! then a zero byte.

use anser_types::codec::DecodeError;
use anser_types::{Position, UserKey};
use bytes::Bytes;

use super::{fields, user_key, value};

const FAMILY: u8 = 0;

pub(in crate::store) fn key(user: &UserKey) -> Vec<u8> {
    let mut key = user_key(user);
    key.push(FAMILY);
    key
}

/// The newest position, and whether there is a row of what was taken back.
pub(in crate::store) fn write_head(last: Position, has_recalled: bool) -> Vec<u8> {
    let mut head = write(last);
    head.extend(has_recalled.then_some(1));
    head
}

pub(in crate::store) fn read_head(bytes: Bytes) -> Result<(Position, bool), DecodeError> {
    let mut reader = fields(bytes)?;
    let last = Position(reader.u64()?);
    let has_recalled = !reader.is_empty() && reader.u8()? == 1;
    reader.end()?;
    Ok((last, has_recalled))
}

pub(in crate::store) fn write(last: Position) -> Vec<u8> {
    value(|writer| writer.u64(last.0))
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<Position, DecodeError> {
    let mut reader = fields(bytes)?;
    let last = Position(reader.u64()?);
    reader.end()?;
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_user_head() {
        assert_eq!(key(&bob()), b"\0\x03app\0\x03bob\0");
        assert_eq!(hex(&write(Position(258))), "010000000000000102");
        assert_eq!(read(write(Position(258)).into()), Ok(Position(258)));
        for (has_recalled, bytes) in [(false, "010000000000000102"), (true, "01000000000000010201")] {
            let head = write_head(Position(258), has_recalled);
            assert_eq!((hex(&head), read_head(head.into())), (bytes.into(), Ok((Position(258), has_recalled))));
        }
    }
}
