//! Messages on their way to those who are shown them: which way they went, and encoded lists of them.

use anser_rmtp::body::{Direction, DownStreamRef};
use anser_types::{Message, UserId};

/// Which way `message` went, as `viewer` sees it in history and in lists.
pub fn direction(message: &Message, viewer: &UserId) -> Direction {
    if message.sender == *viewer { Direction::Sent } else { Direction::Received }
}

/// Encodes messages one behind the other into one buffer, and hands the encoded ones on.
pub fn with_encoded<R>(messages: &[(&Message, Direction)], use_them: impl FnOnce(EncodedItems<'_>) -> R) -> R {
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(messages.len());
    for (message, direction) in messages {
        DownStreamRef::of(message, *direction).put(&mut bytes);
        ends.push(bytes.len());
    }
    use_them(EncodedItems { bytes: &bytes, start: 0, ends: ends.iter() })
}

/// Encoded messages, one after the other.
#[derive(Debug, Clone)]
pub struct EncodedItems<'a> {
    bytes: &'a [u8],
    start: usize,
    ends: std::slice::Iter<'a, usize>,
}

impl<'a> Iterator for EncodedItems<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.ends.next()?;
        let item = self.bytes.get(self.start..end);
        self.start = end;
        item
    }
}
