//! Who blocks whom. Keys: the chat's subject key alone; and the user's subject key, a one, whom the user blocks.

use anser_backend::PrivateBlocks;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject, UserId, UserKey};
use bytes::Bytes;

use super::{fields, last_text, subject_key, value};

const BLACKLIST: u8 = 1;
const LOW: u8 = 1;
const HIGH: u8 = 2;

pub(in crate::store) fn key(private: &Subject) -> Vec<u8> {
    subject_key(private)
}

pub(in crate::store) fn write(blocks: PrivateBlocks) -> Vec<u8> {
    let low = if blocks.low_blocks { LOW } else { 0 };
    let high = if blocks.high_blocks { HIGH } else { 0 };
    value(|writer| {
        writer.u64(blocks.next.0);
        writer.u8(low | high);
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<PrivateBlocks, DecodeError> {
    let mut reader = fields(bytes)?;
    let next = Offset(reader.u64()?);
    let bits = reader.u8()?;
    reader.end()?;
    Ok(PrivateBlocks { low_blocks: bits & LOW != 0, high_blocks: bits & HIGH != 0, next })
}

/// What the keys of a user's blacklist begin with. The values are empty but for the version.
pub(in crate::store) fn blacklist_prefix(user: &UserKey) -> Vec<u8> {
    let mut key = subject_key(&Subject::User(user.clone()));
    key.push(BLACKLIST);
    key
}

pub(in crate::store) fn blacklist_key(user: &UserKey, blocked: &UserId) -> Vec<u8> {
    let mut key = blacklist_prefix(user);
    key.extend_from_slice(blocked.as_str().as_bytes());
    key
}

/// Whom such a key names.
pub(in crate::store) fn blocked(key: &[u8], prefix_len: usize) -> Result<UserId, DecodeError> {
    last_text(key, prefix_len, UserId::new)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, chat, hex};
    use super::*;

    #[test]
    fn golden_blocks() {
        assert_eq!(key(&chat()), b"\0\x03app\x01\0\x05alice\0\x03bob");
        for (low_blocks, high_blocks, bits) in [(false, false, "00"), (true, false, "01"), (false, true, "02")] {
            let blocks = PrivateBlocks { low_blocks, high_blocks, next: Offset(7) };
            assert_eq!(hex(&write(blocks)), format!("010000000000000007{bits}"));
            assert_eq!(read(write(blocks).into()), Ok(blocks));
        }
        let alice = UserId::new("alice").unwrap();
        let row = blacklist_key(&bob(), &alice);
        assert_eq!(row, b"\0\x03app\0\0\x03bob\x01alice");
        assert_eq!(blocked(&row, blacklist_prefix(&bob()).len()), Ok(alice));
    }
}
