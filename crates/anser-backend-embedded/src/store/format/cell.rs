//! What happened to a message later. Key: the subject's key, a one, sent time, UID, kind of cell.

use anser_backend::HistoryCell;
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{MessageUid, Subject, Timestamp};
use bytes::Bytes;

use super::place::{read_message, write_message};
use super::{fields, subject_key, value};

const FAMILY: u8 = 1;
const RECALLED: u8 = 1;

/// The key of the first possible cell of a message, and the start of the keys of all its cells.
pub(in crate::store) fn message_key(subject: &Subject, sent: Timestamp, uid: MessageUid) -> Vec<u8> {
    let mut key = prefix(subject);
    write_message(sent, uid, &mut Writer(&mut key));
    key
}

/// What the keys of all cells of a conversation begin with.
pub(in crate::store) fn prefix(subject: &Subject) -> Vec<u8> {
    let mut key = subject_key(subject);
    key.push(FAMILY);
    key
}

pub(in crate::store) fn key(subject: &Subject, sent: Timestamp, uid: MessageUid, cell: &HistoryCell) -> Vec<u8> {
    let mut key = message_key(subject, sent, uid);
    key.push(match cell {
        HistoryCell::Recalled { .. } => RECALLED,
    });
    key
}

pub(in crate::store) fn write(cell: &HistoryCell) -> Vec<u8> {
    match cell {
        HistoryCell::Recalled { by } => value(|writer| writer.raw(by.as_bytes())),
    }
}

/// The message and the cell, from a key whose first `prefix_len` bytes are those of the conversation.
pub(in crate::store) fn read(
    key: Bytes,
    prefix_len: usize,
    bytes: Bytes,
) -> Result<((Timestamp, MessageUid), HistoryCell), DecodeError> {
    let mut key = Reader(key);
    key.take(prefix_len)?;
    let message = read_message(&mut key)?;
    let kind = key.u8()?;
    let mut reader = fields(bytes)?;
    let cell = match kind {
        RECALLED => HistoryCell::Recalled { by: MessageUid::from_bytes(reader.array()?) },
        other => return Err(DecodeError::Kind(other)),
    };
    key.end()?;
    reader.end()?;
    Ok((message, cell))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chat, hex, uid};
    use super::*;

    #[test]
    fn golden_cell() {
        let cell = HistoryCell::Recalled { by: uid(9) };
        let row = key(&chat(), Timestamp(5), uid(5), &cell);
        assert_eq!(hex(&row), "0003617070010005616c6963650003626f620100000000000000050000000001400040000701");
        assert_eq!(hex(&write(&cell)), "0100000000024000400007");
        assert_eq!(read(row.into(), prefix(&chat()).len(), write(&cell).into()), Ok(((Timestamp(5), uid(5)), cell)));
    }
}
