//! The mailbox: one timeline per user (inbox and outbox in one order), its conversation list and its unread counts.
//!
//! A table derived from the log. Users live in buckets; what one record changes in one bucket is written in one atomic
//! call together with the new mark, so that each effect happens once whatever is repeated.

use bytes::Bytes;
use smallvec::SmallVec;

use anser_types::{
    BucketId, Claim, ConnectionId, Conversation, ConversationType, DeviceId, Mark, MessageUid, NodeId, Offset,
    PartitionId, Position, Timestamp, UserKey,
};

use crate::{BoxFuture, StoreError};

mod unread;

pub use unread::{UNREAD_EXACT_MAX, Unread};

/// Which half of a timeline an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Received.
    Inbox,
    /// Sent by this user, on this connection.
    Outbox(ConnectionId),
}

impl Side {
    /// The connection on which this user sent it; `None` if it was received.
    pub const fn sent_on(self) -> Option<ConnectionId> {
        match self {
            Self::Inbox => None,
            Self::Outbox(connection) => Some(connection),
        }
    }
}

/// How an entry counts as unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// One more unread message.
    Yes,
    /// The list moves, the count stays.
    No,
}

/// What an entry does to the conversation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The conversation as this user sees it.
    pub conversation: Conversation,
    /// Whether it counts.
    pub counted: Counted,
}

/// An entry to append to one user's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Whose timeline.
    pub user: UserKey,
    /// The sent time of the message.
    pub sent: Timestamp,
    /// The message.
    pub uid: MessageUid,
    /// Received or sent.
    pub side: Side,
    /// The log record of the message, shared by all the timelines that hold it.
    pub record: Bytes,
    /// What it does to the conversation list; `None`: nothing.
    pub listed: Option<Listed>,
}

/// A message that was taken back from one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecalledEntry {
    /// From whom.
    pub user: UserKey,
    /// The conversation as this user sees it.
    pub conversation: Conversation,
    /// The message.
    pub uid: MessageUid,
    /// Its sent time, by which the user's list and unread count know it: in one conversation no two are the same.
    pub sent: Timestamp,
    /// The sent time of the message that took it back.
    pub by_sent: Timestamp,
    /// Whether this user received or sent that one.
    pub by_side: Side,
    /// Its log record.
    pub by_record: Bytes,
}

/// For how long a mailbox knows of a message that was taken back after entries of its sent time have expired, in milliseconds:
/// where entries were placed late, their positions are later than their sent times.
pub const RECALLED_KEPT_MS: u64 = 24 * 3600 * 1000;

/// Of how many messages that were taken back from one user a mailbox knows; of more, those with the newest UIDs, or that were taken back
/// last.
pub const RECALLED_MAX: usize = 1_000;

/// One change to one user's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxRow {
    /// Append to the timeline at position max(T, last position + 1), and update the conversation list.
    Entry(TimelineEntry),
    /// The user has read a conversation: what was counted and sent until then no longer counts.
    Read {
        /// Whose.
        user: UserKey,
        /// Which conversation.
        conversation: Conversation,
        /// Up to when.
        until: Timestamp,
    },
    /// A message was taken back. From now on pages name it as such, it no longer counts as unread, and if it is the last one of
    /// its conversation, the list shows what took it back instead. Other conversations, and one that is not on the list, stay
    /// where they are.
    Recall(RecalledEntry),
    /// The conversation leaves the list, until an entry brings it back.
    Remove {
        /// Whose.
        user: UserKey,
        /// Which conversation.
        conversation: Conversation,
    },
}

impl MailboxRow {
    /// Whose timeline or list it changes.
    pub const fn user(&self) -> &UserKey {
        match self {
            Self::Entry(TimelineEntry { user, .. })
            | Self::Read { user, .. }
            | Self::Recall(RecalledEntry { user, .. })
            | Self::Remove { user, .. } => user,
        }
    }
}

