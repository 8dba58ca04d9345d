//! History and directory anew from the log: what an operator asked for, how far it is, and how what the log holds is written over
//! tables that lack some of it.

use anser_types::{Offset, PartitionId, Subject, Timestamp};

use crate::{BoxFuture, DirectoryChange, Head, HistoryWrite, StoreError};

/// What an operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RebuildAsked {
    /// When: its name. A later one is larger.
    pub at: Timestamp,
    /// From when on the log is applied again; zero for all that it holds.
    pub since: Timestamp,
}

/// How far a partition is with the newest rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RebuildState {
    /// Everything below was read and written again, as was said last.
    pub place: Offset,
    /// How many views are there and cannot be seen: they were deleted by somebody, and what hides them is still there.
    pub hidden: u64,
    /// Whether all of it is there.
    pub is_done: bool,
}

/// What the log holds of some time, as it makes the views.
#[derive(Debug, Default)]
pub struct ViewsAnew {
    /// Changes are all there from here on.
    pub from: Offset,
    /// Up to here.
    pub to: Offset,
    /// The heads of conversations with a message in between, as they are at the end.
    pub heads: Vec<(Subject, Head)>,
    /// Changes in between, in the order of the log: all of each group, chat and user that is among them.
    pub changes: Vec<(Offset, DirectoryChange)>,
}

/// Tables that can be made anew from the log while they serve.
///
/// * Whoever archives a partition rebuilds it, and archives nothing there meanwhile. So there is one writer, but for calls of
///   former ones that come late.
/// * Nothing newer is lost to anything older: whatever is written here contains all that the log had of it, up to an end that lies behind
///   everything that was written before.
pub trait Rebuilds: Send + Sync + std::fmt::Debug + 'static {
    /// Asks whoever archives to rebuild. `now` is by the clock of the caller; a later rebuild is named later all the same.
    fn ask(&self, since: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<RebuildAsked, StoreError>>;

    /// The newest rebuild that was asked for.
    fn asked(&self) -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>>;

    /// How far partitions are with it. Those that nobody has begun are not among them.
    fn states(
        &self,
        asked: RebuildAsked,
        partitions: Vec<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<(PartitionId, RebuildState)>, StoreError>>;

    /// What is to be rebuilt of a partition, if something is. With `by`, the claim by which the caller has it, the caller is going to:
    /// from then on nobody can say that it is done who began it before, or begins it by an older claim.
    fn begin(&self, partition: PartitionId, by: Option<u64>)
    -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>>;

    /// Notes how far the caller is, and how many views are hidden. For people only.
    fn note(&self, partition: PartitionId, place: Offset, hidden: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Notes that a partition is rebuilt. Returns whether it counts: not if somebody else has begun since.
    fn end(&self, partition: PartitionId, by: u64, asked: RebuildAsked) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Writes rows of history with the numbers that they have, whatever heads say. Heads stay.
    fn write_rows(&self, writes: Vec<HistoryWrite>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes views what they are at the end: each that is named is taken back to the beginning, as far as that can be seen in it, and
    /// changed again from there. Returns how many of them cannot be seen then, because deletions hide them.
    fn write_views(&self, views: ViewsAnew) -> BoxFuture<'_, Result<u64, StoreError>>;
}
