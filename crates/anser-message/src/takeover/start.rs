//! Where the reading of a partition begins when it is taken over: early enough for what is to be replayed, for the resends that
//! have to be recognised, and for the newest sent time. Always at a claim: only behind one is it known which records count.

use std::sync::Arc;

use anser_backend::{LogEntry, MessageLog};
use anser_core::owner::Fence;
use anser_types::record::{Body, Record};
use anser_types::{Mark, Offset, PartitionId};

use super::READ_BYTES;
use crate::event_loop::MessageLoop;
use crate::role::RoleError;

/// How far clocks may be off without ending the window for resends: that which stamped a record, and ours.
const CLOCK_OFF_MS: u64 = 3600 * 1000;

impl MessageLoop {
    /// Where reading begins.
    pub(super) async fn read_from(&mut self, partition: PartitionId, replay_from: Mark) -> Result<Offset, RoleError> {
        let search = Search { log: Arc::clone(&self.backends.log), partition };
        let bounds = search.log.bounds(partition).await?;
        let needed = replay_from.first_needed();
        if bounds.start > needed {
            return Err(RoleError::Lost { partition, start: bounds.start, applied: needed });
        }
        let window_ms = self.limits.duplicate_window_ms.saturating_add(2 * CLOCK_OFF_MS);
        let by_time = search.log.offset_at(partition, (self.clock)().minus(window_ms)).await?;
        // There is no use in more than the owner remembers.
        let remembered = u64::try_from(self.limits.duplicate_entries_max).unwrap_or(u64::MAX);
        let window = by_time.max(Offset(bounds.end.0.saturating_sub(remembered))).max(bounds.start);
        let claim = search.claim_of(window).await?;
        Ok(needed.min(claim.max(bounds.start)))
    }

    /// Looks for the newest sent time in a partition where reading from `start` on has brought none: further back, however long
    /// nothing was said. What is stamped next has to be above it, whatever the clock shows now.
    pub(super) async fn read_further_back(&mut self, partition: PartitionId, start: Offset) -> Result<(), RoleError> {
        let search = Search { log: Arc::clone(&self.backends.log), partition };
        let first = search.log.bounds(partition).await?.start;
        let mut to = start;
        while to > first {
            let Some(claim) = search.newest_claim_with_records(first, to).await? else {
                return Ok(());
            };
            let from = claim.max(first);
            let mut fence = Fence::new(self.backends.log.id());
            let mut is_found = false;
            for entry in search.range(from, to).await? {
                let offset = entry.offset;
                let record = decode(entry)?;
                if fence.admits(offset, record.header, &record.body) {
                    self.node.remember(partition, offset, &record.body);
                    is_found |= !is_claim(&record);
                }
            }
            if is_found {
                return Ok(());
            }
            to = from;
        }
        Ok(())
    }
}

/// Looks for places in one partition.
struct Search {
    log: Arc<dyn MessageLog>,
    partition: PartitionId,
}

impl Search {
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

    /// The claim of the newest record before `to` that is none itself.
    async fn newest_claim_with_records(&self, first: Offset, to: Offset) -> Result<Option<Offset>, RoleError> {
        let (mut end, mut step) = (to, 1);
        while end > first {
            let begin = Offset(end.0.saturating_sub(step)).max(first);
            for entry in self.range(begin, end).await?.into_iter().rev() {
                let offset = entry.offset;
                let record = decode(entry)?;
                if !is_claim(&record) {
                    return Ok(Some(claim_of(&record, offset)));
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

fn decode(entry: LogEntry) -> Result<Record, RoleError> {
    let LogEntry { partition, offset, bytes, .. } = entry;
    Record::decode(bytes).map_err(|source| RoleError::Record { partition, offset, source })
}

const fn is_claim(record: &Record) -> bool {
    matches!(record.body, Body::Claim { .. })
}

fn claim_of(record: &Record, offset: Offset) -> Offset {
    if is_claim(record) { offset } else { record.header.claim.0.min(offset) }
}
