//! One partition of history and the directory anew: reading the log twice, asking what is there, and writing.

use std::time::Duration;

use anser_backend::{HistoryQuery, LogEntry, Order, RebuildAsked, Rebuilds, ViewsAnew};
use anser_core::archiver::{Anew, First, Known};
use anser_types::{Offset, PartitionId, Subject};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{HEADS_AT_ONCE, READ_BYTES, load, place};
use crate::role::{Backends, RoleError};
use crate::takeover::{claim_at, first_needed};

/// How long everything is left alone that did not do what it was asked.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// What is kept of a partition before it is read in several rounds.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Rows that are written together.
const ROWS_MAX: usize = 1_024;

/// Which partition, by which claim, for which rebuild.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) partition: PartitionId,
    pub(super) claim: Offset,
    pub(super) asked: RebuildAsked,
}

/// Rebuilds a partition, however often it has to be tried. Returns whether that counts: not if another owner has begun since.
pub(super) async fn rebuild(backends: Backends, task: Task) -> Result<bool, RoleError> {
    let Some(rebuilds) = backends.rebuilds.clone() else {
        return Ok(false);
    };
    let mut failures: u32 = 0;
    let mut begun = None;
    loop {
        let done = async {
            // By the claim that it has now: it may be a newer one than when it began to wait for its turn.
            let asked = match begun {
                Some(asked) => asked,
                None => match rebuilds.begin(task.partition, Some(task.claim.0)).await? {
                    Some(asked) => *begun.insert(asked),
                    None => return Ok(false),
                },
            };
            once(&backends, &*rebuilds, Task { asked, ..task }).await
        };
        match done.await {
            // What is damaged may be mended.
            Err(error) if error.is_retryable() || error.meets_every_owner() => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    let (partition, source) = (task.partition, std::error::Error::source(&error));
                    tracing::warn!(%partition, failures, %error, ?source, "history and directory cannot be made anew now, it is tried again");
                }
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether the log has let go of what tables lack, so that nobody can go on from where they stand.
pub(super) async fn is_short(backends: &Backends, partition: PartitionId) -> Result<bool, RoleError> {
    let mark = place(backends, partition).await?;
    Ok(first_needed(backends, partition, mark).await?.is_none())
}

async fn once(backends: &Backends, rebuilds: &dyn Rebuilds, task: Task) -> Result<bool, RoleError> {
    let Task { partition, claim, asked } = task;
    let stand = place(backends, partition).await?;
    let bounds = backends.log.bounds(partition).await?;
    // What tables lack by their own word comes as well, whatever was asked for.
    let from = backends.log.offset_at(partition, asked.since).await?.min(stand.next).max(bounds.start).min(bounds.end);
    // What comes next counts under the claim of the newest record, if there is one.
    let newest = Offset(bounds.end.0.saturating_sub(1)).max(bounds.start);
    let start = claim_at(backends, partition, from.min(newest)).await?.max(bounds.start).min(from);
    let mut anew = Anew::new(backends.log.id(), from, bounds.end, KEPT_BYTES_MAX);
    let span = Span { partition, start, from, end: bounds.end };
    let mut hidden = 0;
    loop {
        read_first(backends, &mut anew, span).await?;
        let changes = anew.take_changes();
        read_second(backends, rebuilds, &mut anew, span).await?;
        let heads = anew.heads();
        hidden += rebuilds.write_views(ViewsAnew { from, to: bounds.end, heads, changes }).await?;
        if !anew.next_round() {
            break;
        }
    }
    let mark = anew.mark(stand.claim);
    backends.history.write(partition, mark, Vec::new()).await?;
    backends.directory.apply(partition, mark, Vec::new()).await?;
    if hidden > 0 {
        tracing::warn!(%partition, rows = hidden, "rows were written and cannot be seen: somebody deleted them, and only a compaction ends that");
    }
    rebuilds.note(partition, bounds.end, hidden).await?;
    Ok(rebuilds.end(partition, claim.0, asked).await?)
}

/// What is read, and from where on it is applied.
#[derive(Debug, Clone, Copy)]
struct Span {
    partition: PartitionId,
    start: Offset,
    from: Offset,
    end: Offset,
}

/// The pieces of a span, one by one.
struct Pieces {
    reader: Box<dyn anser_backend::LogReader>,
    at: Offset,
    end: Offset,
}

impl Pieces {
    fn of(backends: &Backends, span: Span) -> Self {
        Self { reader: backends.log.reader(vec![(span.partition, span.start)]), at: span.start, end: span.end }
    }

    async fn next(&mut self) -> Result<Option<Vec<LogEntry>>, RoleError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let entries = self.reader.next(READ_BYTES).await?;
        self.at = entries.last().map_or(self.end, |last| last.offset.next());
        Ok(Some(entries))
    }
}

async fn read_first(backends: &Backends, anew: &mut Anew, span: Span) -> Result<(), RoleError> {
    anew.begin_reading();
    let mut pieces = Pieces::of(backends, span);
    while let Some(entries) = pieces.next().await? {
        let unknown = anew.read_first(entries)?;
        anew.know(load(backends, unknown).await?);
    }
    Ok(())
}

async fn read_second(
    backends: &Backends,
    rebuilds: &dyn Rebuilds,
    anew: &mut Anew,
    span: Span,
) -> Result<(), RoleError> {
    anew.begin_reading();
    let mut pieces = Pieces::of(backends, span);
    while let Some(entries) = pieces.next().await? {
        let (piece, firsts) = anew.read_second(entries)?;
        let asked = stream::iter(firsts).map(|first| known_of(backends, first));
        let known: Vec<_> = asked.buffered(HEADS_AT_ONCE).try_collect().await?;
        let mut writes = anew.number(piece, known);
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(ROWS_MAX));
            rebuilds.write_rows(std::mem::replace(&mut writes, rest)).await?;
        }
        rebuilds.note(span.partition, pieces.at.max(span.from), 0).await?;
    }
    Ok(())
}

