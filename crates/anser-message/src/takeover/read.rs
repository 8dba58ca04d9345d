//! Reading partitions that are taken over: what there is, and then up to their claims.

use std::sync::Arc;

use anser_backend::{LogEntry, LogReader, ReadError, StoreError};
use anser_core::node::Replay;
use anser_core::owner::{Fence, Loaded, Replayed};
use anser_types::record::{Body, Record};
use anser_types::{Claim, LogId, Offset, PartitionId, Subject};

use super::place::{Place, Search, newest_before};
use super::places::bounds_of;
use super::{Answers, Id, READ_BYTES, Stage, Step, TO_REPLAY_BYTES_MAX, TakeOver, of_each_bounded};
use crate::event_loop::{MessageLoop, load_conversation};
use crate::role::RoleError;

/// A reader, and what it has read.
pub(crate) struct Piece {
    reader: Box<dyn LogReader>,
    entries: Result<Vec<LogEntry>, ReadError>,
    /// Whether the claims were in the log before it was read.
    is_behind_claims: bool,
}

/// Where a partition stands while it is read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The attempt to own it to which this belongs.
    pub(super) epoch: u64,
    fence: Fence,
    /// From here on the mailbox may not have applied the records.
    replay_from: Offset,
    /// From here on the directory may lack changes of rosters.
    changes_from: Offset,
    /// Where the partition ended when it was looked at.
    looked_end: Offset,
    /// The claim; reading ends behind it.
    pub(super) claim: Option<Offset>,
    /// Behind the newest entry that was looked at, and whether that one counts.
    seen: Offset,
    counts: bool,
    /// Where reading began, and whether there was nothing with a sent time.
    pub(super) start: Offset,
    is_quiet: bool,
    done: bool,
}

/// What became of an entry.
enum Taken {
    /// It was taken in.
    In,
    /// It is to be applied under the claim.
    ForClaim,
    /// This conversation has to be loaded first.
    Needs(Subject),
}

impl Reading {
    pub(super) const fn new(epoch: u64, place: Place, log: LogId) -> Self {
        let Place { end, start, replay_from, changes_from } = place;
        Self {
            epoch,
            fence: Fence::new(log),
            replay_from,
            changes_from,
            looked_end: end,
            claim: None,
            seen: start,
            counts: false,
            start,
            is_quiet: true,
            done: false,
        }
    }

    /// Where the partition ends, as far as is known.
    pub(super) fn end(&self) -> Offset {
        self.looked_end.max(self.seen)
    }

    /// Whether an entry was looked at before its conversation had to be loaded.
    fn is_seen(&self, offset: Offset) -> bool {
        offset < self.seen
    }

    /// Whether all is read that was there when the partition was looked at.
    fn is_through(&self) -> bool {
        self.done || self.seen >= self.looked_end
    }
}

impl TakeOver {
    /// Whether the claims should come now: what comes in while one reads will never end.
    fn is_ready_to_claim(&self) -> bool {
        self.to_replay_bytes > TO_REPLAY_BYTES_MAX || self.reading.values().all(Reading::is_through)
    }

    fn keep_to_replay(&mut self, entry: LogEntry) {
        self.to_replay_bytes += entry.bytes.len();
        self.to_replay.push_back(entry);
    }
}

impl MessageLoop {
    /// Reads the next piece while the last one is taken in.
    pub(super) fn read_on(&mut self, id: Id, mut reader: Box<dyn LogReader>) {
        let stage = self.take_overs.get(&id).map(|take_over| take_over.stage);
        let is_behind_claims = stage == Some(Stage::Claimed);
        self.steps.push(Box::pin(async move {
            let entries = reader.next(READ_BYTES).await;
            Step::Piece(id, Piece { reader, entries, is_behind_claims })
        }));
    }

    pub(super) async fn read_piece(&mut self, id: Id, piece: Piece) -> Result<(), RoleError> {
        let Some(take_over) = self.take_overs.get_mut(&id) else {
            return Ok(());
        };
        take_over.ahead = Some(piece);
        if take_over.entries.is_empty() { self.go_on(id).await } else { Ok(()) }
    }

