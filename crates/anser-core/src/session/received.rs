//! A message as the application is handed it.

use anser_rmtp::PublishKind;
use anser_rmtp::PublishTopic;
use anser_rmtp::body::{DownStreamMessage, UpStreamMessage};
use anser_rmtp::frame::PubAck;
use anser_types::{
    ClientMessageId, Conversation, ConversationType, MessageFlags, MessageUid, TargetId, Timestamp, UserId,
};
use bytes::Bytes;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Pushed directly.
    Direct,
    /// In the answer to a pull.
    Pull,
    /// As the copy of what another terminal of the user sent.
    Copy,
    /// In a page of history, which may show what was shown before.
    History,
}

/// A message as the application is handed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its UID.
    pub uid: MessageUid,
    /// The conversation, as this user sees it.
    pub conversation: Conversation,
    /// Who sent it.
    pub sender: UserId,
    /// Whether the user's own account sent it, on whatever terminal.
    pub own: bool,
    /// Its sent time, by the server's clock; the same for everybody.
    pub sent: Timestamp,
    /// When it came, by the local clock.
    pub received: Timestamp,
    /// The name of its content type.
    pub object_name: Bytes,
    /// Its content.
    pub content: Bytes,
    /// The status bits: kept 0x10, counted 0x20, mentions 0x40, quiet 0x200, expandable 0x400.
    pub status: u64,
    /// Its client id, on own messages.
    pub client_id: Option<ClientMessageId>,
    /// How it came.
    pub via: Via,
}

impl Received {
    /// Reads a message as `me` is shown it. `None` if it has no UID, no valid ids or an unknown type: nothing that a user could
    /// be shown.
    pub fn read(down: DownStreamMessage, me: &UserId, received: Timestamp, via: Via) -> Option<Self> {
        let kind = ConversationType::from_number(u32::try_from(down.kind).ok()?)?;
        let uid = down.msg_id.as_deref()?.parse().ok()?;
        let own = down.direction == Some(1);
        let from = UserId::new(&down.from_user_id).ok()?;
        let (target, sender) = if kind.is_grouped() {
            (TargetId::new(down.group_id.as_deref()?).ok()?, from)
        } else if own {
            (from.into(), me.clone())
        } else {
            (from.clone().into(), from)
        };
        Some(Self {
            uid,
            conversation: Conversation::new(kind, target),
            sender,
            own,
            sent: Timestamp(u64::try_from(down.data_time).ok()?),
            received,
            object_name: down.classname.into(),
            content: down.content,
            status: u64::try_from(down.status).unwrap_or_default(),
            client_id: down.client_unique_id.map(ClientMessageId),
            via,
        })
    }

    /// Reads the copy of an own message, whose UID and sent time came with its ack.
    pub(super) fn read_copy(
        topic: PublishTopic,
        target: &str,
        up: UpStreamMessage,
        ack: &PubAck,
        me: &UserId,
        received: Timestamp,
    ) -> Option<Self> {
        let PublishKind::Message { conversation, .. } = topic.kind() else {
            return None;
        };
        let flags = MessageFlags(u32::try_from(up.session_id).unwrap_or_default());
        Some(Self {
            uid: ack.uid?,
            conversation: Conversation::new(conversation, TargetId::new(target).ok()?),
            sender: me.clone(),
            own: true,
            sent: ack.sent,
            received,
            object_name: up.classname,
            content: up.content,
            status: flags.downstream_status(),
            client_id: up.client_unique_id.map(ClientMessageId),
            via: Via::Copy,
        })
    }
}
