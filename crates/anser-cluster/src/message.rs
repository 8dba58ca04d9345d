//! What the message role does for the others.

use bytes::Bytes;

use anser_types::record::{RosterChange, UserChange};
use anser_types::{
    AppKey, ConnectionId, Conversation, ConversationType, DeviceId, Extras, Message, MessageClass, MessageFlags,
    MessageUid, NodeId, Origin, Position, Subject, TargetId, Timestamp, UserId, UserKey, payload_bytes,
};

use crate::{BoxFuture, Online, Refusal, Way};

/// A message that a terminal sends, checked for form by the access role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Who sends it.
    pub sender: UserKey,
    /// The conversation's type.
    pub kind: ConversationType,
    /// The peer, the group.
    pub target: TargetId,
    /// Its storage class.
    pub class: MessageClass,
    /// Its flags.
    pub flags: MessageFlags,
    /// The name of its content type.
    pub object_name: Bytes,
    /// Its content.
    pub content: Bytes,
    /// The connection, the number of this publish on it (1, 2, 3 …), and the client's own id for the message.
    pub origin: Origin,
    /// The newest sent time that this connection has been shown. The message sorts after it.
    pub floor: Timestamp,
    /// The rarer fields.
    pub extras: Option<Box<Extras>>,
}

impl Publish {
    /// Its refusal, to be tried again.
    pub const fn refused(&self) -> Settled {
        let Origin { connection, publish, .. } = self.origin;
        Settled { connection, publish, outcome: Err(Refusal::UNAVAILABLE) }
    }

    /// See [`payload_bytes`].
    pub fn payload_bytes(&self) -> usize {
        payload_bytes(&self.object_name, &self.content, self.extras.as_deref())
    }
}

/// A message was accepted: it is durable, and nothing will lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its UID. A resend gets the first one.
    pub uid: MessageUid,
    /// Its sent time.
    pub sent: Timestamp,
}

/// What became of a publish.
pub type Outcome = Result<Accepted, Refusal>;

/// A settled publish, on its way back to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The connection that sent it.
    pub connection: ConnectionId,
    /// The number of the publish on that connection.
    pub publish: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// A message with all that its owner decides by: as the server API sends it to one target, and as one message node forwards it to
/// another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPublish {
    /// The app.
    pub app: AppKey,
    /// In whose name.
    pub sender: UserId,
    /// The conversation's type: private, group or system.
    pub kind: ConversationType,
    /// The peer, the group, the receiver of a system message.
    pub target: TargetId,
    /// Its storage class.
    pub class: MessageClass,
    /// Its flags.
    pub flags: MessageFlags,
    /// The name of its content type.
    pub object_name: Bytes,
    /// Its content.
    pub content: Bytes,
    /// Whether the sender's own terminals get it.
    pub sender_copy: bool,
    /// Whether a block by the receiver counts. For groups: whether the sender has to be a member.
    pub check_permission: bool,
    /// The rarer fields. The effect of a recall is filled in by the message role.
    pub extras: Option<Box<Extras>>,
}

impl ServerPublish {
    /// See [`payload_bytes`].
    pub fn payload_bytes(&self) -> usize {
        payload_bytes(&self.object_name, &self.content, self.extras.as_deref())
    }
}

/// A change that is decided in the log: by the server API, or by a user about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Of a group, or of who blocks whom in a private chat.
    Roster {
        /// The group or private chat.
        subject: Subject,
        /// What changes.
        change: RosterChange,
    },
    /// Of a user.
    User {
        /// Which user.
        user: UserKey,
        /// What changes.
        change: UserChange,
    },
}

/// A terminal asks for what is after its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Whose terminal.
    pub user: UserKey,
    /// Its device, where it named one.
    pub device: Option<DeviceId>,
    /// The cursor from which to read: what the terminal asked for, or its confirmed position if that is later.
    pub after: Position,
}

/// One entry of a pull answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullItem {
    /// Its place in the timeline.
    pub position: Position,
    /// `None`: received. Otherwise the connection on which this user sent it.
    pub sent_on: Option<ConnectionId>,
    /// The message.
    pub message: Message,
}

/// What is after a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullReply {
    /// The entries, oldest first. Own messages are among them; the terminal machine leaves out those of its own connection.
    pub items: Vec<PullItem>,
    /// The cursor from which the reading really went: a cursor far above the head counts as zero.
    pub after: Position,
    /// The newest position of the timeline when it was read; at least the last entry's.
    pub head: Position,
    /// Whether nothing came after the last entry when it was read.
    pub finished: bool,
}