/// What history has of the first message of a conversation.
async fn known_of(backends: &Backends, first: First) -> Result<(Subject, Known), RoleError> {
    let First { subject, sent, uid } = first;
    let own = backends.history.find(&subject, sent, uid).await?.map(|stored| stored.row.number);
    let mut before = None;
    if own.is_none() {
        let query = HistoryQuery { subject: subject.clone(), time: Some(sent), order: Order::Before, count: 1 };
        before = backends.history.page(query).await?.rows.first().map(|stored| stored.row.number);
    }
    Ok((subject, Known { own, before }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryMailbox, MemoryRebuilds};
    use anser_types::record::{Body, Header};
    use anser_types::{Claim, Mark, Timestamp};

    use super::*;
    use crate::fakes::in_memory;

    const P: PartitionId = PartitionId(0);

    fn world() -> (Backends, MemoryRebuilds) {
        let (history, directory) = (MemoryHistory::default(), MemoryDirectory::default());
        let rebuilds = MemoryRebuilds::new(history.clone(), directory.clone());
        let backends = Backends {
            history: Arc::new(history),
            directory: Arc::new(directory),
            rebuilds: Some(Arc::new(rebuilds.clone())),
            ..in_memory(MemoryMailbox::default())
        };
        (backends, rebuilds)
    }

    #[tokio::test]
    async fn a_partition_that_was_claimed_anew_while_it_waited_for_its_turn_is_done_after_it() {
        let (backends, rebuilds) = world();
        let asked = rebuilds.ask(Timestamp::ZERO, Timestamp(1)).await.unwrap();
        rebuilds.begin(P, Some(1)).await.unwrap().unwrap();
        let task = |claim| Task { partition: P, claim: Offset(claim), asked };
        assert!(rebuild(backends.clone(), task(5)).await.unwrap());
        assert!(rebuilds.states(asked, vec![P]).await.unwrap().iter().all(|(_, state)| state.is_done));
        assert!(!rebuild(backends, task(5)).await.unwrap(), "it is done");
    }

    #[tokio::test]
    async fn never_skip_silently_tables_that_lack_nothing_stand_afterwards_where_they_stood() {
        let (backends, rebuilds) = world();
        let claim = Body::Claim { node: "n".to_owned(), time: Timestamp(1) };
        let header = Header { log: backends.log.id(), claim: Claim(Offset(0)), sequence: 0 };
        backends.log.append(P, vec![claim.encode(header)]).await.unwrap();
        let stand = Mark { claim: Claim(Offset(0)), next: Offset(1) };
        backends.history.write(P, stand, Vec::new()).await.unwrap();
        backends.directory.apply(P, stand, Vec::new()).await.unwrap();
        let asked = rebuilds.ask(Timestamp(1_000), Timestamp(1)).await.unwrap();
        assert!(rebuild(backends.clone(), Task { partition: P, claim: Offset(0), asked }).await.unwrap());
        assert_eq!(place(&backends, P).await.unwrap(), stand, "what comes next lies under that claim");
    }
}
