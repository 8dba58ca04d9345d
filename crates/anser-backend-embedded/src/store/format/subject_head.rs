//! The head of a conversation in history. Key: the subject's key, then a zero byte.

use anser_backend::Head;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject};
use bytes::Bytes;

use super::{fields, subject_key, value};

const FAMILY: u8 = 0;

/// What history knows of a conversation beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct SubjectHead {
    /// Number and offset of the newest row.
    pub(in crate::store) head: Head,
    /// Its place.
    pub(in crate::store) last: u64,
    /// Whether there is any cell in the conversation.
    pub(in crate::store) has_cells: bool,
}

pub(in crate::store) fn key(subject: &Subject) -> Vec<u8> {
    let mut key = subject_key(subject);
    key.push(FAMILY);
    key
}

pub(in crate::store) fn write(head: &SubjectHead) -> Vec<u8> {
    value(|writer| {
        writer.u64(head.head.number);
        writer.u64(head.head.next.0);
        writer.u64(head.last);
        writer.u8(u8::from(head.has_cells));
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<SubjectHead, DecodeError> {
    let mut reader = fields(bytes)?;
    let head = Head { number: reader.u64()?, next: Offset(reader.u64()?) };
    let head = SubjectHead { head, last: reader.u64()?, has_cells: reader.u8()? != 0 };
    reader.end()?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chat, hex};
    use super::*;

    #[test]
    fn golden_subject_head() {
        assert_eq!(key(&chat()), b"\0\x03app\x01\0\x05alice\0\x03bob\0");
        let head = SubjectHead { head: Head { number: 2, next: Offset(3) }, last: 4, has_cells: true };
        assert_eq!(hex(&write(&head)), "0100000000000000020000000000000003000000000000000401");
        assert_eq!(read(write(&head).into()), Ok(head));
    }
}
