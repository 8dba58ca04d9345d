//! The bytes of the store: one file per key and value. Every value begins with a version byte; golden tests hold the rest.
//!
//! Keys of app data begin with the app id. Texts in the middle of a key carry their length or end with a zero byte, which
//! no id contains, so that no key is a prefix of a stranger's; texts at the end of a key are raw, so that they sort.

pub(super) mod cell;
pub(super) mod chunk;
pub(super) mod cursor;
pub(super) mod group;
pub(super) mod hide;
pub(super) mod identity;
pub(super) mod lift;
pub(super) mod list_row;
pub(super) mod marks;
pub(super) mod member;
pub(super) mod place;
pub(super) mod private;
pub(super) mod setting;
pub(super) mod subject_head;
pub(super) mod user_head;
pub(super) mod user_view;

use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{Subject, UserKey};
use bytes::Bytes;

/// The version byte of every value that this program writes.
pub(super) const VERSION: u8 = 1;

/// The key of everything that belongs to a user, which is also the start of its longer keys.
pub(super) fn user_key(user: &UserKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    let mut writer = Writer(&mut key);
    writer.text(user.app.as_str());
    writer.text(user.user.as_str());
    key
}

/// The key of everything that belongs to a subject.
pub(super) fn subject_key(subject: &Subject) -> Vec<u8> {
    subject.key()
}

/// A value: the version byte, then the fields.
pub(super) fn value(fields: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut value = Vec::with_capacity(64);
    let mut writer = Writer(&mut value);
    writer.u8(VERSION);
    fields(&mut writer);
    value
}

/// Checks the version byte and hands out the fields.
pub(super) fn fields(value: Bytes) -> Result<Reader, DecodeError> {
    let mut reader = Reader(value);
    match reader.u8()? {
        VERSION => Ok(reader),
        other => Err(DecodeError::Version(other)),
    }
}

/// The raw text at the end of a key, after `prefix_len` bytes.
pub(super) fn last_text<T, E: Into<DecodeError>>(
    key: &[u8],
    prefix_len: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, DecodeError> {
    let text = key.get(prefix_len..).ok_or(DecodeError::Short)?;
    parse(std::str::from_utf8(text).map_err(|_| DecodeError::Text)?).map_err(Into::into)
}

#[cfg(test)]
pub(super) mod sample {
    use anser_types::{
        AppKey, Conversation, ConversationType, MessageUid, TargetId, Timestamp, UserId,
    };

    use super::*;

    pub(in crate::store) fn bob() -> UserKey {
        UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap())
    }

    pub(in crate::store) fn chat() -> Subject {
        Subject::private(bob().app, bob().user, UserId::new("alice").unwrap())
    }

    pub(in crate::store) fn with(name: &str) -> Conversation {
        Conversation::new(ConversationType::Private, TargetId::new(name).unwrap())
    }

    pub(in crate::store) fn uid(sent: u64) -> MessageUid {
        MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 7)
    }

    pub(in crate::store) fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn golden_keys() {
        assert_eq!(user_key(&bob()), b"\0\x03app\0\x03bob");
        assert_eq!(subject_key(&chat()), b"\0\x03app\x01\0\x05alice\0\x03bob");
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(
            fields(Bytes::from_static(&[9, 0])).err(),
            Some(DecodeError::Version(9))
        );
        assert_eq!(fields(Bytes::new()).err(), Some(DecodeError::Short));
    }
}
