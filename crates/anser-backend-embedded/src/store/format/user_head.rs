//! The head row of a user: its newest position. Key: the user's key, then a zero byte.

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
    }
}