    /// The partitions of a take-over that failed are claimed again.
    fn claim_again(&mut self, id: Id, error: RoleError) -> Result<(), RoleError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let source = std::error::Error::source(&error);
        tracing::warn!(%error, ?source, "partitions cannot be read now, they are claimed again");
        for (partition, reading) in self.take_overs.remove(&id).unwrap_or_default().reading {
            if self.node.epoch(partition) == Some(reading.epoch) {
                self.node.claim_failed(partition);
                self.note_unowned(partition);
            }
        }
        Ok(())
    }

    /// Takes in what was read, and sees what comes next.
    pub(super) async fn go_on(&mut self, id: Id) -> Result<(), RoleError> {
        let Some(mut take_over) = self.take_overs.remove(&id) else {
            return Ok(());
        };
        if !matches!(take_over.stage, Stage::Reading | Stage::Claimed) || take_over.is_loading {
            self.take_overs.insert(id, take_over);
            return Ok(());
        }
        take_over.is_pausing = false;
        self.take_all_in(id, &mut take_over)?;
        let is_waiting = take_over.is_loading || take_over.is_pausing;
        let is_read = match take_over.stage {
            Stage::Claimed => take_over.reading.values().all(|reading| reading.done),
            _ => take_over.is_ready_to_claim(),
        };
        let goes_on = !is_waiting && !is_read;
        let ahead = if goes_on { take_over.ahead.take() } else { None };
        let reader = if goes_on { take_over.reader.take() } else { None };
        self.take_overs.insert(id, take_over);
        if is_read && !is_waiting {
            return self.end_of_stage(id).await;
        }
        if let Some(reader) = reader {
            self.read_on(id, reader);
        }
        match ahead {
            Some(piece) => self.take_piece(id, piece).await,
            None => Ok(()),
        }
    }

    async fn take_piece(&mut self, id: Id, piece: Piece) -> Result<(), RoleError> {
        let Piece { reader, entries, is_behind_claims } = piece;
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.claim_again(id, error.into()),
        };
        let Some(take_over) = self.take_overs.get_mut(&id) else {
            return Ok(());
        };
        if !entries.is_empty() {
            take_over.entries.extend(entries);
            let is_claimed = take_over.stage == Stage::Claimed;
            self.read_on(id, reader);
            // Not at once: the others have waited long enough.
            self.go_on_later(id, is_claimed);
            return Ok(());
        }
        if is_behind_claims {
            return self.claim_is_missing(id).await;
        }
        if take_over.stage == Stage::Claimed {
            // That was what lay before the claims.
            self.read_on(id, reader);
            return Ok(());
        }
        // There is no more, wherever the end was.
        take_over.reader = Some(reader);
        self.end_of_stage(id).await
    }

    /// Goes on in another turn; with what is handed to the applier not before that has room for more.
    fn go_on_later(&mut self, id: Id, is_handed_on: bool) {
        let backlog = self.to_applier.backlog.clone();
        self.steps.push(Box::pin(async move {
            if is_handed_on {
                backlog.has_room().await;
            }
            Step::GoOn(id)
        }));
    }

    /// What there is has been read, or everything up to the claims. Where that has brought nothing with a sent time, the newest that there
    /// is is looked for.
    async fn end_of_stage(&mut self, id: Id) -> Result<(), RoleError> {
        let reading = self.take_overs.get(&id).into_iter().flat_map(|take_over| &take_over.reading);
        let quiet: Vec<_> = reading.filter(|(_, r)| r.is_quiet).map(|(&partition, r)| (partition, r.start)).collect();
        if quiet.is_empty() {
            return self.next_stage(id).await;
        }
        if let Some(take_over) = self.take_overs.get_mut(&id).filter(|take_over| take_over.stage == Stage::Reading) {
            take_over.stage = Stage::LookingBack;
        }
        let (log, asks) = (Arc::clone(&self.backends.log), Arc::clone(&self.asks));
        self.steps.push(Box::pin(async move {
            let partitions: Vec<PartitionId> = quiet.iter().map(|(partition, _)| *partition).collect();
            let looked = bounds_of(&log, &partitions).await;
            let ask = |(partition, start)| {
                let search = Search::new(&log, partition).with(looked.get(&partition).copied(), None);
                async move { (partition, newest_before(&search, start).await) }
            };
            Step::Newest(id, of_each_bounded(&asks, quiet, ask).await)
        }));
        Ok(())
    }

    pub(super) async fn newest_found(&mut self, id: Id, newest: Answers<Vec<(Offset, Body)>>) -> Result<(), RoleError> {
        for (partition, found) in newest {
            let Some(reading) =
                self.take_overs.get_mut(&id).and_then(|take_over| take_over.reading.get_mut(&partition))
            else {
                return Ok(());
            };
            let found = match found {
                Ok(found) if self.node.epoch(partition) == Some(reading.epoch) => found,
                Ok(_) => continue,
                Err(error) => return self.claim_again(id, error),
            };
            reading.is_quiet = false;
            for (offset, body) in found {
                self.node.remember(partition, offset, &body);
            }
        }
        self.next_stage(id).await
    }

    async fn next_stage(&mut self, id: Id) -> Result<(), RoleError> {
        match self.take_overs.get(&id).map(|take_over| take_over.stage) {
            Some(Stage::Reading | Stage::LookingBack) => {
                self.ask_to_let_go(id);
                Ok(())
            }
            Some(Stage::Claimed) => self.all_read(id).await,
            Some(Stage::Asking | Stage::Claiming | Stage::Read) | None => Ok(()),
        }
    }

    /// Takes in what was read, as far as it is not too much for one turn.
    fn take_all_in(&mut self, id: Id, take_over: &mut TakeOver) -> Result<(), RoleError> {
        let mut bytes = 0;
        loop {
            let is_claimed = take_over.stage == Stage::Claimed;
            if bytes > READ_BYTES {
                // The others have waited long enough.
                self.go_on_later(id, is_claimed);
                take_over.is_pausing = true;
                return Ok(());
            }
            if !is_claimed && take_over.to_replay_bytes > TO_REPLAY_BYTES_MAX {
                return Ok(());
            }
            // What was kept for the claim comes before what was read since.
            let kept = if is_claimed { take_over.to_replay.pop_front() } else { None };
            let is_kept = kept.is_some();
            let Some(entry) = kept.or_else(|| take_over.entries.pop_front()) else {
                return Ok(());
            };
            let partition = entry.partition;
            bytes += entry.bytes.len();
            let Some(reading) = take_over.reading.get_mut(&partition).filter(|reading| !reading.done) else {
                continue;
            };
            let record = decode(&entry)?;
            let taken = match is_kept {
                true => self.replay_entry(&entry, &record, reading),
                false => self.take_in(&entry, &record, reading),
            };
            match taken {
                Taken::In => {}
                Taken::ForClaim => take_over.keep_to_replay(entry),
                Taken::Needs(subject) => {
                    let back = if is_kept { &mut take_over.to_replay } else { &mut take_over.entries };
                    back.push_front(entry);
                    take_over.is_loading = true;
                    self.load_for(id, partition, subject);
                    return Ok(());
                }
            }
        }
    }

    fn take_in(&mut self, entry: &LogEntry, record: &Record, reading: &mut Reading) -> Taken {
        let LogEntry { partition, offset, .. } = *entry;
        if self.node.epoch(partition) != Some(reading.epoch) {
            // It has left this node again.
            reading.done = true;
            return Taken::In;
        }
        if !reading.is_seen(offset) {
            reading.seen = offset.next();
            reading.counts = reading.fence.admits(offset, record.header, &record.body);
            if reading.counts {
                self.node.remember(partition, offset, &record.body);
                reading.is_quiet &= record.body.is_claim();
                if offset >= reading.changes_from {
                    self.node.keep_change(partition, offset, &record.body);
                }
            } else if offset >= reading.replay_from {
                tracing::warn!(%partition, %offset, "record does not count: its claim is not the newest or its sequence has a gap");
            }
        }
        if reading.counts && offset >= reading.replay_from {
            if reading.claim.is_none() {
                return Taken::ForClaim;
            }
            if let Taken::Needs(subject) = self.replay_entry(entry, record, reading) {
                return Taken::Needs(subject);
            }
        }
        reading.done |= reading.claim.is_some_and(|claim| offset >= claim);
        Taken::In
    }

    /// Has an entry that counts applied.
    fn replay_entry(&mut self, entry: &LogEntry, record: &Record, reading: &mut Reading) -> Taken {
        let LogEntry { partition, offset, ref bytes, .. } = *entry;
        let Some(claim) = reading.claim.filter(|_| self.node.epoch(partition) == Some(reading.epoch)) else {
            reading.done = true;
            return Taken::In;
        };
        // The tables are written under the new claim: they have seen newer ones than that of an old record.
        let replay = Replay { partition, claim: Claim(claim), offset, bytes, record };
        match self.node.replay(replay, (self.clock)(), &mut self.effects) {
            Replayed::Needs(subject) => Taken::Needs(subject),
            Replayed::Done => Taken::In,
        }
    }

    fn load_for(&mut self, id: Id, partition: PartitionId, subject: Subject) {
        let backends = self.backends.clone();
        self.steps.push(Box::pin(async move {
            let loaded = load_conversation(&backends, &subject).await;
            Step::Loaded(id, partition, subject, loaded)
        }));
    }

    pub(super) async fn loaded_for(
        &mut self,
        id: Id,
        partition: PartitionId,
        subject: &Subject,
        loaded: Result<Loaded, StoreError>,
    ) -> Result<(), RoleError> {
        let Some(take_over) = self.take_overs.get_mut(&id) else {
            return Ok(());
        };
        match loaded {
            Ok(loaded) => {
                take_over.is_loading = false;
                if let Some(reading) = take_over.reading.get(&partition) {
                    let place = (partition, reading.epoch);
                    self.node.loaded(place, subject, loaded, (self.clock)(), &mut self.effects);
                }
                self.go_on(id).await
            }
            Err(error) => self.not_loaded_for(id, partition, error.into()).await,
        }
    }

    /// What has to be mended is of that partition alone: the others go on.
    async fn not_loaded_for(&mut self, id: Id, partition: PartitionId, error: RoleError) -> Result<(), RoleError> {
        if !self.outlives(&error) {
            return self.claim_again(id, error);
        }
        let mut epoch = None;
        if let Some(take_over) = self.take_overs.get_mut(&id) {
            take_over.is_loading = false;
            epoch = take_over.reading.remove(&partition).map(|reading| reading.epoch);
        }
        // Of what was given up meanwhile, another attempt is under way.
        if epoch.is_some() && epoch == self.node.epoch(partition) {
            self.try_again(partition, error)?;
        }
        self.go_on(id).await
    }

    /// The log ends before a claim that it has acknowledged. Serving on would forget what lies between.
    async fn claim_is_missing(&mut self, id: Id) -> Result<(), RoleError> {
        let reading = self.take_overs.get(&id).into_iter().flat_map(|take_over| &take_over.reading);
        let missing = reading.filter(|(_, reading)| !reading.done).find_map(|(p, reading)| Some((*p, reading.claim?)));
        let Some((partition, asked)) = missing else {
            return Ok(());
        };
        let end = self.backends.log.bounds(partition).await?.end;
        Err(RoleError::Read(ReadError::BeyondEnd { partition, asked, end }))
    }
}

pub(crate) fn decode(entry: &LogEntry) -> Result<Record, RoleError> {
    let LogEntry { partition, offset, ref bytes, .. } = *entry;
    Record::decode(bytes.clone()).map_err(|source| RoleError::Record { partition, offset, source })
}