/// A terminal asks for a page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRead {
    /// Who asks. Only what this user may see is answered.
    pub user: UserKey,
    /// The conversation as this user sees it.
    pub conversation: Conversation,
    /// Exclusive; `None`: from the newest (or, oldest first, from the beginning).
    pub time: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// How many; `None`: the default. More than the limit gets the limit.
    pub count: Option<usize>,
}

/// One message of a history page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// The message.
    pub message: Message,
    /// Its running number.
    pub number: u64,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryReply {
    /// In the order asked for.
    pub items: Vec<HistoryItem>,
    /// Whether there are more that way.
    pub more: bool,
}

/// One row of a conversation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// Which conversation.
    pub conversation: Conversation,
    /// Its last message.
    pub last: Message,
    /// How many are unread.
    pub unread: u64,
    /// Up to when the user has read.
    pub read_until: Timestamp,
}

/// How many bytes of messages a conversation list may have, by and large: each row carries a whole one.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The message role: user queues, owners, timelines, history.
///
/// Every method may be called from many tasks at once. Reads never wait for writes of others. Whatever is refused carries
/// a documented status; a retryable one has changed nothing, or nothing that a repeat would do twice.
pub trait MessageService: Send + Sync + std::fmt::Debug + 'static {
    /// Takes publishes of one connection, in order. Each is settled later, in any order between conversations, through
    /// [`crate::AccessService::settle`]; status messages are not settled. Never waits: what finds no room is settled as
    /// retryable. `way`: on which they came from the access node; of publishes of this process [`Way::WITHIN`].
    fn publish(&self, publishes: Vec<Publish>, way: Way);

    /// Publishes for the server API. Returns when the message is durable. By an origin other than [`Origin::NONE`] a repeat
    /// is recognised.
    fn publish_for_server(&self, publish: ServerPublish, origin: Origin) -> BoxFuture<'_, Outcome>;

    /// Changes a roster or a user. Returns when the change is durable *and* visible to the reads below; the time is the
    /// decision's, and the version of a setting.
    fn command(&self, command: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>>;

    /// A part of a timeline.
    fn pull(&self, request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>>;

    /// A page of history: folded, without what the user has hidden, never before the user's joining of a group.
    fn history(&self, request: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>>;

    /// The conversation list, newest first. `before`: only those whose last message was sent earlier; zero for all. It ends
    /// with the row whose message brings the list to [`LIST_BYTES_MAX`].
    fn conversations(
        &self,
        user: &UserKey,
        kind: Option<ConversationType>,
        before: Timestamp,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>>;

    /// A recall. With [`RecallTarget::by_sender_only`] it is refused with [`Status::NOT_YOUR_MESSAGE`] unless the command's sender
    /// sent the message. Publishes the recall command and takes the message out of history.
    fn recall(&self, recall: Recall) -> BoxFuture<'_, Outcome>;

    /// A user has a terminal at an access node, by its connection there. Returns where the user has terminals now. Called
    /// before the terminal hears that it is in, so that whatever is placed afterwards finds it.
    fn signed_in(
        &self,
        _user: &UserKey,
        _node: NodeId,
        _connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, Refusal>> {
        Box::pin(std::future::ready(Ok(Online::new())))
    }

    /// The last terminal of a user at an access node has gone, as of `connection`: the newest that the node had for anybody.
    fn signed_out(
        &self,
        _user: &UserKey,
        _node: NodeId,
        _connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Where a user has terminals, as far as known.
    fn online(&self, _user: &UserKey) -> BoxFuture<'_, Result<Online, Refusal>> {
        Box::pin(std::future::ready(Ok(Online::new())))
    }
}

/// A recall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// The recall command, as it goes to the participants.
    pub command: ServerPublish,
    /// Where it came from: a connection, so that the answer of a resend is the same, or none for the server API.
    pub origin: Origin,
    /// The message that is taken back.
    pub target: RecallTarget,
}

/// Which message is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecallTarget {
    /// Its UID.
    pub uid: MessageUid,
    /// Its sent time, as the caller knows it.
    pub sent: Timestamp,
    /// Whether only its sender may.
    pub by_sender_only: bool,
}
