//! A lift of a timeline that no flush has taken in yet. Key: the user's key, the newest position when it was made; value: the
//! floor. Entries up to that position come before the lift, all others after it; so a replay puts it where it was.

use anser_types::codec::{DecodeError, Reader};
use anser_types::{AppKey, Position, UserId, UserKey};
use bytes::Bytes;

use super::{chunk, user_head, user_key};

/// A lift: what comes after `after` goes above `floor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Lift {
    pub(in crate::store) after: Position,
    pub(in crate::store) floor: Position,
}

pub(in crate::store) fn key(user: &UserKey, lift: Lift) -> Vec<u8> {
    chunk::key(&user_key(user), lift.after.0)
}

pub(in crate::store) fn write(lift: Lift) -> Vec<u8> {
    user_head::write(lift.floor)
}

pub(in crate::store) fn read(key: Bytes, value: Bytes) -> Result<(UserKey, Lift), DecodeError> {
    let mut reader = Reader(key);
    let user = UserKey::new(reader.text(AppKey::new)?, reader.text(UserId::new)?);
    let after = Position(reader.u64()?);
    reader.end()?;
    Ok((user, Lift { after, floor: user_head::read(value)? }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::bob;
    use super::*;

    #[test]
    fn golden_lift() {
        let lift = Lift { after: Position(5), floor: Position(9) };
        assert_eq!(key(&bob(), lift), b"\0\x03app\0\x03bob\0\0\0\0\0\0\0\x05");
        assert_eq!(write(lift), b"\x01\0\0\0\0\0\0\0\x09");
        assert_eq!(read(key(&bob(), lift).into(), write(lift).into()), Ok((bob(), lift)));
    }
}
