//! Where the reading of a partition begins when it is taken over: early enough for what is to be replayed, for the resends that
//! have to be recognised, and for the newest sent time. Always at a claim: only behind one is it known which records count.

use std::sync::Arc;

use anser_backend::{Bounds, LogEntry, MessageLog, ReplayFrom};
use anser_core::owner::Fence;
use anser_types::record::{Body, Record};
use anser_types::{Limits, Mark, Offset, PartitionId, Timestamp};
use futures_util::future::try_join3;

use super::lost_end::pass_over;
use super::{READ_BYTES, decode};
use crate::role::{Backends, RoleError};

/// How far clocks may be off without ending the window for resends: that which stamped a record, and ours.
const CLOCK_OFF_MS: u64 = 3600 * 1000;

/// From where a partition is read, and up to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Where the partition ends.
    pub(super) end: Offset,
    /// Where reading begins.
    pub(super) start: Offset,
    /// From here on the mailbox may not have applied the records.
    pub(super) replay_from: Offset,
    /// From here on the directory may lack changes of rosters.
    pub(super) changes_from: Offset,
}

/// From where a partition is read to apply what the mailbox may lack of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayPlace {
    /// Where reading begins: at a claim.
    pub(crate) start: Offset,
    /// From here on the mailbox may not have applied the records.
    pub(crate) replay_from: Offset,
}

/// What tables say of a partition.
#[derive(Debug)]
pub(super) struct Marks {
    /// From now on the mailbox takes rows of the partition again.
    mailbox: ReplayFrom,
    directory: Mark,
    /// Up to where any table of several nodes contains something, as far as they say.
    contained: Option<Offset>,
}

/// Asks the tables. `written` is up to where the mailbox of one of several nodes contains something, if that is known.
pub(super) async fn marks(
    backends: &Backends,
    partition: PartitionId,
    written: Option<Offset>,
) -> Result<Marks, RoleError> {
    let history = async {
        match written {
            Some(_) => backends.history.replay_from(partition).await,
            None => Ok(Mark::default()),
        }
    };
    let mailbox = backends.mailbox.begin_replay(partition);
    let (mailbox, directory, history) = try_join3(mailbox, backends.directory.replay_from(partition), history).await?;
    let contained = written.map(|written| written.max(directory.next).max(history.next));
    Ok(Marks { mailbox, directory, contained })
}

/// What is taken for sent again is not older than this.
pub(super) const fn window_from(limits: &Limits, now: Timestamp) -> Timestamp {
    now.minus(limits.duplicate_window_ms.saturating_add(2 * CLOCK_OFF_MS))
}

/// Where reading begins, by what tables have said. The log is asked after them: they contain nothing that it has not had.
pub(super) async fn find(
    backends: &Backends,
    limits: &Limits,
    now: Timestamp,
    search: &Search,
    marks: Marks,
) -> Result<Place, RoleError> {
    let (partition, directory) = (search.partition, marks.directory);
    let mut bounds = search.bounds().await?;
    if let Some(contained) = marks.contained {
        bounds.end = pass_over(backends, partition, bounds.end, contained, now).await?;
    }
    let mailbox = search.replay_place(bounds, marks.mailbox, limits, now).await?;
    let changes = match search.needed(bounds, directory).await? {
        Some(needed) => needed,
        None if is_rebuilt(backends, partition).await? => bounds.start,
        None => return Err(RoleError::Lost { partition, start: bounds.start, applied: directory.next }),
    };
    let ReplayPlace { start: mailbox, replay_from } = mailbox;
    let needed = mailbox.min(changes);
    let by_time = search.window(window_from(limits, now)).await?;
    // There is no use in more than the owner remembers.
    let remembered = u64::try_from(limits.duplicate_entries_max).unwrap_or(u64::MAX);
    let window = by_time.max(Offset(bounds.end.0.saturating_sub(remembered))).max(bounds.start);
    let window = search.claim_of(window).await?;
    let start = needed.min(window.max(bounds.start));
    Ok(Place { end: bounds.end, start, replay_from, changes_from: directory.next })
}

/// From where the log is read for tables that stand at a mark; `None` if it has let go of what they lack.
pub(crate) async fn first_needed(
    backends: &Backends,
    partition: PartitionId,
    mark: Mark,
) -> Result<Option<Offset>, RoleError> {
    let search = Search::new(&backends.log, partition);
    search.needed(search.bounds().await?, mark).await
}

