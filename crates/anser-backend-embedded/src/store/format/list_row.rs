//! A row of a conversation list. Key: the user's key, a one, the conversation.

use std::collections::VecDeque;

use anser_backend::{Side, UNREAD_EXACT_MAX, Unread};
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{Conversation, ConversationType, Timestamp, UserKey};
use bytes::Bytes;

use super::place::{read_side, write_side};
use super::{fields, last_text, user_key, value};

const FAMILY: u8 = 1;

/// The last message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Last {
    pub(in crate::store) sent: Timestamp,
    pub(in crate::store) side: Side,
    pub(in crate::store) record: Bytes,
}

/// A conversation as a list keeps it; without a last message it is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::store) struct ListState {
    pub(in crate::store) last: Option<Last>,
    pub(in crate::store) unread: Unread,
}

pub(in crate::store) fn key(user: &UserKey, conversation: &Conversation) -> Vec<u8> {
    let mut key = prefix(user);
    key.push(conversation.kind.number());
    key.extend_from_slice(conversation.target.as_str().as_bytes());
    key
}

/// What the keys of all rows of a user begin with.
pub(in crate::store) fn prefix(user: &UserKey) -> Vec<u8> {
    let mut key = user_key(user);
    key.push(FAMILY);
    key
}

/// What the keys of its rows of one type begin with, or of all.
pub(in crate::store) fn kind_prefix(user: &UserKey, kind: Option<ConversationType>) -> Vec<u8> {
    let mut key = prefix(user);
    key.extend(kind.map(ConversationType::number));
    key
}

/// The conversation that a key names.
pub(in crate::store) fn conversation(key: &[u8], prefix_len: usize) -> Result<Conversation, DecodeError> {
    let number = *key.get(prefix_len).ok_or(DecodeError::Short)?;
    let kind = ConversationType::from_number(u32::from(number)).ok_or(DecodeError::Value("conversation type"))?;
    Ok(Conversation::new(kind, last_text(key, prefix_len + 1, anser_types::TargetId::new)?))
}

pub(in crate::store) fn write(state: &ListState) -> Vec<u8> {
    value(|writer| {
        writer.u64(state.unread.count());
        writer.u64(state.unread.read_until().0);
        // At most as many as the type keeps.
        writer.u16(u16::try_from(state.unread.newest().len()).unwrap_or(u16::MAX));
        let mut before = 0;
        for sent in state.unread.newest() {
            // They rise, and mostly by little.
            write_difference(sent.0.saturating_sub(before), writer);
            before = sent.0;
        }
        if let Some(last) = &state.last {
            writer.u64(last.sent.0);
            write_side(last.side, writer);
            writer.bytes(&last.record);
        }
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<ListState, DecodeError> {
    let mut reader = fields(bytes)?;
    let count = reader.u64()?;
    let read_until = Timestamp(reader.u64()?);
    let times = usize::from(reader.u16()?);
    if times > UNREAD_EXACT_MAX {
        return Err(DecodeError::Value("unread times"));
    }
    let mut newest = VecDeque::with_capacity(times);
    let mut before = 0u64;
    for _ in 0..times {
        before = before.saturating_add(read_difference(&mut reader)?);
        newest.push_back(Timestamp(before));
    }
    let mut state = ListState { last: None, unread: Unread::from_parts(count, read_until, newest) };
    if !reader.is_empty() {
        state.last =
            Some(Last { sent: Timestamp(reader.u64()?), side: read_side(&mut reader)?, record: reader.bytes()? });
    }
    reader.end()?;
    Ok(state)
}

/// Seven bits a byte, the lowest first; all but the last byte have the top bit set.
fn write_difference(mut value: u64, writer: &mut Writer<'_>) {
    while value >= 0x80 {
        writer.u8(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    writer.u8(value.to_le_bytes()[0]);
}

fn read_difference(reader: &mut Reader) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Value("difference"))
}

#[cfg(test)]
mod tests {
    use anser_types::ConnectionId;

    use super::super::tests::{bob, hex, with};
    use super::*;

    #[test]
    fn golden_list_row() {
        let row = key(&bob(), &with("alice"));
        assert_eq!(row, b"\0\x03app\0\x03bob\x01\x01alice");
        assert_eq!(conversation(&row, prefix(&bob()).len()), Ok(with("alice")));

        let mut unread = Unread::default();
        unread.read(Timestamp(4));
        unread.add(Timestamp(5));
        unread.add(Timestamp(5 + 256));
        let last = Last { sent: Timestamp(6), side: Side::Outbox(ConnectionId(7)), record: Bytes::from_static(b"r") };
        let listed = ListState { last: Some(last), unread: unread.clone() };
        assert_eq!(
            hex(&write(&listed)),
            "01000000000000000200000000000000040002058002000000000000000601000000000000000700000001".to_owned() + "72"
        );
        let far = [0, 1, 127, 128, 1 << 40, u64::MAX - 1, u64::MAX].map(Timestamp);
        let unread_far = Unread::from_parts(99, Timestamp::ZERO, far.into());
        for state in [ListState { last: None, unread: unread_far }, listed, ListState { last: None, unread }] {
            assert_eq!(read(write(&state).into()), Ok(state));
        }
    }
}
