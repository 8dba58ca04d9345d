//! The ports behind which backends live: the log, the tables that are derived from it, and who the members of the cluster are.
//!
//! A port says what must hold; an adapter for one backend says how. Each port has an in-memory reference in [`memory`] and
//! a suite in [`conformance`] that every adapter passes. No code here knows a real backend.

pub mod conformance;
mod directory;
mod error;
mod history;
mod log;
mod mailbox;
mod membership;
pub mod memory;
mod rebuild;

pub use directory::{Directory, DirectoryChange, GroupMember, GroupView, PrivateBlocks, Setting, Settings, UserView};
pub use error::StoreError;
pub use history::{
    Head, Hidden, History, HistoryCell, HistoryPage, HistoryQuery, HistoryRow, HistoryWrite, Order, StoredRow,
};
pub use log::{AppendError, Bounds, LogEntry, LogReader, MessageLog, RECORD_BYTES_MAX, ReadError};
pub use mailbox::{
    BucketBatch, Counted, ListQuery, ListRow, Listed, Mailbox, MailboxRow, Online, Page, PartitionRows, Placed,
    RECALLED_KEPT_MS, RECALLED_MAX, RangeQuery, RecalledEntry, ReplayFrom, Side, StoredEntry, TimelineEntry,
    UNREAD_EXACT_MAX, Unread,
};
pub use membership::{ClientAddresses, Member, Membership, Missing, Role, Roles, Spoken};
pub use rebuild::{RebuildAsked, RebuildState, Rebuilds, ViewsAnew};

/// What the methods of a port return: a future on the heap, so that ports can be trait objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
