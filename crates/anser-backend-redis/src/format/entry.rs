//! An entry of a timeline, a member of its sorted set: eight bytes of position, so that members sort and are read without
//! scores, then the body. The body: version, side, for an outbox entry the connection, then the record.

use anser_backend::{Side, StoredEntry};
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{ConnectionId, Position};
use bytes::Bytes;

const VERSION: u8 = 1;
const INBOX: u8 = 0;
const OUTBOX: u8 = 1;

/// What every timeline has of a message that is received, or sent on one connection.
pub(crate) fn write_body(side: Side, record: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(record.len() + 10);
    let mut writer = Writer(&mut body);
    writer.u8(VERSION);
    match side {
        Side::Inbox => writer.u8(INBOX),
        Side::Outbox(connection) => {
            writer.u8(OUTBOX);
            writer.u64(connection.0);
        }
    }
    writer.raw(record);
    body
}

/// Reads what is left of a value that ends with a body.
pub(crate) fn read_body(mut reader: Reader) -> Result<(Side, Bytes), DecodeError> {
    match reader.u8()? {
        VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    let side = match reader.u8()? {
        INBOX => Side::Inbox,
        OUTBOX => Side::Outbox(ConnectionId(reader.u64()?)),
        other => return Err(DecodeError::Kind(other)),
    };
    Ok((side, reader.0))
}

pub(crate) fn read(member: Bytes) -> Result<StoredEntry, DecodeError> {
    let mut reader = Reader(member);
    let position = Position(reader.u64()?);
    let (side, record) = read_body(reader)?;
    Ok(StoredEntry { position, side, record })
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_entry() {
        let sides = [(Side::Inbox, "010072"), (Side::Outbox(ConnectionId(9)), "0101000000000000000972")];
        for (side, golden) in sides {
            let body = write_body(side, b"r");
            assert_eq!(hex(&body), golden);
            let member = [&[0, 0, 0, 0, 0, 0, 0, 5], &*body].concat();
            let entry = StoredEntry { position: Position(5), side, record: Bytes::from_static(b"r") };
            assert_eq!(read(member.into()), Ok(entry));
        }
        assert_eq!(read(Bytes::from_static(b"\0\0\0\0\0\0\0\x05\x02\0")), Err(DecodeError::Version(2)));
    }
}
