//! History: messages first, then the heads that count them, then the mark.

mod heads;
mod plan;

pub(crate) use self::heads::KnownHeads;

use std::collections::BTreeMap;

use anser_backend::{BoxFuture, Head, Hidden, History, HistoryPage, HistoryQuery, HistoryWrite, StoreError, StoredRow};
use anser_types::codec::DecodeError;
use anser_types::{Mark, MessageUid, Offset, PartitionId, Subject, Timestamp, UserKey};
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use self::plan::{Plan, Ready};
use crate::HbaseStore;
use crate::format::mark::Replayed;
use crate::format::{head, hides, message_row, recall};
use crate::store::damaged;
use crate::table::{Columns, RowWrite, Table, cell_time};

/// How many times up to which all is hidden are written at once.
const HIDES_AT_ONCE: usize = 8;

impl HbaseStore {
    async fn write_history(&self, writes: Vec<HistoryWrite>) -> Result<(), StoreError> {
        let plan = Plan::sort(writes);
        let recalls = plan.recalls.keys().cloned().collect();
        let recalled = async { Ok(self.tables.get_rows(Table::Messages, recalls, recall::COLUMN).await?) };
        let (heads, recalled) = try_join(self.archived(plan.head_rows()), recalled).await?;
        let Ready { rows, hides_until, heads, heads_at } = plan.finish(heads, |row| recalled.contains_key(row));
        let messages = async { Ok(self.tables.write(Table::Messages, rows, None).await?) };
        try_join(messages, self.write_hides(hides_until)).await?;
        let writes = heads.iter().map(|(row, new)| RowWrite::put(row.clone(), head::COLUMN, head::write(*new)));
        self.tables.write(Table::Views, writes.collect(), Some(cell_time(heads_at.0))).await?;
        // Only now: a message counts as archived when its head says so.
        let mut known = self.heads.lock();
        for (row, new) in heads {
            known.note(row, new.next);
        }
        Ok(())
    }

    /// Writes messages, whatever heads say, and what happened to them. Heads stay.
    pub(crate) async fn write_rows_anew(&self, writes: Vec<HistoryWrite>) -> Result<(), StoreError> {
        let plan = Plan::sort(writes);
        let recalls = plan.recalls.keys().cloned().collect();
        let recalled = self.tables.get_rows(Table::Messages, recalls, recall::COLUMN).await?;
        let Ready { rows, hides_until, .. } = plan.finish(BTreeMap::new(), |row| recalled.contains_key(row));
        let messages = async { Ok(self.tables.write(Table::Messages, rows, None).await?) };
        try_join(messages, self.write_hides(hides_until)).await?;
        Ok(())
    }

    /// Their timestamps are the times themselves. So the latest time stays, and goes when all that it hides is gone.
    async fn write_hides(&self, hides: BTreeMap<Vec<u8>, Timestamp>) -> Result<(), StoreError> {
        let written = stream::iter(hides).map(|(row, until)| {
            let write = RowWrite::put(row, hides::UNTIL, hides::write_until(until));
            self.tables.write(Table::Messages, vec![write], Some(cell_time(until.0)))
        });
        Ok(written.buffer_unordered(HIDES_AT_ONCE).try_collect().await?)
    }

    /// Up to where conversations are archived, by the row keys of their heads.
    async fn archived(&self, rows: Vec<Vec<u8>>) -> Result<BTreeMap<Vec<u8>, Offset>, StoreError> {
        let (mut archived, mut unknown) = (BTreeMap::new(), Vec::new());
        {
            let mut known = self.heads.lock();
            for row in rows {
                match known.get(&row) {
                    Some(next) => {
                        archived.insert(row, next);
                    }
                    None => unknown.push(row),
                }
            }
        }
        for (row, stored) in self.tables.get_rows(Table::Views, unknown, head::COLUMN).await? {
            archived.insert(row, head::read(stored).map_err(damaged("heads"))?.next);
        }
        Ok(archived)
    }

    async fn read_head(&self, row: Vec<u8>) -> Result<Head, StoreError> {
        let Some(stored) = self.tables.get(Table::Views, row.clone(), head::COLUMN).await? else {
            return Ok(Head::default());
        };
        let head = head::read(stored).map_err(damaged("heads"))?;
        self.heads.lock().note(row, head.next);
        Ok(head)
    }

    async fn read_page(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        let Some(range) = message_row::range(&query, self.expired_before()) else {
            return Ok(HistoryPage::default());
        };
        let most = query.count.saturating_add(1);
        let mut found = self.tables.scan(Table::Messages, range, message_row::COLUMN, most).await?;
        let more = found.len() > query.count;
        found.truncate(query.count);
        let rows = found.into_iter().filter_map(|(row, columns)| stored(&query.subject, &row, columns).transpose());
        Ok(HistoryPage { rows: rows.collect::<Result<_, _>>().map_err(damaged("messages"))?, more })
    }

    async fn read_hidden(&self, row: Vec<u8>) -> Result<Hidden, StoreError> {
        let expired = self.expired_before();
        let mut columns = self.tables.get_row(Table::Messages, row).await?;
        let until = columns.remove(hides::UNTIL).map(hides::read_until).transpose().map_err(damaged("hides"))?;
        let mut hidden = Hidden { until: until.unwrap_or_default(), ..Hidden::default() };
        for (column, stored) in columns {
            let (sent, uid) = hides::read_single(&column, stored).map_err(damaged("hides"))?;
            if sent > hidden.until && sent >= expired {
                hidden.messages.insert(uid);
            }
        }
        Ok(hidden)
    }
}

/// A message with what happened to it; `None` where only the latter is there.
fn stored(subject: &Subject, row: &[u8], mut columns: Columns) -> Result<Option<StoredRow>, DecodeError> {
    let Some(body) = columns.remove(message_row::COLUMN) else {
        return Ok(None);
    };
    let row = message_row::read(subject, row, body)?;
    let cell = columns.remove(recall::COLUMN).map(recall::read).transpose()?;
    Ok(Some(StoredRow { row, cells: cell.into_iter().collect() }))
}

impl History for HbaseStore {
    fn write(
        &self,
        partition: PartitionId,
        mark: Mark,
        writes: Vec<HistoryWrite>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !writes.is_empty() {
                self.write_history(writes).await?;
            }
            self.commit(Replayed::History, partition, mark).await
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        // A replay begins with what HBase says, whatever was known before.
        self.heads.lock().forget();
        Box::pin(self.committed(Replayed::History, partition))
    }

    fn head(&self, subject: &Subject) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(self.read_head(head::row(subject)))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(self.read_page(query))
    }

    fn find(
        &self,
        subject: &Subject,
        sent: Timestamp,
        uid: MessageUid,
    ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>> {
        let subject = subject.clone();
        Box::pin(async move {
            if sent < self.expired_before() {
                return Ok(None);
            }
            let row = message_row::row(&subject, sent, uid);
            let columns = self.tables.get_row(Table::Messages, row.clone()).await?;
            stored(&subject, &row, columns).map_err(damaged("messages"))
        })
    }

    fn hidden(&self, user: &UserKey, subject: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>> {
        Box::pin(self.read_hidden(hides::row(user, subject)))
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.raise_expiry(time))
    }
}
