//! An entry of a timeline as chunks hold it: position, side, record.

use anser_backend::StoredEntry;
use anser_types::Position;
use anser_types::codec::{DecodeError, Reader, Writer};

use crate::store::format::chunk::Item;
use crate::store::format::place::{read_side, write_side};

impl Item for StoredEntry {
    fn place(&self) -> u64 {
        self.position.0
    }

    fn weight(&self) -> usize {
        self.record.len() + 24
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.position.0);
        write_side(self.side, writer);
        writer.bytes(&self.record);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { position: Position(reader.u64()?), side: read_side(reader)?, record: reader.bytes()? })
    }
}

#[cfg(test)]
mod tests {
    use anser_backend::Side;
    use anser_types::ConnectionId;
    use bytes::Bytes;

    use super::*;
    use crate::store::format::chunk;
    use crate::store::format::tests::hex;

    #[test]
    fn golden_timeline_chunk() {
        let entry =
            |position, side| StoredEntry { position: Position(position), side, record: Bytes::from_static(b"r") };
        let entries = [entry(1, Side::Inbox), entry(2, Side::Outbox(ConnectionId(9)))];
        chunk::write_all(b"k", &entries, |key, value| {
            assert_eq!(key, b"k\0\0\0\0\0\0\0\x02");
            assert_eq!(hex(&value), "01000000000000000100000000017200000000000000020100000000000000090000000172");
            assert_eq!(chunk::read::<StoredEntry>(value.into()).unwrap(), entries);
        });
    }
}
