//! The fake history.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anser_backend::memory::MemoryHistory;
use anser_backend::{BoxFuture, Head, Hidden, History, HistoryPage, HistoryQuery, HistoryWrite, StoreError, StoredRow};
use anser_types::{Mark, MessageUid, PartitionId, Subject, Timestamp, UserKey};
use parking_lot::Mutex;

use super::Sky;
use super::table::{Place, Redo, Table, now, unavailable};
use crate::switch::Switch;

type Write = (PartitionId, Mark, Vec<HistoryWrite>);

impl Redo for MemoryHistory {
    type Write = Write;

    fn fresh() -> Self {
        Self::new()
    }

    fn redo(&self, (partition, mark, writes): &Write) {
        drop(now(self.write(*partition, *mark, writes.clone())));
    }

    fn noted((partition, mark, _): &Write) -> Option<(PartitionId, Mark)> {
        Some((*partition, *mark))
    }
}

/// See [`super`].
#[derive(Debug)]
pub(crate) struct NastyHistory {
    table: Mutex<Table<MemoryHistory>>,
    /// What was noted as archived, forgotten or not.
    noted: Mutex<BTreeMap<PartitionId, Mark>>,
    /// Whether it answers nobody.
    is_away: AtomicBool,
    sky: Sky,
}

impl NastyHistory {
    pub(super) fn new(sky: Sky) -> Self {
        Self { table: Mutex::new(Table::new()), noted: Mutex::default(), is_away: AtomicBool::new(false), sky }
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn fails(&self) -> bool {
        self.is_away.load(Ordering::Relaxed) || self.sky.fails()
    }

    pub(super) fn flush(&self) {
        self.table.lock().flush();
    }

    pub(super) fn forget(&self) {
        self.table.lock().forget();
    }

    fn put(&self, write: Write) {
        let mut table = self.table.lock();
        table.live.redo(&write);
        table.done(write);
    }

    /// There is no atomicity over several writes: a crash may leave some of them, but not the note that all are done.
    async fn write_nastily(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> Result<(), StoreError> {
        let middle = self.sky.draw(|rng| rng.below(writes.len() + 1));
        let (first, second) = writes.split_at(middle);
        self.sky.pause().await;
        if self.fails() {
            return Err(unavailable());
        }
        self.put((partition, Mark::default(), first.to_vec()));
        if self.fails() {
            return Err(unavailable());
        }
        self.sky.pause().await;
        self.put((partition, mark, second.to_vec()));
        self.noted.lock().insert(partition, mark);
        self.sky.pause().await;
        Ok(())
    }

    async fn read<T>(&self, read: impl FnOnce(&MemoryHistory) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.sky.pause().await;
        if self.fails() {
            return Err(unavailable());
        }
        read(&self.table.lock().live)
    }
}

impl History for NastyHistory {
    fn write(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write_nastily(partition, mark, writes))
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        // It is the archiver that asks.
        self.sky.asked_by_owner();
        if self.sky.broken(Switch::HistoryMarkBeforeRows) {
            let noted = self.noted.lock().get(&partition).copied().unwrap_or_default();
            return Box::pin(std::future::ready(Ok(noted)));
        }
        let safe = self.table.lock().replay_from(partition, Place::of(self.sky.weather().forget));
        Box::pin(std::future::ready(Ok(safe)))
    }

    fn head(&self, subject: &Subject) -> BoxFuture<'_, Result<Head, StoreError>> {
        let subject = subject.clone();
        Box::pin(self.read(move |live| now(live.head(&subject))))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(self.read(move |live| now(live.page(query))))
    }

    fn find(
        &self,
        subject: &Subject,
        sent: Timestamp,
        uid: MessageUid,
    ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>> {
        let subject = subject.clone();
        Box::pin(self.read(move |live| now(live.find(&subject, sent, uid))))
    }

    fn hidden(&self, user: &UserKey, subject: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>> {
        let (user, subject) = (user.clone(), subject.clone());
        Box::pin(self.read(move |live| now(live.hidden(&user, &subject))))
    }

    fn expire(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
