//! The bytes in HBase: one file per row key and value. Every value begins with a version byte; golden tests hold the rest.
//!
//! Every row key of app data begins with a salt and a hash of what it belongs to, so that rows spread over regions while all of one
//! conversation or user stay together; behind them stands the whole key, app first. Texts within a key carry their length; a
//! text at the end of a column name is raw.

pub(crate) mod blacklist;
pub(crate) mod blocked_users;
pub(crate) mod blocks;
pub(crate) mod group;
pub(crate) mod groups_of;
pub(crate) mod head;
pub(crate) mod hides;
pub(crate) mod identity;
pub(crate) mod mark;
pub(crate) mod message_row;
pub(crate) mod rebuild;
pub(crate) mod recall;
pub(crate) mod setting;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod user_view;

use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{Subject, UserKey};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// The version byte of every value that this program writes.
pub(crate) const VERSION: u8 = 1;

/// How many salts there are. What belongs together has the same, so tables may be split between them.
const SALTS: u64 = 64;

/// Where row keys of so many equal parts begin, but for the first one.
pub(crate) fn salt_splits(parts: u8) -> impl Iterator<Item = u8> {
    let parts = u64::from(parts).clamp(1, SALTS);
    // Below 64.
    (1..parts).map(move |part| (part * SALTS / parts) as u8)
}

/// What the row keys of one table are told apart by, behind the key of what they belong to. Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Of a conversation, in the table of messages: its messages.
    Messages = 0,
    /// Of a user, in the table of messages: what the user hides.
    Hides = 1,
    /// Of a conversation, in the table of views: its newest message.
    Head = 2,
    /// Of a group: its name and members.
    Group = 3,
    /// Of a private chat: who blocks whom.
    Blocks = 4,
    /// Of a user: profile and sign-in.
    User = 5,
    /// Of a user: the groups.
    GroupsOf = 6,
    /// Of a user: whom the user blocks.
    Blacklist = 7,
    /// Of a user: settings of conversations.
    Settings = 8,
    /// Of an app: the users who may not sign in.
    BlockedUsers = 9,
}

/// What row keys of something begin with: salt, hash, its whole key, the kind of row.
fn row_prefix(key: &[u8], kind: Kind) -> Vec<u8> {
    let hash = xxh3_64(key);
    let mut row = Vec::with_capacity(key.len() + 48);
    // A remainder of 64 fits into a byte.
    row.push(u8::try_from(hash % SALTS).unwrap_or(0));
    row.extend_from_slice(&hash.to_be_bytes());
    row.extend_from_slice(key);
    row.push(kind as u8);
    row
}

pub(crate) fn subject_row(subject: &Subject, kind: Kind) -> Vec<u8> {
    row_prefix(&subject.key(), kind)
}

pub(crate) fn user_row(user: &UserKey, kind: Kind) -> Vec<u8> {
    subject_row(&Subject::User(user.clone()), kind)
}

/// A value: the version byte, then the fields.
pub(crate) fn value(fields: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut value = Vec::with_capacity(64);
    let mut writer = Writer(&mut value);
    writer.u8(VERSION);
    fields(&mut writer);
    value
}

/// Checks the version byte and hands out the fields.
pub(crate) fn fields(value: Vec<u8>) -> Result<Reader, DecodeError> {
    let mut reader = Reader(Bytes::from(value));
    match reader.u8()? {
        VERSION => Ok(reader),
        other => Err(DecodeError::Version(other)),
    }
}

/// A column name: its beginning, then a text.
fn text_column(start: &[u8], text: &str) -> Vec<u8> {
    let mut column = Vec::with_capacity(start.len() + text.len());
    column.extend_from_slice(start);
    column.extend_from_slice(text.as_bytes());
    column
}

/// The text of such a name.
fn column_text<T, E: Into<DecodeError>>(
    column: &[u8],
    start: &[u8],
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, DecodeError> {
    let text = column.strip_prefix(start).ok_or(DecodeError::Value("column name"))?;
    parse(std::str::from_utf8(text).map_err(|_| DecodeError::Text)?).map_err(Into::into)
}
