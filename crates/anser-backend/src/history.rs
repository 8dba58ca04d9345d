//! History: one copy of each message per conversation, newest first, with what happened to it later in cells beside it.

use std::collections::HashSet;

use bytes::Bytes;

use anser_types::{Mark, MessageUid, Offset, PartitionId, Subject, Timestamp, UserKey};

use crate::{BoxFuture, StoreError};

/// A message in the history of its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The conversation.
    pub subject: Subject,
    /// Its sent time, and with the UID its place.
    pub sent: Timestamp,
    /// Its UID.
    pub uid: MessageUid,
    /// Its running number in the conversation: 1, 2, 3 … in log order.
    pub number: u64,
    /// Its log record.
    pub record: Bytes,
}

/// Something that happened to a message later. Kept beside the row, so that a repeated write of the row cannot undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryCell {
    /// It was taken back by another message.
    Recalled {
        /// The message that did it.
        by: MessageUid,
    },
}

/// One write to history. All of them are idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryWrite {
    /// A message. Moves the head of its conversation to `offset` and its number.
    Row {
        /// The offset of its record.
        offset: Offset,
        /// The row.
        row: HistoryRow,
    },
    /// What happened to a message; it may come before the row.
    Cell {
        /// The conversation.
        subject: Subject,
        /// The message's sent time.
        sent: Timestamp,
        /// The message.
        uid: MessageUid,
        /// What happened.
        cell: HistoryCell,
    },
    /// A user no longer wants to see some messages.
    Hide {
        /// Who.
        user: UserKey,
        /// In which conversation.
        subject: Subject,
        /// Which, with their sent times.
        messages: Vec<(MessageUid, Timestamp)>,
    },
    /// A user no longer wants to see anything up to a time.
    HideUntil {
        /// Who.
        user: UserKey,
        /// In which conversation.
        subject: Subject,
        /// The last time that is hidden.
        until: Timestamp,
    },
}

/// The newest message of a conversation, as history counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Its running number; 0 before the first.
    pub number: u64,
    /// The first offset that is not counted yet.
    pub next: Offset,
}

/// From where a page goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Sent before the time, newest first.
    Before,
    /// Sent after the time, oldest first.
    After,
}

/// What to read of a conversation.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// The conversation.
    pub subject: Subject,
    /// The time, exclusive. With [`Order::Before`], `None` begins at the newest.
    pub time: Option<Timestamp>,
    /// Which way.
    pub order: Order,
    /// At most so many rows.
    pub count: usize,
}

/// A row with its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The row.
    pub row: HistoryRow,
    /// Its cells, in no particular order.
    pub cells: Vec<HistoryCell>,
}

/// Rows of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// The rows in the order asked for, raw: whoever shows them folds the cells and leaves out what is hidden.
    pub rows: Vec<StoredRow>,
    /// Whether there are more that way.
    pub more: bool,
}

/// What a user has hidden in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hidden {
    /// Everything sent until then.
    pub until: Timestamp,
    /// Single messages after that.
    pub messages: HashSet<MessageUid>,
}

/// The archive of all conversations.
///
/// Writes of one partition come in log order; each is idempotent, and a repeat changes nothing. There is no atomicity over
/// several of them.
pub trait History: Send + Sync + std::fmt::Debug + 'static {
    /// Writes, then notes that `partition` is archived below the mark's `next`.
    fn write(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// From where a partition is to be archived after a start.
    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>>;

    /// The newest row of a conversation.
    fn head(&self, subject: &Subject) -> BoxFuture<'_, Result<Head, StoreError>>;

    /// A page of raw rows of those that have not expired.
    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>>;

    /// One message with its cells.
    fn find(
        &self,
        subject: &Subject,
        sent: Timestamp,
        uid: MessageUid,
    ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>>;

    /// What a user has hidden in a conversation.
    fn hidden(&self, user: &UserKey, subject: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>>;

    /// Lets messages sent before `time` go.
    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