/// Changes that one partition makes to one bucket, in log order, with the mark that they lead to. Whatever one record does in
/// a bucket is in one part: the mark stands behind it afterwards.
#[derive(Debug, Clone)]
pub struct PartitionRows {
    /// The partition.
    pub partition: PartitionId,
    /// The claim under which they are written. An older one than the bucket has seen is refused.
    pub claim: Claim,
    /// The mark afterwards: everything below is applied.
    pub next: Offset,
    /// The rows with the offsets of their records; those below the present mark are skipped.
    pub rows: Vec<(Offset, MailboxRow)>,
}

/// One atomic write to one bucket.
#[derive(Debug, Clone)]
pub struct BucketBatch {
    /// The bucket; every row's user lives in it.
    pub bucket: BucketId,
    /// Applied in this order. A partition may come more than once, where records of several partitions have to keep the order
    /// in which they were committed.
    pub parts: Vec<PartitionRows>,
}

/// The access nodes at which a user has terminals, as far as known. Mostly one.
pub type Online = SmallVec<[NodeId; 1]>;

/// Where an entry went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The newest position of the timeline before it.
    pub previous: Position,
    /// Its own position.
    pub position: Position,
    /// Where the user is, read in the same step: who signs in later finds the entry by its first pull. A hint.
    pub online: Online,
}

/// What to read of a timeline.
#[derive(Debug, Clone)]
pub struct RangeQuery {
    /// Whose.
    pub user: UserKey,
    /// Entries after this position.
    pub after: Position,
    /// At most so many.
    pub entries_max: usize,
    /// About so many bytes; one entry is always returned.
    pub bytes_max: usize,
}

/// An entry as it lies in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Where.
    pub position: Position,
    /// Received or sent.
    pub side: Side,
    /// The log record of the message.
    pub record: Bytes,
}

/// A part of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries, oldest first.
    pub entries: Vec<StoredEntry>,
    /// The newest position of the timeline when this was read; at least the last entry's.
    pub head: Position,
    /// Whether nothing came after the last entry when this was read.
    pub finished: bool,
    /// What was taken back of this timeline, of which some may be among the entries: whoever shows the page leaves it out. At
    /// least as long as the entries themselves are kept, and of at least [`RECALLED_MAX`] messages. A message of which it is not known any
    /// more is shown, and then the one that took it back.
    pub recalled: Vec<MessageUid>,
}

/// What to read of a conversation list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Whose.
    pub user: UserKey,
    /// Only conversations of this type.
    pub kind: Option<ConversationType>,
    /// Only those whose last message was sent before this; zero for all.
    pub before: Timestamp,
    /// At most so many.
    pub count: usize,
}

/// A row of a conversation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// Which conversation.
    pub conversation: Conversation,
    /// The log record of its last message.
    pub record: Bytes,
    /// When that was sent.
    pub sent: Timestamp,
    /// Whether this user received or sent it.
    pub side: Side,
    /// How many messages are unread.
    pub unread: u64,
    /// Up to when the user has read.
    pub read_until: Timestamp,
}

/// From where a partition is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayFrom {
    /// Everything below the mark's `next` has been applied and will not be forgotten. The claim is the one that was newest there:
    /// whoever reads on from `next` begins at the claim's record, to know which records count.
    Mark(Mark),
    /// From as far back as timelines go: somebody asked for all of it to be made anew, and nothing of the partition is there yet.
    Anew,
}

