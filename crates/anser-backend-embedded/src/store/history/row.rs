//! A row of history as memory and chunks hold it.

use anser_backend::HistoryRow;
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{MessageUid, Subject, Timestamp};
use bytes::Bytes;

use crate::store::format::chunk::Item;
use crate::store::format::place::{read_message, write_message};

/// A message in the order of its conversation. Its place is its sent time, which rises strictly within a conversation; should it
/// ever not, the place does all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct ArchivedRow {
    pub(in crate::store) place: u64,
    pub(in crate::store) sent: Timestamp,
    pub(in crate::store) uid: MessageUid,
    pub(in crate::store) number: u64,
    pub(in crate::store) record: Bytes,
}

impl ArchivedRow {
    /// The row after one at place `last`.
    pub(super) fn after(last: u64, row: HistoryRow) -> Self {
        let place = row.sent.0.max(last.saturating_add(1));
        Self { place, sent: row.sent, uid: row.uid, number: row.number, record: row.record }
    }

    /// The row as the port shows it.
    pub(super) fn shown(self, subject: &Subject) -> HistoryRow {
        HistoryRow {
            subject: subject.clone(),
            sent: self.sent,
            uid: self.uid,
            number: self.number,
            record: self.record,
        }
    }
}

impl Item for ArchivedRow {
    fn place(&self) -> u64 {
        self.place
    }

    fn weight(&self) -> usize {
        self.record.len() + 40
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.place);
        write_message(self.sent, self.uid, writer);
        writer.u64(self.number);
        writer.bytes(&self.record);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let place = reader.u64()?;
        let (sent, uid) = read_message(reader)?;
        Ok(Self { place, sent, uid, number: reader.u64()?, record: reader.bytes()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::format::chunk;
    use crate::store::format::tests::{hex, uid};

    #[test]
    fn golden_history_chunk() {
        let row =
            |place| ArchivedRow { place, sent: Timestamp(5), uid: uid(5), number: 3, record: Bytes::from_static(b"r") };
        chunk::write_all(b"k", &[row(5)], |key, value| {
            assert_eq!(key, b"k\0\0\0\0\0\0\0\x05");
            assert_eq!(
                hex(&value),
                "010000000000000005000000000000000500000000014000400007000000000000000300000001".to_owned() + "72"
            );
            assert_eq!(chunk::read::<ArchivedRow>(value.into()).unwrap(), [row(5)]);
        });
    }
}
