//! The history of the embedded store: conversations in memory before the disk.

mod archive;
pub(super) mod hides;
mod pages;
mod row;
mod shard;

use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use anser_backend::{BoxFuture, Head, Hidden, History, HistoryPage, HistoryQuery, HistoryWrite, StoreError, StoredRow};
use anser_types::{Mark, MessageUid, PartitionId, Subject, Timestamp, UserKey};

use self::hides::Hides;
use self::pages::PagePlan;
use self::shard::Shard;
use super::expiry::ExpiredBefore;
use super::flush::ReplayTable;
use super::hash::QuickState;
use super::{EmbeddedStore, Inner};

pub(super) use self::archive::CapturedArchive;
pub(super) use self::hides::HideSets;
pub(super) use self::shard::Cells;

/// Conversations are spread over so many locks.
pub(super) const SHARDS: u8 = 64;

/// All conversations.
#[derive(Debug)]
pub(super) struct HistoryTables {
    shards: Vec<Mutex<Shard>>,
    hides: Mutex<Hides>,
    spread: QuickState,
    pub(super) expired: ExpiredBefore,
}

/// What a flush writes of history.
#[derive(Debug)]
pub(super) struct CapturedHistory {
    pub(super) archives: Vec<CapturedArchive>,
    pub(super) cells: Vec<Arc<Cells>>,
    pub(super) hides: Arc<HideSets>,
}

impl HistoryTables {
    pub(super) fn new(expired: ExpiredBefore) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hides: Mutex::default(), spread: QuickState::default(), expired }
    }

    fn shard(&self, subject: &Subject) -> MutexGuard<'_, Shard> {
        let place = self.spread.hash_one(subject) % u64::from(SHARDS);
        // A remainder names one of them.
        self.shards[usize::try_from(place).unwrap_or(0)].lock()
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&self) -> CapturedHistory {
        let mut archives = Vec::new();
        let cells = self.shards.iter().map(|shard| shard.lock().capture(&mut archives)).collect();
        CapturedHistory { archives, cells, hides: self.hides.lock().capture() }
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&self, captured: &CapturedHistory) {
        for archive in &captured.archives {
            self.shard(&archive.subject).note_flushed(archive);
        }
        for shard in &self.shards {
            shard.lock().note_cells_flushed();
        }
        self.hides.lock().note_flushed();
    }

    /// What all conversations take in memory.
    pub(super) fn held(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().held()).sum()
    }

    /// Sweeps one shard. Returns what it holds afterwards.
    pub(super) fn sweep(&self, shard: u8, keep: Option<usize>) -> usize {
        self.shards[usize::from(shard) % self.shards.len()].lock().sweep(keep)
    }
}

impl Inner {
    fn write_history(&self, partition: PartitionId, mark: Mark, writes: Vec<HistoryWrite>) -> Result<(), StoreError> {
        let _moment = self.gate.read();
        let mut bytes = 0;
        for write in writes {
            bytes += self.write_one(write)?;
        }
        self.add_dirty(bytes);
        self.note_applied(ReplayTable::History, partition, mark);
        Ok(())
    }

    /// Returns what it adds to what is not on disk.
    fn write_one(&self, write: HistoryWrite) -> Result<usize, StoreError> {
        let history = &self.history;
        match write {
            HistoryWrite::Row { offset, row } => history.shard(&row.subject).add(&self.disk, offset, row),
            HistoryWrite::Cell { subject, sent, uid, cell } => {
                let mut shard = history.shard(&subject);
                shard.add_cell(&self.disk, (subject, sent, uid), cell).map(|()| 64)
            }
            HistoryWrite::Hide { user, subject, messages } => Ok(history.hides.lock().hide(user, subject, messages)),
            HistoryWrite::HideUntil { user, subject, until } => {
                Ok(history.hides.lock().hide_until(user, subject, until))
            }
        }
    }

    fn plan_page(&self, query: HistoryQuery) -> Result<PagePlan, StoreError> {
        let mut shard = self.history.shard(&query.subject);
        let has_cells = shard.open(&self.disk, &query.subject)?.head().has_cells;
        let cells = has_cells.then(|| shard.cells_of(&query.subject));
        let archive = shard.open(&self.disk, &query.subject)?;
        Ok(PagePlan::new(archive, query, self.history.expired.get(), cells))
    }

    /// Finds one row. Blocks where it is not in memory.
    fn find_now(&self, subject: &Subject, sent: Timestamp, uid: MessageUid) -> Result<Option<StoredRow>, StoreError> {
        let (found, cells) = {
            let mut shard = self.history.shard(subject);
            let archive = shard.open(&self.disk, subject)?;
            let (found, has_cells) = (archive.find(sent, uid), archive.head().has_cells);
            (found, has_cells.then(|| shard.cells_of(subject)))
        };
        let row = match found {
            Ok(row) => row,
            Err(()) => pages::find_row(&self.disk, subject, sent, uid)?,
        };
        let Some(row) = row.filter(|row| row.sent >= self.history.expired.get()) else {
            return Ok(None);
        };
        let cells = match cells {
            Some(newest) => pages::read_cells(&self.disk, subject, std::slice::from_ref(&row), newest)?,
            None => Vec::new(),
        };
        Ok(Some(pages::stored(row, subject, &cells)))
    }
}

impl History for EmbeddedStore {
    fn write(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.inner.wait_for_room().await?;
            self.inner.write_history(partition, mark, writes)
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner.durable_mark(ReplayTable::History, partition))))
    }

    fn head(&self, subject: &Subject) -> BoxFuture<'_, Result<Head, StoreError>> {
        let opened =
            self.inner.history.shard(subject).open(&self.inner.disk, subject).map(|archive| archive.head().head);
        Box::pin(std::future::ready(opened))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(async move {
            let plan = self.inner.plan_page(query)?;
            if plan.needs_disk() {
                self.inner.on_disk(move |disk| plan.read(disk)).await
            } else {
                plan.read(&self.inner.disk)
            }
        })
    }

    fn find(
        &self,
        subject: &Subject,
        sent: Timestamp,
        uid: MessageUid,
    ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>> {
        Box::pin(std::future::ready(self.inner.find_now(subject, sent, uid)))
    }

    fn hidden(&self, user: &UserKey, subject: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>> {
        let newest = self.inner.history.hides.lock().newest(user, subject);
        let expired = self.inner.history.expired.get();
        let (user, subject) = (user.clone(), subject.clone());
        Box::pin(self.inner.on_disk(move |disk| hides::read(disk, &user, &subject, newest, expired)))
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.inner.history.expired.raise(time) {
            self.inner.note_expiry();
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
