//! A message as the owner decided it: what the log keeps, and everything else is derived from.

use bytes::Bytes;

use crate::{
    AppKey, ConnectionId, ConversationType, MessageClass, MessageFlags, MessageUid, Subject, TargetId, Timestamp,
    UserId,
};

/// The id that a sending client gave to a message. The same id again, from the same user, with the same body and
/// conversation, is the same message. A 64-bit integer: as a double, neighbours of native clients would be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientMessageId(pub i64);

/// Where a publish came from, and what makes a repeat of it recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The connection, or [`ConnectionId::NONE`] for the server API.
    pub connection: ConnectionId,
    /// Counts the publishes of that connection from 1. With the connection it names a publish of a client without ids.
    pub publish: u64,
    /// What the client called the message, where it does.
    pub client_id: Option<ClientMessageId>,
}

impl Origin {
    /// From no connection and without a name: no repeat of it is ever recognised.
    pub const NONE: Self = Self { connection: ConnectionId::NONE, publish: 0, client_id: None };
}

/// What a message does beside being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It takes back an earlier message of the same conversation.
    Recall {
        /// The message that is taken back.
        uid: MessageUid,
        /// Its sent time.
        sent: Timestamp,
    },
    /// Its sender has read the conversation up to a time.
    Read {
        /// Everything sent until then is read.
        until: Timestamp,
    },
}

/// The fields of a message that most messages do not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// What a push notification shows.
    pub push_text: Option<Bytes>,
    /// Data for the push notification.
    pub push_data: Option<Bytes>,
    /// The push settings, as the client encoded them.
    pub push_ext: Option<Bytes>,
    /// The expansion, as JSON text.
    pub extra_content: Option<Bytes>,
    /// The channel within the conversation.
    pub bus_channel: Option<Bytes>,
    /// Push and filter bits.
    pub config_flags: u32,
    /// Further option bits.
    pub option_bits: u64,
    /// Of a directional message: the members it is for. Empty: for all.
    pub to_users: Vec<UserId>,
    /// What it does beside being read.
    pub effect: Option<Effect>,
}

/// What a user name takes beside its characters.
const USER_BYTES: usize = 32;

impl Extras {
    /// About how many bytes the fields take that may be long.
    pub fn bytes(&self) -> usize {
        let Self { push_text, push_data, push_ext, extra_content, bus_channel, to_users, .. } = self;
        let texts = [push_text, push_data, push_ext, extra_content, bus_channel];
        let users = to_users.iter().map(|user| USER_BYTES + user.as_str().len());
        texts.into_iter().flatten().map(Bytes::len).chain(users).sum()
    }
}

/// About how many bytes of a message are its sender's choice, in whichever field: what limits of memory count.
pub fn payload_bytes(object_name: &Bytes, content: &Bytes, extras: Option<&Extras>) -> usize {
    object_name.len() + content.len() + extras.map_or(0, Extras::bytes)
}

/// A message, stamped. Immutable once it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The app.
    pub app: AppKey,
    /// The conversation's type.
    pub kind: ConversationType,
    /// Who sent it.
    pub sender: UserId,
    /// Whom it was sent to: the peer, the group, the receiver of a system message.
    pub target: TargetId,
    /// Its sent time T.
    pub sent: Timestamp,
    /// Its UID, which holds T.
    pub uid: MessageUid,
    /// Its storage class.
    pub class: MessageClass,
    /// Its flags.
    pub flags: MessageFlags,
    /// The name of its content type, such as `RC:TxtMsg`.
    pub object_name: Bytes,
    /// Its content: opaque, usually JSON.
    pub content: Bytes,
    /// Where it came from.
    pub origin: Origin,
    /// Whether the sender's own timeline gets it. The server API decides that for what it sends.
    pub sender_copy: bool,
    /// The rarer fields; absent on most messages.
    pub extras: Option<Box<Extras>>,
}

impl Message {
    /// What the message is about.
    pub fn subject(&self) -> Subject {
        Subject::of_message(&self.app, self.kind, &self.sender, &self.target)
    }

    /// See [`payload_bytes`].
    pub fn payload_bytes(&self) -> usize {
        payload_bytes(&self.object_name, &self.content, self.extras.as_deref())
    }

    /// Whether history keeps it.
    pub fn is_kept_in_history(&self) -> bool {
        self.class == MessageClass::Persisted && self.flags.has(MessageFlags::PERSIST)
    }

    /// What it does beside being read.
    pub fn effect(&self) -> Option<Effect> {
        self.extras.as_ref().and_then(|e| e.effect)
    }

    /// The members that a directional message is for; empty for all others.
    pub fn to_users(&self) -> &[UserId] {
        self.extras.as_ref().map_or(&[], |e| &e.to_users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_may_be_long_counts() {
        let long = || Some(Bytes::from(vec![0; 1_000]));
        let named = |extras: &Extras| {
            payload_bytes(&Bytes::from_static(b"name"), &Bytes::from_static(b"content"), Some(extras))
        };
        assert_eq!(named(&Extras::default()), 11);
        let one_long = [
            Extras { push_text: long(), ..Extras::default() },
            Extras { push_data: long(), ..Extras::default() },
            Extras { push_ext: long(), ..Extras::default() },
            Extras { extra_content: long(), ..Extras::default() },
            Extras { bus_channel: long(), ..Extras::default() },
        ];
        for extras in one_long {
            assert_eq!(named(&extras), 1_011, "{extras:?}");
        }
        let to_users = vec![UserId::new("bob").unwrap(); 100];
        assert!(named(&Extras { to_users, ..Extras::default() }) > 100 * "bob".len());
    }
}
