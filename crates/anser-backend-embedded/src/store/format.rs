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
pub(super) mod recalled;
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
pub(super) mod tests;
