//! The content of a measured message: JSON, as clients send it, with what the checker needs at fixed places.
//!
//! `{"content":"` · sender (8 hex digits) · number (12) · time in microseconds (16) · padding · `"}`.

use bytes::Bytes;

const HEAD: &[u8] = b"{\"content\":\"";
const TAIL: &[u8] = b"\"}";
const SENDER_DIGITS: usize = 8;
const NUMBER_DIGITS: usize = 12;
const TIME_DIGITS: usize = 16;
/// The least bytes of a content.
pub(crate) const BYTES_MIN: usize = HEAD.len() + SENDER_DIGITS + NUMBER_DIGITS + TIME_DIGITS + TAIL.len();

/// What a content says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Who sent it, as the run numbers its senders.
    pub(crate) sender: u32,
    /// Its number among those of this sender, from 0.
    pub(crate) number: u64,
    /// When it was due.
    pub(crate) due_us: u64,
}

impl Mark {
    /// A content of so many bytes, or as few as there must be.
    pub(crate) fn content(&self, bytes: usize) -> Bytes {
        let bytes = bytes.max(BYTES_MIN);
        let mut content = Vec::with_capacity(bytes);
        content.extend_from_slice(HEAD);
        put_hex(u64::from(self.sender), SENDER_DIGITS, &mut content);
        put_hex(self.number, NUMBER_DIGITS, &mut content);
        put_hex(self.due_us, TIME_DIGITS, &mut content);
        content.resize(bytes - TAIL.len(), b'.');
        content.extend_from_slice(TAIL);
        content.into()
    }

    /// What a content says; `None` if it is not one of ours.
    pub(crate) fn read(content: &[u8]) -> Option<Self> {
        let rest = content.strip_prefix(HEAD)?;
        let (sender, rest) = rest.split_at_checked(SENDER_DIGITS)?;
        let (number, rest) = rest.split_at_checked(NUMBER_DIGITS)?;
        let (time, _) = rest.split_at_checked(TIME_DIGITS)?;
        Some(Self { sender: u32::try_from(hex(sender)?).ok()?, number: hex(number)?, due_us: hex(time)? })
    }
}

fn put_hex(value: u64, digits: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in (0..digits).rev() {
        let digit = usize::try_from(value >> (4 * place) & 15).unwrap_or(0);
        out.push(DIGITS[digit]);
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_at_any_size() {
        let mark = Mark { sender: 77, number: 123_456_789_012, due_us: 1_795_311_881_922_123 };
        for bytes in [0, BYTES_MIN, 64, 200, 4096] {
            let content = mark.content(bytes);
            assert_eq!(content.len(), bytes.max(BYTES_MIN));
            assert_eq!(Mark::read(&content), Some(mark));
            assert!(serde_json::from_slice::<serde_json::Value>(&content).is_ok());
        }
        assert_eq!(Mark::read(b"{\"content\":\"hello\"}"), None);
    }
}
