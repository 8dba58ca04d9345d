//! A history in memory: the reference for what every other one must do.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use anser_types::{Mark, MessageUid, PartitionId, Subject, Timestamp, UserKey};

use crate::{
    BoxFuture, Head, Hidden, History, HistoryCell, HistoryPage, HistoryQuery, HistoryRow, HistoryWrite, Order,
    StoreError, StoredRow,
};

type Place = (Timestamp, MessageUid);

/// A [`History`] in memory. Clones share the same tables.
#[derive(Debug, Clone, Default)]
pub struct MemoryHistory {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    subjects: HashMap<Subject, Archive>,
    hidden: HashMap<(UserKey, Subject), HiddenOnes>,
    archived: HashMap<PartitionId, Mark>,
    expired_before: Timestamp,
}

#[derive(Debug, Default)]
struct Archive {
    head: Head,
    rows: BTreeMap<Place, HistoryRow>,
    cells: BTreeMap<Place, Vec<HistoryCell>>,
}

/// What a user has hidden, with the sent times that say when it expires.
#[derive(Debug, Default)]
struct HiddenOnes {
    until: Timestamp,
    messages: HashMap<MessageUid, Timestamp>,
}

impl Archive {
    fn stored(&self, place: &Place, row: &HistoryRow) -> StoredRow {
        StoredRow { row: row.clone(), cells: self.cells.get(place).cloned().unwrap_or_default() }
    }

    fn page(&self, query: &HistoryQuery, from: Timestamp) -> HistoryPage {
        const UID_MIN: MessageUid = MessageUid::from_bytes([0; 10]);
        const UID_MAX: MessageUid = MessageUid::from_bytes([0xff; 10]);
        let rows: Box<dyn Iterator<Item = (&Place, &HistoryRow)>> = match query.order {
            Order::Before => {
                let before = query.time.unwrap_or(Timestamp(u64::MAX));
                Box::new(self.rows.range(..(before, UID_MIN)).rev().take_while(move |(place, _)| place.0 >= from))
            }
            Order::After => {
                let after = query.time.unwrap_or(Timestamp::ZERO).max(from.minus(1));
                Box::new(self.rows.range((Bound::Excluded((after, UID_MAX)), Bound::Unbounded)))
            }
        };
        let mut rows = rows.map(|(place, row)| self.stored(place, row));
        HistoryPage { rows: rows.by_ref().take(query.count).collect(), more: rows.next().is_some() }
    }
}

impl Tables {
    fn write(&mut self, write: HistoryWrite) {
        match write {
            HistoryWrite::Row { offset, row } => {
                let archive = self.subjects.entry(row.subject.clone()).or_default();
                if offset >= archive.head.next {
                    archive.head = Head { number: row.number, next: offset.next() };
                    archive.rows.insert((row.sent, row.uid), row);
                }
            }
            HistoryWrite::Cell { subject, sent, uid, cell } => {
                let cells = self.subjects.entry(subject).or_default().cells.entry((sent, uid)).or_default();
                // The first of a kind stays: a message is recalled once.
                if cells.is_empty() {
                    cells.push(cell);
                }
            }
            HistoryWrite::Hide { user, subject, messages } => {
                let hidden = self.hidden.entry((user, subject)).or_default();
                let until = hidden.until;
                hidden.messages.extend(messages.into_iter().filter(|(_, sent)| *sent > until));
            }
            HistoryWrite::HideUntil { user, subject, until } => {
                let hidden = self.hidden.entry((user, subject)).or_default();
                hidden.until = hidden.until.max(until);
                hidden.messages.retain(|_, sent| *sent > until);
            }
        }
    }

    fn write_anyway(&mut self, write: HistoryWrite) {
        match write {
            HistoryWrite::Row { row, .. } => {
                let archive = self.subjects.entry(row.subject.clone()).or_default();
                archive.rows.insert((row.sent, row.uid), row);
            }
            other => self.write(other),
        }
    }

    fn hidden(&self, key: &(UserKey, Subject)) -> Hidden {
        let Some(hidden) = self.hidden.get(key) else {
            return Hidden::default();
        };
        let alive = hidden.messages.iter().filter(|(_, sent)| **sent >= self.expired_before);
        Hidden { until: hidden.until, messages: alive.map(|(uid, _)| *uid).collect() }
    }
}

impl MemoryHistory {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes rows whatever heads say.
    pub(super) fn write_rows(&self, writes: Vec<HistoryWrite>) {
        let mut tables = self.tables.lock();
        writes.into_iter().for_each(|write| tables.write_anyway(write));
    }

    /// Sets heads.
    pub(super) fn write_heads(&self, heads: &[(Subject, Head)]) {
        let mut tables = self.tables.lock();
        for (subject, head) in heads {
            tables.subjects.entry(subject.clone()).or_default().head = *head;
        }
    }

    /// Loses all that it has.
    pub fn forget(&self) {
        *self.tables.lock() = Tables::default();
    }

    fn ready<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let result = work(&mut self.tables.lock());
        Box::pin(std::future::ready(Ok(result)))
    }
}

impl History for MemoryHistory {
    fn write(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            for write in writes {
                tables.write(write);
            }
            let archived = tables.archived.entry(partition).or_default();
            *archived = mark.max(*archived);
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        self.ready(|tables| tables.archived.get(&partition).copied().unwrap_or_default())
    }

    fn head(&self, subject: &Subject) -> BoxFuture<'_, Result<Head, StoreError>> {
        self.ready(|tables| tables.subjects.get(subject).map(|archive| archive.head).unwrap_or_default())
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.ready(|tables| {
            let from = tables.expired_before;
            tables.subjects.get(&query.subject).map(|archive| archive.page(&query, from)).unwrap_or_default()
        })
    }

    fn find(
        &self,
        subject: &Subject,
        sent: Timestamp,
        uid: MessageUid,
    ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>> {
        self.ready(|tables| {
            let place = (sent, uid);
            let archive = tables.subjects.get(subject).filter(|_| sent >= tables.expired_before)?;
            archive.rows.get(&place).map(|row| archive.stored(&place, row))
        })
    }

    fn hidden(&self, user: &UserKey, subject: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>> {
        self.ready(|tables| tables.hidden(&(user.clone(), subject.clone())))
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            tables.expired_before = tables.expired_before.max(time);
            let first = (time, MessageUid::from_bytes([0; 10]));
            for archive in tables.subjects.values_mut() {
                archive.rows = archive.rows.split_off(&first);
                archive.cells = archive.cells.split_off(&first);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::history::HistoryFixture;

    struct Fixture;

    impl HistoryFixture for Fixture {
        fn create(&self) -> BoxFuture<'_, Arc<dyn History>> {
            Box::pin(std::future::ready(Arc::new(MemoryHistory::new()) as Arc<dyn History>))
        }

        fn settle(&self, history: Arc<dyn History>) -> BoxFuture<'_, Arc<dyn History>> {
            Box::pin(std::future::ready(history))
        }
    }

    crate::history_suite!(Fixture);
}
