//! Writing one `DownStreamMessage` from what the caller has, without building the message first.

use anser_types::{ConversationType, Message, MessageUid, Timestamp, UserId};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Which way a message went, as the one who is shown it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// He sent it, from any of his terminals.
    Sent,
    /// It was sent to him.
    Received,
}

/// A `DownStreamMessage` to be written, borrowed from its parts. [`DownStreamRef::of`] fills it from a message.
#[derive(Debug, Clone, Copy)]
pub struct DownStreamRef<'a> {
    pub from_user_id: &'a str,
    pub kind: ConversationType,
    pub group_id: Option<&'a str>,
    pub object_name: &'a [u8],
    pub content: &'a [u8],
    pub sent: Timestamp,
    pub status: u64,
    pub uid: MessageUid,
    pub direction: Direction,
    pub client_unique_id: Option<i64>,
    pub extra_content: Option<&'a [u8]>,
    pub push_content: Option<&'a [u8]>,
    pub config_flag: u32,
    /// An encoded `PushExtra`.
    pub push_ext: Option<&'a [u8]>,
    pub bus_channel: Option<&'a [u8]>,
    pub ext_status: u64,
    pub to_users: &'a [UserId],
    pub option_bits: u64,
}

impl<'a> DownStreamRef<'a> {
    /// How `message` looks to a receiver, or to its sender. A private or system message shows its sender the peer instead of
    /// himself; SDKs take the field for the name of the conversation. The client's own id is told to the sender alone.
    pub fn of(message: &'a Message, direction: Direction) -> Self {
        let grouped = message.kind.is_grouped();
        let sent = direction == Direction::Sent;
        let extras = message.extras.as_deref();
        Self {
            from_user_id: if sent && !grouped { message.target.as_str() } else { message.sender.as_str() },
            kind: message.kind,
            group_id: grouped.then(|| message.target.as_str()),
            object_name: &message.object_name,
            content: &message.content,
            sent: message.sent,
            status: message.flags.downstream_status(),
            uid: message.uid,
            direction,
            client_unique_id: message.origin.client_id.filter(|_| sent).map(|id| id.0),
            extra_content: extras.and_then(|extras| extras.extra_content.as_deref()),
            push_content: extras.and_then(|extras| extras.push_text.as_deref()),
            config_flag: extras.map_or(0, |extras| extras.config_flags),
            push_ext: extras.and_then(|extras| extras.push_ext.as_deref()),
            bus_channel: extras.and_then(|extras| extras.bus_channel.as_deref()),
            ext_status: 0,
            to_users: message.to_users(),
            option_bits: extras.map_or(0, |extras| extras.option_bits),
        }
    }

    /// Appends the encoded message. Fields that SDKs rely on are written even where they are zero.
    pub fn put(&self, out: &mut Vec<u8>) {
        let uid = self.uid.to_text();
        out.reserve(self.object_name.len() + self.content.len() + 128);
        put_bytes(1, self.from_user_id.as_bytes(), out);
        put_varint(2, u64::from(self.kind.number()), out);
        put_some(3, self.group_id.map(str::as_bytes), out);
        put_bytes(4, self.object_name, out);
        put_bytes(5, self.content, out);
        put_varint(6, self.sent.0, out);
        put_varint(7, self.status, out);
        put_bytes(9, &uid, out);
        if self.direction == Direction::Sent {
            put_varint(10, 1, out);
        }
        if let Some(id) = self.client_unique_id {
            put_varint(14, id.cast_unsigned(), out);
        }
        put_some(15, self.extra_content, out);
        put_some(16, self.push_content, out);
        put_unless_zero(17, u64::from(self.config_flag), out);
        put_some(18, self.push_ext, out);
        put_some(19, self.bus_channel, out);
        put_unless_zero(20, self.ext_status, out);
        for user in self.to_users {
            put_bytes(21, user.as_str().as_bytes(), out);
        }
        put_unless_zero(23, self.option_bits, out);
    }

    /// The encoded message.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
}

pub(super) fn put_varint(field: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    encode_varint(value, out);
}

fn put_unless_zero(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_varint(field, value, out);
    }
}

pub(super) fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len_u64(bytes), out);
    out.extend_from_slice(bytes);
}

fn put_some(field: u32, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(bytes) = bytes {
        put_bytes(field, bytes, out);
    }
}

/// The bytes that a field of the lowest numbers takes.
pub(super) fn field_len(bytes: &[u8]) -> usize {
    1 + encoded_len_varint(len_u64(bytes)) + bytes.len()
}

fn len_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
