//! Small fields that several values share: sides, conversations, cells' places.

use anser_backend::Side;
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{ConnectionId, Conversation, ConversationType, MessageUid, TargetId, Timestamp};

const INBOX: u8 = 0;
const OUTBOX: u8 = 1;

pub(in crate::store) fn write_side(side: Side, writer: &mut Writer<'_>) {
    match side {
        Side::Inbox => writer.u8(INBOX),
        Side::Outbox(connection) => {
            writer.u8(OUTBOX);
            writer.u64(connection.0);
        }
    }
}

pub(in crate::store) fn read_side(reader: &mut Reader) -> Result<Side, DecodeError> {
    match reader.u8()? {
        INBOX => Ok(Side::Inbox),
        OUTBOX => Ok(Side::Outbox(ConnectionId(reader.u64()?))),
        other => Err(DecodeError::Kind(other)),
    }
}

pub(in crate::store) fn read_kind(reader: &mut Reader) -> Result<ConversationType, DecodeError> {
    ConversationType::from_number(u32::from(reader.u8()?)).ok_or(DecodeError::Value("conversation type"))
}

pub(in crate::store) fn write_conversation(conversation: &Conversation, writer: &mut Writer<'_>) {
    writer.u8(conversation.kind.number());
    writer.text(conversation.target.as_str());
}

pub(in crate::store) fn read_conversation(reader: &mut Reader) -> Result<Conversation, DecodeError> {
    let kind = read_kind(reader)?;
    Ok(Conversation::new(kind, reader.text(TargetId::new)?))
}

/// Sent time and UID, which sort like the messages of one conversation.
pub(in crate::store) fn write_message(sent: Timestamp, uid: MessageUid, writer: &mut Writer<'_>) {
    writer.u64(sent.0);
    writer.raw(uid.as_bytes());
}

pub(in crate::store) fn read_message(reader: &mut Reader) -> Result<(Timestamp, MessageUid), DecodeError> {
    Ok((Timestamp(reader.u64()?), MessageUid::from_bytes(reader.array()?)))
}
