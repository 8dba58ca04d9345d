//! What was taken back of a user's timeline. Key: the user's key, then a three. Value: the UIDs, one behind the other.

use std::collections::BTreeSet;

use anser_types::codec::DecodeError;
use anser_types::{MessageUid, UserKey};
use bytes::Bytes;

use super::{fields, user_key, value};

const FAMILY: u8 = 3;

pub(in crate::store) fn key(user: &UserKey) -> Vec<u8> {
    let mut key = user_key(user);
    key.push(FAMILY);
    key
}

pub(in crate::store) fn write(uids: &BTreeSet<MessageUid>) -> Vec<u8> {
    value(|writer| uids.iter().for_each(|uid| writer.raw(uid.as_bytes())))
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<BTreeSet<MessageUid>, DecodeError> {
    let mut reader = fields(bytes)?;
    let mut uids = BTreeSet::new();
    while !reader.is_empty() {
        uids.insert(MessageUid::from_bytes(reader.array()?));
    }
    Ok(uids)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex, uid};
    use super::*;

    #[test]
    fn golden_recalled() {
        assert_eq!(key(&bob()), b"\0\x03app\0\x03bob\x03");
        let uids = BTreeSet::from([uid(6), uid(5)]);
        assert_eq!(hex(&write(&uids)), "010000000001400040000700000000018000400007");
        assert_eq!(read(write(&uids).into()), Ok(uids));
        assert_eq!(read(Bytes::from_static(&[1, 0])), Err(DecodeError::Short));
    }
}
