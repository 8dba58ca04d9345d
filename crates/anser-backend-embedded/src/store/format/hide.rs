//! What a user has hidden in a conversation. Keys: the user's subject key, a two, the conversation's subject key, then a zero for
//! the time up to which all is hidden, or a one, sent time and UID of a single message.

use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{MessageUid, Subject, Timestamp, UserKey};
use bytes::Bytes;

use super::place::{read_message, write_message};
use super::{fields, subject_key, value};

const FAMILY: u8 = 2;
const UNTIL: u8 = 0;
const SINGLE: u8 = 1;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Hide {
    /// Everything up to a time.
    Until(Timestamp),
    /// One message.
    Single(Timestamp, MessageUid),
}

/// What the keys of all rows of a user and a conversation begin with.
pub(in crate::store) fn prefix(user: &UserKey, subject: &Subject) -> Vec<u8> {
    let mut key = subject_key(&Subject::User(user.clone()));
    key.push(FAMILY);
    subject.write_key(&mut key);
    key
}

pub(in crate::store) fn key(prefix: &[u8], hide: Hide) -> Vec<u8> {
    let mut key = prefix.to_vec();
    let mut writer = Writer(&mut key);
    match hide {
        Hide::Until(_) => writer.u8(UNTIL),
        Hide::Single(sent, uid) => {
            writer.u8(SINGLE);
            write_message(sent, uid, &mut writer);
        }
    }
    key
}

pub(in crate::store) fn write(hide: Hide) -> Vec<u8> {
    value(|writer| {
        if let Hide::Until(until) = hide {
            writer.u64(until.0);
        }
    })
}

pub(in crate::store) fn read(key: Bytes, prefix_len: usize, bytes: Bytes) -> Result<Hide, DecodeError> {
    let mut key = Reader(key);
    key.take(prefix_len)?;
    let mut reader = fields(bytes)?;
    let hide = match key.u8()? {
        UNTIL => Hide::Until(Timestamp(reader.u64()?)),
        SINGLE => {
            let (sent, uid) = read_message(&mut key)?;
            Hide::Single(sent, uid)
        }
        other => return Err(DecodeError::Kind(other)),
    };
    key.end()?;
    reader.end()?;
    Ok(hide)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, chat, hex, uid};
    use super::*;

    #[test]
    fn golden_hides() {
        let prefix = prefix(&bob(), &chat());
        assert_eq!(hex(&prefix), "0003617070000003626f62020003617070010005616c6963650003626f62");
        for (hide, suffix, stored) in [
            (Hide::Until(Timestamp(9)), "00", "010000000000000009"),
            (Hide::Single(Timestamp(5), uid(5)), "01000000000000000500000000014000400007", "01"),
        ] {
            let row = key(&prefix, hide);
            assert_eq!((hex(&row[prefix.len()..]), hex(&write(hide))), (suffix.into(), stored.into()));
            assert_eq!(read(row.into(), prefix.len(), write(hide).into()), Ok(hide));
        }
    }
}
