//! A message before its owner has decided it, and the ticket by which its sender hears of the decision.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use anser_cluster::{Forward, Publish, ServerPublish, Way};
use anser_types::{
    AppKey, ConnectionId, ConversationType, Extras, Message, MessageClass, MessageFlags, MessageUid, NodeId, Origin,
    Subject, TargetId, Timestamp, UserId, UserKey, payload_bytes,
};

/// Who waits for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ticket {
    /// A terminal, for its publish with this number.
    Publish {
        /// The connection.
        connection: ConnectionId,
        /// The number of the publish on it.
        number: u64,
        /// The way on which it came from its access node.
        way: Way,
    },
    /// A call of another role.
    Call(u64),
    /// Another node, on which the message has passed its sender's queue.
    Forward {
        /// The node.
        node: NodeId,
        /// The node's name for it.
        id: u64,
    },
    /// Nobody.
    None,
}

impl Ticket {
    /// Whether a message with this ticket passes a queue of this node.
    pub const fn passes_queue(self, sender_copy: bool) -> bool {
        sender_copy && !matches!(self, Self::Forward { .. })
    }
}

/// What has to be allowed before a message is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Everything: a terminal sends it.
    Full,
    /// Nothing but that the conversation exists: the app's backend sends it.
    Existence,
}

/// A message without sent time and UID.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The app.
    pub app: AppKey,
    /// The conversation's type.
    pub kind: ConversationType,
    /// Who sends it.
    pub sender: UserId,
    /// Whom it is for.
    pub target: TargetId,
    /// Its storage class.
    pub class: MessageClass,
    /// Its flags.
    pub flags: MessageFlags,
    /// The name of its content type.
    pub object_name: Bytes,
    /// Its content.
    pub content: Bytes,
    /// Where it came from.
    pub origin: Origin,
    /// Whether the sender's timeline gets it.
    pub sender_copy: bool,
    /// What has to be allowed.
    pub check: Check,
    /// The rarer fields.
    pub extras: Option<Box<Extras>>,
    /// It sorts after this time.
    pub floor: Timestamp,
    /// When its user's queue first took it, as the time that had passed then.
    pub submitted_ms: Option<u64>,
    /// Who waits for the outcome.
    pub ticket: Ticket,
}

impl Draft {
    /// What a terminal sends, as it came on a way from its access node.
    pub fn of_publish(publish: Publish, way: Way) -> Self {
        let Publish { sender, kind, target, class, flags, object_name, content, origin, floor, extras } = publish;
        Self {
            app: sender.app,
            kind,
            sender: sender.user,
            target,
            class,
            flags,
            object_name,
            content,
            origin,
            sender_copy: true,
            check: Check::Full,
            extras,
            floor,
            submitted_ms: None,
            ticket: Ticket::Publish { connection: origin.connection, number: origin.publish, way },
        }
    }

    /// What the message is about.
    pub fn subject(&self) -> Subject {
        Subject::of_message(&self.app, self.kind, &self.sender, &self.target)
    }

    /// The sender with its app.
    pub fn sender_key(&self) -> UserKey {
        UserKey::new(self.app.clone(), self.sender.clone())
    }

    /// The user whose queue on this node it passes: every message that the sender's own timeline gets, for the order there.
    pub fn queue_key(&self) -> Option<UserKey> {
        self.ticket.passes_queue(self.sender_copy).then(|| self.sender_key())
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        256 + payload_bytes(&self.object_name, &self.content, self.extras.as_deref())
    }

    /// What is the same for a message and its resend, and differs between messages: a hash of sender, client id (without
    /// one: connection and number), conversation, type and body. `None` if nothing can tell a resend (the server API).
    pub fn duplicate_hash(&self) -> Option<u64> {
        duplicate_hash(Identity {
            app: &self.app,
            sender: &self.sender,
            kind: self.kind,
            target: &self.target,
            origin: self.origin,
            object_name: &self.object_name,
            content: &self.content,
        })
    }

