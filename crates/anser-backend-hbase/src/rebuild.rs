//! Making both tables anew from the log while they serve: who is at what, and writing over what is there.
//!
//! What changes is written with the end of what was read as its timestamp, behind all that was written before; so it stays, whatever
//! comes late. Who is at a partition changes by comparing.

use anser_backend::{BoxFuture, HistoryWrite, RebuildAsked, RebuildState, Rebuilds, StoreError, ViewsAnew};
use anser_types::codec::DecodeError;
use anser_types::{Offset, PartitionId, Timestamp};
use futures_util::future::try_join;

use crate::HbaseStore;
use crate::format::head;
use crate::format::rebuild::{self, Begun};
use crate::store::damaged;
use crate::table::{RowWrite, Table, cell_time};

fn bad(error: DecodeError) -> StoreError {
    damaged("views")(error)
}

impl HbaseStore {
    async fn begun(&self, partition: PartitionId) -> Result<Option<Begun>, StoreError> {
        let stored = self.tables.get(Table::Views, rebuild::row(partition), rebuild::COLUMN).await?;
        stored.map(rebuild::read_begun).transpose().map_err(bad)
    }

    async fn rebuild_asked(&self) -> Result<Option<RebuildAsked>, StoreError> {
        let stored = self.tables.get(Table::Views, rebuild::ASKED_ROW.to_vec(), rebuild::COLUMN).await?;
        stored.map(rebuild::read_asked).transpose().map_err(bad)
    }

    /// Returns whether it was changed. `from` is what was read before.
    async fn change_begun(&self, partition: PartitionId, from: Option<Begun>, to: Begun) -> Result<bool, StoreError> {
        let row = rebuild::row(partition);
        let expected = from.map(rebuild::write_begun);
        Ok(self.tables.put_if(Table::Views, &row, rebuild::COLUMN, expected, rebuild::write_begun(to)).await?)
    }

    async fn begin_rebuild(&self, partition: PartitionId, by: Option<u64>) -> Result<Option<RebuildAsked>, StoreError> {
        let (asked, begun) = try_join(self.rebuild_asked(), self.begun(partition)).await?;
        let is_done = |asked: &RebuildAsked| begun.is_some_and(|begun| begun.at == asked.at && begun.is_done);
        let (Some(asked), Some(by)) = (asked.filter(|asked| !is_done(asked)), by) else {
            return Ok(asked.filter(|asked| !is_done(asked)));
        };
        if begun.is_some_and(|begun| begun.at == asked.at && begun.by > by) {
            return Ok(None);
        }
        let own = Begun { at: asked.at, by, is_done: false };
        if begun != Some(own) && !self.change_begun(partition, begun, own).await? {
            return Err(StoreError::Unavailable("somebody else began to rebuild the partition in this moment".into()));
        }
        Ok(Some(asked))
    }

    async fn end_rebuild(&self, partition: PartitionId, by: u64, asked: RebuildAsked) -> Result<bool, StoreError> {
        let (from, to) = (Begun { at: asked.at, by, is_done: false }, Begun { at: asked.at, by, is_done: true });
        // It may have been done, and the answer was lost.
        Ok(self.change_begun(partition, Some(from), to).await? || self.begun(partition).await? == Some(to))
    }

    async fn rebuild_states(
        &self,
        asked: RebuildAsked,
        partitions: Vec<PartitionId>,
    ) -> Result<Vec<(PartitionId, RebuildState)>, StoreError> {
        let rows = || partitions.iter().map(|partition| rebuild::row(*partition)).collect();
        let begun = async { Ok(self.tables.get_rows(Table::Views, rows(), rebuild::COLUMN).await?) };
        let places = async { Ok::<_, StoreError>(self.tables.get_rows(Table::Views, rows(), rebuild::PLACE).await?) };
        let (mut begun, mut places) = try_join(begun, places).await?;
        let mut states = Vec::new();
        for partition in partitions {
            let row = rebuild::row(partition);
            let Some(begun) = begun.remove(&row).map(rebuild::read_begun).transpose().map_err(bad)? else { continue };
            if begun.at == asked.at {
                let place = places.remove(&row).map(rebuild::read_place).transpose().map_err(bad)?;
                let (place, hidden) = place.unwrap_or_default();
                states.push((partition, RebuildState { place, hidden, is_done: begun.is_done }));
            }
        }
        Ok(states)
    }

    async fn write_views_anew(&self, views: ViewsAnew) -> Result<u64, StoreError> {
        let at = Some(cell_time(views.to.0));
        let mut written: Vec<Vec<u8>> = Vec::new();
        let rows: Vec<_> = views.heads.iter().map(|(subject, new)| (head::row(subject), *new)).collect();
        let heads = rows.iter().map(|(row, new)| RowWrite::put(row.clone(), head::COLUMN, head::write(*new)));
        self.tables.write(Table::Views, heads.collect(), at).await?;
        {
            let mut known = self.heads.lock();
            for (row, new) in rows {
                written.push(row.clone());
                known.note(row, new.next);
            }
        }
        if !views.changes.is_empty() {
            let writes = self.changed_again(views.from, &views.changes).await?;
            written.extend(writes.then.iter().map(|write| write.row.clone()));
            self.tables.write(Table::Views, writes.first, at).await?;
            self.tables.write(Table::Views, writes.then, at).await?;
        }
        self.hidden(written).await
    }

    /// How many of these rows cannot be seen: whoever deletes one by hand hides what has an older timestamp than the time of day, and so
    /// all that is written here, until the deletion is compacted away. All of them have a column of the same name.
    async fn hidden(&self, written: Vec<Vec<u8>>) -> Result<u64, StoreError> {
        let count = written.len();
        let seen = self.tables.get_rows(Table::Views, written, head::COLUMN).await?.len();
        Ok(u64::try_from(count.saturating_sub(seen)).unwrap_or(u64::MAX))
    }
}

impl Rebuilds for HbaseStore {
    fn ask(&self, since: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<RebuildAsked, StoreError>> {
        Box::pin(async move {
            let before = self.rebuild_asked().await?;
            let at = before.map_or(now, |before| now.max(before.at.plus(1)));
            let asked = RebuildAsked { at, since };
            let row = RowWrite::put(rebuild::ASKED_ROW.to_vec(), rebuild::COLUMN, rebuild::write_asked(asked));
            self.tables.write(Table::Views, vec![row], Some(cell_time(at.0))).await?;
            Ok(asked)
        })
    }

    fn asked(&self) -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>> {
        Box::pin(self.rebuild_asked())
    }

    fn states(
        &self,
        asked: RebuildAsked,
        partitions: Vec<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<(PartitionId, RebuildState)>, StoreError>> {
        Box::pin(self.rebuild_states(asked, partitions))
    }

    fn begin(
        &self,
        partition: PartitionId,
        by: Option<u64>,
    ) -> BoxFuture<'_, Result<Option<RebuildAsked>, StoreError>> {
        Box::pin(self.begin_rebuild(partition, by))
    }

    fn note(&self, partition: PartitionId, place: Offset, hidden: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let row = RowWrite::put(rebuild::row(partition), rebuild::PLACE, rebuild::write_place(place, hidden));
        Box::pin(async move { Ok(self.tables.write(Table::Views, vec![row], None).await?) })
    }

    fn end(&self, partition: PartitionId, by: u64, asked: RebuildAsked) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.end_rebuild(partition, by, asked))
    }

    fn write_rows(&self, writes: Vec<HistoryWrite>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write_rows_anew(writes))
    }

    fn write_views(&self, views: ViewsAnew) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.write_views_anew(views))
    }
}
