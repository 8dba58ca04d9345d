//! A row of a conversation list. Field: the byte of the type, then the target. Value, as the script `apply` writes it: version,
//! count of unread messages, up to when the user has read, how many of their times are kept, these times in six bytes each;
//! then, while the conversation is on the list, the sent time and the body of its last message.

use anser_backend::{ListRow, UNREAD_EXACT_MAX};
use anser_types::codec::{DecodeError, Reader};
use anser_types::{Conversation, ConversationType, TargetId, Timestamp};
use bytes::Bytes;

use super::entry;

const VERSION: u8 = 1;
const TIME_BYTES: usize = 6;

pub(crate) fn field(conversation: &Conversation) -> Vec<u8> {
    let mut field = vec![conversation.kind.number()];
    field.extend_from_slice(conversation.target.as_str().as_bytes());
    field
}

fn read_field(field: &[u8]) -> Result<Conversation, DecodeError> {
    let (kind, target) = field.split_first().ok_or(DecodeError::Short)?;
    let kind = ConversationType::from_number(u32::from(*kind)).ok_or(DecodeError::Value("conversation type"))?;
    let target = std::str::from_utf8(target).map_err(|_| DecodeError::Text)?;
    Ok(Conversation::new(kind, TargetId::new(target)?))
}

/// Reads a row of a conversation that is on the list.
pub(crate) fn read(conversation: &[u8], value: Bytes) -> Result<ListRow, DecodeError> {
    let mut reader = Reader(value);
    match reader.u8()? {
        VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    let unread = reader.u64()?;
    let read_until = Timestamp(reader.u64()?);
    let times = usize::from(reader.u16()?);
    if times > UNREAD_EXACT_MAX {
        return Err(DecodeError::Value("unread times"));
    }
    reader.take(times * TIME_BYTES)?;
    let sent = Timestamp(reader.u64()?);
    let (side, record) = entry::read_body(reader)?;
    Ok(ListRow { conversation: read_field(conversation)?, record, sent, side, unread, read_until })
}

#[cfg(test)]
mod tests {
    use anser_backend::Side;

    use super::super::tests::with;
    use super::*;

    #[test]
    fn golden_list_row() {
        assert_eq!(field(&with("alice")), b"\x01alice");
        let value =
            b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x04\0\x02\0\0\0\0\0\x05\0\0\0\0\0\x06\0\0\0\0\0\0\0\x06\x01\0r";
        let row = ListRow {
            conversation: with("alice"),
            record: Bytes::from_static(b"r"),
            sent: Timestamp(6),
            side: Side::Inbox,
            unread: 2,
            read_until: Timestamp(4),
        };
        assert_eq!(read(b"\x01alice", Bytes::from_static(value)), Ok(row));
        assert_eq!(read(b"\x01alice", Bytes::from_static(b"\x02")), Err(DecodeError::Version(2)));
        assert_eq!(read(b"", Bytes::from_static(value)), Err(DecodeError::Short));
    }
}