/// Timelines, conversation lists, unread counts and terminal cursors.
///
/// * Atomicity: one `apply` happens as a whole or not at all, together with its marks.
/// * Idempotency: a repeated or overlapping batch changes nothing below the mark. An older claim gets
///   [`StoreError::StaleClaim`].
/// * Durability: a store may forget its newest writes, for at most a minute; the log brings them again. A handle remembers up to
///   where it has written each bucket. When the store has less than that, `apply` fails with [`StoreError::RolledBack`] and
///   changes nothing: rows that were lost must come before newer ones, because the mark of the newer ones would hide them.
///   The caller then begins a replay. It also does so when `rollbacks` has risen: nothing else tells of a loss in a bucket
///   that nobody writes to.
/// * Rebuild: a store may be told to let go of what it derived from the log, and to take it from the log again. `rebuilds`
///   tells of it. From then on it takes nothing of a partition whose replay was begun before, with [`StoreError::RolledBack`], so
///   that nothing lies over what is still to come; what it held goes with the first write of a replay that was begun since.
/// * No-gap: whatever a rolled back or rebuilt store appends is above everything that it has shown before.
/// * What one `range` returned is never followed by anything new at or below its `head`.
pub trait Mailbox: Send + Sync + std::fmt::Debug + 'static {
    /// Applies a batch. Returns, for each part and row in order, where an entry went; `None` for rows that were skipped or
    /// are no entries.
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Vec<Vec<Option<Placed>>>, StoreError>>;

    /// Entries after a position, oldest first, of those that have not expired.
    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// The newest position of a timeline; [`Position::START`] if there is none.
    fn head(&self, user: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>>;

    /// Sees to it that later entries of this user get positions above `floor`; the head is at least there from then on. Durable
    /// on return.
    fn lift(&self, user: &UserKey, floor: Position) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The conversations of a user, those with the newest messages first.
    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>>;

    /// Remembers how far a terminal has got. A hint: it may be lost, and never moves back.
    fn set_cursor(&self, user: &UserKey, device: &DeviceId, cursor: Position) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How far a terminal had got.
    fn cursor(&self, user: &UserKey, device: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>>;

    /// From where a partition is to be replayed after a start: everything below `next` has been applied and will not be
    /// forgotten. The default mark if nothing is.
    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>>;

    /// The caller replays a partition from the place that is returned: from now on it applies the records of the partition in
    /// order from there. Up to where this handle had written the partition before is of no account any more. Called at each
    /// take-over, after the store came back without its newest writes, and when a rebuild was asked for.
    fn begin_replay(&self, partition: PartitionId) -> BoxFuture<'_, Result<ReplayFrom, StoreError>> {
        Box::pin(async move { self.replay_from(partition).await.map(ReplayFrom::Mark) })
    }

    /// Below which offsets the store contains something of partitions, in any bucket and whoever wrote it: what is below is skipped
    /// there. [`Offset::START`] for each from a store that is not to be asked, as it has nothing that the log can lose.
    fn written<'a>(&'a self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Offset>, StoreError>> {
        Box::pin(std::future::ready(Ok(vec![Offset::START; partitions.len()])))
    }

    /// How many times this handle has found that the store came back, perhaps without its newest writes. It looks, so it is
    /// to be asked about once a second, and after [`StoreError::RolledBack`]. When the number has risen, every partition
    /// that this node applies is replayed. It may rise without need; a replay changes nothing where nothing is missing.
    ///
    /// A store that loses nothing but what its own crash recovery settles before it opens stays at zero.
    fn rollbacks(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// How many times this handle has found that a rebuild was asked for since it was opened. It looks, and is to be asked as often
    /// as `rollbacks`. When the number has risen, every partition that this node applies is replayed.
    fn rebuilds(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Notes that everything below the mark's `next` has been applied in all buckets. The store passes it on as a place to
    /// replay from once it cannot forget those effects any more.
    fn applied(&self, partition: PartitionId, mark: Mark) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Notes that a user has a terminal at an access node, by its connection there; the newest connection stays noted.
    /// Returns the nodes at which the user has terminals now. An entry that is applied afterwards is placed with them. A
    /// hint: it may be lost.
    ///
    /// A store for a single node keeps none of this: its users are nowhere else.
    fn set_online(
        &self,
        _user: &UserKey,
        _node: NodeId,
        _connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, StoreError>> {
        Box::pin(std::future::ready(Ok(Online::new())))
    }

    /// The user has no terminal at this node any more, as of this connection: the newest that the node had for anybody. Changes
    /// nothing if a newer one was noted there since; the ids of a node's connections rise.
    fn set_offline(
        &self,
        _user: &UserKey,
        _node: NodeId,
        _connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Where a user has terminals.
    fn online(&self, _user: &UserKey) -> BoxFuture<'_, Result<Online, StoreError>> {
        Box::pin(std::future::ready(Ok(Online::new())))
    }

    /// Lets entries of before `time` go.
    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
