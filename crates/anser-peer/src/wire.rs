//! What nodes say to each other, and its bytes: protobuf, as `proto/peer.proto` describes it.
//!
//! A stream carries batches, a batch carries frames in order. A batch is the concatenation of its encoded frames, so frames
//! are appended to a buffer as they come. Reading gives an error for whatever is no batch, and never panics; what is read
//! shares no memory with the bytes it came from, so that a small message never holds on to a large buffer.

mod convert;
mod proto;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use anser_cluster::{
    Accepted, Arrival, Claims, Command, Forward, Forwarded, GroupProfile, HistoryRead, HistoryReply, ListItem,
    Newcomer, Online, Publish, PullReply, PullRequest, Recall, Refusal, ServerPublish, SettingsPage, Settled,
    SignInView, SignOut, UserProfile,
};
use anser_types::codec::DecodeError;
use anser_types::{
    AppKey, ConnectionId, ConversationType, IdError, LogId, NodeId, Origin, PartitionId, Position, TargetId, Timestamp,
    UserId, UserKey,
};
use bytes::BytesMut;
use prost::Message as _;

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;
/// The oldest version that it understands.
pub const OLDEST: u32 = 1;

/// Why bytes are no batch of frames. Never worth a retry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// They are no protobuf, or the fields are of other types.
    #[error("bytes are no batch of frames")]
    Proto(#[from] prost::DecodeError),
    /// An id is none.
    #[error("an id field cannot be read")]
    Id(#[from] IdError),
    /// A record cannot be read.
    #[error("a record cannot be read")]
    Record(#[from] DecodeError),
    /// A field is missing, or a kind is not known: most likely a newer program wrote it.
    #[error("{0} is missing or of a kind that is not known")]
    Missing(&'static str),
    /// A field holds a value that it may not have.
    #[error("{0} holds a value out of range")]
    Value(&'static str),
}

/// The first frame of each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The version that the node speaks best.
    pub(crate) version: u32,
    /// The oldest version that it understands.
    pub(crate) oldest: u32,
    /// The cluster: the identity of its log.
    pub(crate) cluster: LogId,
    /// This run of the node.
    pub(crate) node: NodeId,
    /// Its name, for people.
    pub(crate) name: String,
    /// The run that the one that dials looks for; the other side names none.
    pub(crate) to: Option<NodeId>,
}

/// A frame. The first group goes either way, the second from the node that dialled, the third back to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Hello(Hello),

    Publishes { attempt: u32, publishes: Vec<Publish> },
    Arrive(Arrival),
    Moved { user: UserKey, head: Position },
    SettingsChanged { user: UserKey, time: Timestamp, by: ConnectionId },
    SignOut { user: UserKey, why: SignOut },
    GivesWay(Newcomer),
    Forwards(Vec<Forward>),
    LetGo(Vec<PartitionId>),
    Call { id: u64, wait: Duration, request: Request },

    Refused { reason: String },
    Taken { frames: u64 },
    Settled(Vec<Settled>),
    Answers(Vec<(u64, Forwarded)>),
    Reply { id: u64, result: Result<Answer, Refusal> },
    Claims(Claims),
}

/// A question: a method of one of the services, with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    PublishForServer { publish: ServerPublish, origin: Origin },
    Command(Command),
    Pull(PullRequest),
    History(HistoryRead),
    Conversations { user: UserKey, kind: Option<ConversationType>, before: Timestamp, count: usize },
    Recall(Recall),
    SignedIn { user: UserKey, node: NodeId, connection: ConnectionId },
    SignedOut { user: UserKey, node: NodeId, connection: ConnectionId },
    Online(UserKey),
    SignInView(UserKey),
    User(UserKey),
    Group { app: AppKey, group: TargetId },
    GroupsOf { user: UserKey, after: Option<TargetId>, count: usize },
    Blacklist(UserKey),
    BlockedUsers { app: AppKey, now: Timestamp },
    Settings { user: UserKey, version: Timestamp },
    IsOnline(UserKey),
    Archived(PartitionId),
}

impl Request {
    /// Whether its answer waits where history or the directory is away. Who may sign in is mostly known without them.
    pub(crate) const fn needs_tables(&self) -> bool {
        match self {
            Self::PublishForServer { .. }
            | Self::Pull(_)
            | Self::Conversations { .. }
            | Self::SignedIn { .. }
            | Self::SignedOut { .. }
            | Self::Online(_)
            | Self::SignInView(_)
            | Self::IsOnline(_) => false,
            Self::Command(_)
            | Self::History(_)
            | Self::Recall(_)
            | Self::User(_)
            | Self::Group { .. }
            | Self::GroupsOf { .. }
            | Self::Blacklist(_)
            | Self::BlockedUsers { .. }
            | Self::Settings { .. }
            | Self::Archived(_) => true,
        }
    }
}

/// What a question was answered with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Accepted(Accepted),
    Time(Timestamp),
    Pulled(PullReply),
    History(HistoryReply),
    Conversations(Vec<ListItem>),
    Nodes(Online),
    SignInView(SignInView),
    User(Option<UserProfile>),
    Group(Option<GroupProfile>),
    Flag(bool),
    Groups(Vec<(TargetId, String)>),
    Users(Vec<UserId>),
    Blocked(Vec<(UserId, Timestamp)>),
    Settings(SettingsPage),
    Done,
}

/// The tag of a frame in a batch.
const FRAME: u32 = 1;

impl Frame {
    /// Appends the frame to a batch.
    pub(crate) fn put(&self, batch: &mut BytesMut) {
        prost::encoding::message::encode(FRAME, &convert::to_wire(self), batch);
    }
}

/// Reads the frames of a batch, in order.
pub(crate) fn read(batch: &[u8]) -> Result<Vec<Frame>, WireError> {
    proto::Batch::decode(batch)?.frames.into_iter().map(convert::from_wire).collect()
}

/// Reads a batch and writes it again; how many frames it holds. For tools that try out what happens with any bytes.
pub fn probe(batch: &[u8]) -> Result<usize, WireError> {
    let frames = read(batch)?;
    let mut again = BytesMut::new();
    frames.iter().for_each(|frame| frame.put(&mut again));
    Ok(frames.len())
}