    /// Whether `first` is this message, accepted earlier.
    pub fn is_resend_of(&self, first: &Message) -> bool {
        let same_origin = match self.origin.client_id {
            Some(id) => first.origin.client_id == Some(id),
            None => first.origin == self.origin,
        };
        same_origin
            && first.app == self.app
            && first.sender == self.sender
            && first.kind == self.kind
            && first.target == self.target
            && first.object_name == self.object_name
            && first.content == self.content
    }

    /// The message, decided.
    pub fn into_message(self, sent: Timestamp, uid: MessageUid) -> Message {
        Message {
            app: self.app,
            kind: self.kind,
            sender: self.sender,
            target: self.target,
            sent,
            uid,
            class: self.class,
            flags: self.flags,
            object_name: self.object_name,
            content: self.content,
            origin: self.origin,
            sender_copy: self.sender_copy,
            extras: self.extras,
        }
    }

    /// A message that did not make it into the log, as it was before it was decided.
    pub fn from_message(message: &Message, check: Check, ticket: Ticket) -> Self {
        Self {
            app: message.app.clone(),
            kind: message.kind,
            sender: message.sender.clone(),
            target: message.target.clone(),
            class: message.class,
            flags: message.flags,
            object_name: message.object_name.clone(),
            content: message.content.clone(),
            origin: message.origin,
            sender_copy: message.sender_copy,
            check,
            extras: message.extras.clone(),
            floor: message.sent.minus(1),
            submitted_ms: None,
            ticket,
        }
    }

    /// What the server API sends, with the ticket of the call.
    pub fn from_server(publish: ServerPublish, origin: Origin, ticket: Ticket) -> Self {
        Self {
            app: publish.app,
            kind: publish.kind,
            sender: publish.sender,
            target: publish.target,
            class: publish.class,
            flags: publish.flags,
            object_name: publish.object_name,
            content: publish.content,
            origin,
            sender_copy: publish.sender_copy,
            check: if publish.check_permission { Check::Full } else { Check::Existence },
            extras: publish.extras,
            floor: Timestamp::ZERO,
            submitted_ms: None,
            ticket,
        }
    }

    /// What another node forwards.
    pub fn from_peer(node: NodeId, forward: Forward) -> Self {
        let Forward { id, publish, origin, floor, .. } = forward;
        Self { floor, ..Self::from_server(publish, origin, Ticket::Forward { node, id }) }
    }
}

struct Identity<'a> {
    app: &'a AppKey,
    sender: &'a UserId,
    kind: ConversationType,
    target: &'a TargetId,
    origin: Origin,
    object_name: &'a Bytes,
    content: &'a Bytes,
}

/// The hash of a publish, by which its message is known again.
pub(crate) fn duplicate_hash_of_publish(publish: &Publish) -> Option<u64> {
    duplicate_hash(Identity {
        app: &publish.sender.app,
        sender: &publish.sender.user,
        kind: publish.kind,
        target: &publish.target,
        origin: publish.origin,
        object_name: &publish.object_name,
        content: &publish.content,
    })
}

/// The hash of an accepted message, for rebuilding the window from the log.
pub fn duplicate_hash_of(message: &Message) -> Option<u64> {
    duplicate_hash(Identity {
        app: &message.app,
        sender: &message.sender,
        kind: message.kind,
        target: &message.target,
        origin: message.origin,
        object_name: &message.object_name,
        content: &message.content,
    })
}

fn duplicate_hash(of: Identity<'_>) -> Option<u64> {
    let mut hash = Xxh3::new();
    match of.origin.client_id {
        Some(id) => {
            hash.update(b"i");
            hash.update(&id.0.to_be_bytes());
        }
        None if of.origin.connection == ConnectionId::NONE => return None,
        None => {
            hash.update(b"c");
            hash.update(&of.origin.connection.0.to_be_bytes());
            hash.update(&of.origin.publish.to_be_bytes());
        }
    }
    for text in [of.app.as_str(), of.sender.as_str(), of.target.as_str()] {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(&[of.kind.number()]);
    hash.update(&(of.object_name.len() as u64).to_be_bytes());
    hash.update(of.object_name);
    hash.update(of.content);
    Some(hash.digest())
}