/// Whether the directory is to be made anew from what the log holds, so that what it lacks is known to be gone.
async fn is_rebuilt(backends: &Backends, partition: PartitionId) -> Result<bool, RoleError> {
    match &backends.rebuilds {
        Some(rebuilds) => Ok(rebuilds.begin(partition, None).await?.is_some()),
        None => Ok(false),
    }
}

/// The claim under which the record at an offset lies, by its own word.
pub(crate) async fn claim_at(backends: &Backends, partition: PartitionId, offset: Offset) -> Result<Offset, RoleError> {
    Search::new(&backends.log, partition).claim_of(offset).await
}

/// The newest records with a sent time in a partition where reading from `start` on has brought none, however long nothing was
/// said: what is stamped next has to be above them, whatever the clock shows now.
pub(super) async fn newest_before(search: &Search, start: Offset) -> Result<Vec<(Offset, Body)>, RoleError> {
    let first = search.bounds().await?.start;
    let mut to = start;
    while to > first {
        let Some(claim) = search.newest_claim_with_records(first, to).await? else {
            break;
        };
        let from = claim.max(first);
        let mut fence = Fence::new(search.log.id());
        let mut found = Vec::new();
        for entry in search.range(from, to).await? {
            let offset = entry.offset;
            let record = decode(&entry)?;
            if fence.admits(offset, record.header, &record.body) && !record.body.is_claim() {
                found.push((offset, record.body));
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        to = from;
    }
    Ok(Vec::new())
}

/// Looks for places in one partition.
#[derive(Debug)]
pub(super) struct Search {
    log: Arc<dyn MessageLog>,
    partition: PartitionId,
    /// What the log has, where that was asked for just now.
    looked: Option<Bounds>,
    /// Where it begins for [`window_from`], likewise.
    window: Option<Offset>,
}

impl Search {
    pub(super) fn new(log: &Arc<dyn MessageLog>, partition: PartitionId) -> Self {
        Self { log: Arc::clone(log), partition, looked: None, window: None }
    }

    /// With what the log has said just now.
    pub(super) fn with(self, looked: Option<Bounds>, window: Option<Offset>) -> Self {
        Self { looked, window, ..self }
    }

    pub(super) async fn bounds(&self) -> Result<Bounds, RoleError> {
        match self.looked {
            Some(bounds) => Ok(bounds),
            None => Ok(self.log.bounds(self.partition).await?),
        }
    }

    /// From where on records are no older than the window.
    async fn window(&self, from: Timestamp) -> Result<Offset, RoleError> {
        match self.window {
            Some(offset) => Ok(offset),
            None => Ok(self.log.offset_at(self.partition, from).await?),
        }
    }

    /// From where the mailbox may lack what the log has, which says so itself.
    pub(super) async fn replay_place(
        &self,
        bounds: Bounds,
        mailbox: ReplayFrom,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<ReplayPlace, RoleError> {
        let (partition, kept_from) = (self.partition, now.minus(limits.offline_retention_ms));
        let (start, replay_from) = match mailbox {
            ReplayFrom::Anew => self.what_timelines_keep(bounds, kept_from).await?,
            ReplayFrom::Mark(mark) => match self.needed(bounds, mark).await? {
                Some(needed) => (needed, mark.next),
                // It was wiped: nothing is there that could be wrong.
                None if mark == Mark::default() => {
                    tracing::warn!(%partition, begins = %bounds.start, "the mailbox has nothing of the partition, and gets what the log has");
                    self.what_timelines_keep(bounds, kept_from).await?
                }
                None => return Err(RoleError::MailboxLost { partition, start: bounds.start, applied: mark.next }),
            },
        };
        Ok(ReplayPlace { start, replay_from })
    }

    /// From where to read for a table that stands at a mark: the claim by which it is known whether the next record counts. `None` if the
    /// log has let go of what the table lacks.
    ///
    /// The log may have let go of the claim of the mark alone, as nothing was said for so long. Then the next record lies under a newer
    /// one, or there is none; a record that the log keeps without its claim is lost, as nobody can know that it counts.
    async fn needed(&self, bounds: Bounds, mark: Mark) -> Result<Option<Offset>, RoleError> {
        if bounds.start <= mark.first_needed() {
            return Ok(Some(mark.first_needed()));
        }
        if mark.next < bounds.start {
            return Ok(None);
        }
        let claim = if mark.next < bounds.end { self.claim_of(mark.next).await? } else { mark.next };
        Ok((claim >= bounds.start).then_some(claim.min(mark.next)))
    }

    /// The claim that the record at an offset was written under, by its own word; or the record itself, if it is a claim.
    async fn claim_of(&self, offset: Offset) -> Result<Offset, RoleError> {
        match self.log.read_at(self.partition, offset).await? {
            Some(bytes) => {
                let bad = |source| RoleError::Record { partition: self.partition, offset, source };
                Ok(claim_of(&Record::decode(bytes).map_err(bad)?, offset))
            }
            None => Ok(offset),
        }
    }

    /// From where to read, and from where to apply, so that timelines get what they keep. What counts before the first claim that
    /// the log still has is not known; as claims are renewed, that is long before.
    async fn what_timelines_keep(&self, bounds: Bounds, kept_from: Timestamp) -> Result<(Offset, Offset), RoleError> {
        let from = self.log.offset_at(self.partition, kept_from).await?.max(bounds.start).min(bounds.end);
        // What comes next counts under the claim of the newest record, if there is one.
        let newest = Offset(bounds.end.0.saturating_sub(1)).max(bounds.start);
        Ok((self.claim_of(from.min(newest)).await?.max(bounds.start), from))
    }

    /// The claim of the newest record before `to` that is none itself.
    async fn newest_claim_with_records(&self, first: Offset, to: Offset) -> Result<Option<Offset>, RoleError> {
        let (mut end, mut step) = (to, 1);
        while end > first {
            let begin = Offset(end.0.saturating_sub(step)).max(first);
            for entry in self.range(begin, end).await?.into_iter().rev() {
                let record = decode(&entry)?;
                if !record.body.is_claim() {
                    return Ok(Some(claim_of(&record, entry.offset)));
                }
            }
            // One claim for each start of a server: there may be many in a row.
            (end, step) = (begin, (step * 4).min(1_024));
        }
        Ok(None)
    }

    /// The records from an offset to just before another.
    async fn range(&self, from: Offset, to: Offset) -> Result<Vec<LogEntry>, RoleError> {
        let mut reader = self.log.reader(vec![(self.partition, from)]);
        let mut entries: Vec<LogEntry> = Vec::new();
        while entries.last().map_or(from, |last| last.offset.next()) < to {
            let next = reader.next(READ_BYTES).await?;
            if next.is_empty() {
                break;
            }
            entries.extend(next.into_iter().filter(|entry| entry.offset < to));
        }
        Ok(entries)
    }
}

fn claim_of(record: &Record, offset: Offset) -> Offset {
    record.claim_at(offset).0.min(offset)
}

#[cfg(test)]
mod tests {
    use anser_backend::memory::MemoryMailbox;
    use anser_core::owner::claim_record;
    use anser_types::Claim;

    use super::*;
    use crate::fakes::in_memory;

    const P: PartitionId = PartitionId(7);

    #[tokio::test]
    async fn nothing_twice_the_window_for_resends_is_read_though_the_tables_need_none_of_it() {
        let backends = in_memory(MemoryMailbox::default());
        for at in (0..4).map(Offset) {
            let record = claim_record(backends.log.id(), at, "an owner", Timestamp(1));
            backends.log.append(P, vec![record]).await.unwrap();
        }
        let (held, mark) =
            (Bounds { start: Offset(0), end: Offset(4) }, Mark { claim: Claim(Offset(3)), next: Offset(4) });
        for (looked, window) in
            [(None, None), (Some(held), Some(Offset(0))), (Some(held), None), (None, Some(Offset(0)))]
        {
            let marks = Marks { mailbox: ReplayFrom::Mark(mark), directory: mark, contained: Some(Offset(4)) };
            let search = Search::new(&backends.log, P).with(looked, window);
            let place = find(&backends, &Limits::default(), Timestamp(1), &search, marks).await.unwrap();
            assert_eq!((place.start, place.replay_from, place.end), (Offset(0), Offset(4), Offset(4)));
        }
    }
}
