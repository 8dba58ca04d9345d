//! Writing the answers that are lists of messages from messages that are encoded already, and the notice that there are some.

use anser_types::{Position, Timestamp};

use super::down_stream::{field_len, put_bytes, put_varint};

/// Appends a `DownStreamMessages`: `items` are encoded `DownStreamMessage`s, oldest first; `sync` is the new cursor;
/// `finished` says that there was nothing more. Also answers the pull of a chatroom.
pub fn put_pull_answer<'i>(
    items: impl Iterator<Item = &'i [u8]> + Clone,
    sync: Position,
    finished: bool,
    out: &mut Vec<u8>,
) {
    put_items(items, out);
    put_varint(2, sync.0, out);
    put_varint(3, u64::from(finished), out);
    // Clients of the first generations fail without it; there are no broadcasts to count.
    put_varint(4, 0, out);
}

/// Appends a `HistoryMsgOuput`: `items` are encoded `DownStreamMessage`s in the order asked for; `last` is the time of the
/// last of them; `more` says that there are more behind it.
pub fn put_history_page<'i>(
    items: impl Iterator<Item = &'i [u8]> + Clone,
    last: Timestamp,
    more: bool,
    out: &mut Vec<u8>,
) {
    put_items(items, out);
    put_varint(2, last.0, out);
    put_varint(3, u64::from(more), out);
}

fn put_items<'i>(items: impl Iterator<Item = &'i [u8]> + Clone, out: &mut Vec<u8>) {
    out.reserve(items.clone().map(field_len).sum::<usize>() + 32);
    for item in items {
        put_bytes(1, item, out);
    }
}

/// Appends a `NotifyMsg` without a room: `kind` as the topic numbers them, `time` the newest position.
pub fn put_notify(kind: u8, time: Position, out: &mut Vec<u8>) {
    put_varint(1, u64::from(kind), out);
    put_varint(2, time.0, out);
}
