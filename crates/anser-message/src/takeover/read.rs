//! Reading partitions that are taken over, up to their claims.

use anser_backend::{LogEntry, LogReader, ReadError, StoreError};
use anser_core::node::Replay;
use anser_core::owner::{Loaded, Replayed};
use anser_types::record::{Body, Record};
use anser_types::{Claim, Offset, PartitionId, Subject};

use super::{Answers, Id, READ_BYTES, Reading, Step, TakeOver, of_each, place};
use crate::event_loop::{MessageLoop, load_conversation};
use crate::role::RoleError;

impl MessageLoop {
    /// Reads the next piece while the last one is taken in.
    pub(super) fn read_on(&mut self, id: Id, mut reader: Box<dyn LogReader>) {
        self.steps.push(Box::pin(async move {
            let entries = reader.next(READ_BYTES).await;
            Step::Piece(id, (reader, entries))
        }));
    }

    pub(super) async fn read_piece(
        &mut self,
        id: Id,
        reader: Box<dyn LogReader>,
        entries: Result<Vec<LogEntry>, ReadError>,
    ) -> Result<(), RoleError> {
        let Some(take_over) = self.take_overs.get_mut(&id) else {
            return Ok(());
        };
        match entries {
            Ok(entries) => take_over.ahead = Some((reader, entries)),
            Err(error) => return self.claim_again(id, error.into()),
        }
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
        if !take_over.is_loading {
            self.take_all_in(id, &mut take_over)?;
        }
        let is_read = take_over.reading.values().all(|reading| reading.done);
        let ahead = if take_over.is_loading || is_read { None } else { take_over.ahead.take() };
        if let Some((reader, entries)) = ahead {
            if entries.is_empty() {
                let mut reading = take_over.reading.into_iter();
                return match reading.find(|(_, reading)| !reading.done) {
                    Some((partition, reading)) => self.claim_is_missing(partition, reading.claim).await,
                    None => Ok(()),
                };
            }
            take_over.entries = entries.into();
            self.read_on(id, reader);
            // Not at once: the others have waited long enough.
            self.steps.push(Box::pin(std::future::ready(Step::GoOn(id))));
        }
        let is_done = is_read && !take_over.is_loading;
        self.take_overs.insert(id, take_over);
        if is_done { self.look_further_back(id).await } else { Ok(()) }
    }

    /// Where reading has brought nothing with a sent time, the newest that there is is looked for.
    async fn look_further_back(&mut self, id: Id) -> Result<(), RoleError> {
        let reading = self.take_overs.get(&id).into_iter().flat_map(|take_over| &take_over.reading);
        let quiet: Vec<_> = reading.filter(|(_, r)| r.is_quiet).map(|(&partition, r)| (partition, r.start)).collect();
        if quiet.is_empty() {
            return self.wait_until_applied(id).await;
        }
        let log = self.backends.log.clone();
        self.steps.push(Box::pin(async move {
            let ask = |(partition, start)| {
                let log = log.clone();
                async move { (partition, place::newest_before(log, partition, start).await) }
            };
            Step::Newest(id, of_each(quiet, ask).await)
        }));
        Ok(())
    }

    pub(super) async fn newest_found(&mut self, id: Id, newest: Answers<Vec<(Offset, Body)>>) -> Result<(), RoleError> {
        for (partition, found) in newest {
            let Some(reading) = self.take_overs.get(&id).and_then(|take_over| take_over.reading.get(&partition)) else {
                return Ok(());
            };
            let found = match found {
                Ok(found) if self.node.epoch(partition) == Some(reading.epoch) => found,
                Ok(_) => continue,
                Err(error) => return self.claim_again(id, error),
            };
            for (offset, body) in found {
                self.node.remember(partition, offset, &body);
            }
        }
        self.wait_until_applied(id).await
    }

    fn take_all_in(&mut self, id: Id, take_over: &mut TakeOver) -> Result<(), RoleError> {
        while let Some(entry) = take_over.entries.pop_front() {
            let Some(reading) = take_over.reading.get_mut(&entry.partition).filter(|reading| !reading.done) else {
                continue;
            };
            if let Some(subject) = self.take_in(&entry, reading)? {
                let partition = entry.partition;
                take_over.entries.push_front(entry);
                take_over.is_loading = true;
                self.load_for(id, partition, subject);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes an entry in. Returns the conversation that has to be loaded first, if one has to be.
    fn take_in(&mut self, entry: &LogEntry, reading: &mut Reading) -> Result<Option<Subject>, RoleError> {
        let LogEntry { partition, offset, ref bytes, .. } = *entry;
        if self.node.epoch(partition) != Some(reading.epoch) {
            // It has left this node again.
            reading.done = true;
            return Ok(None);
        }
        let bad = |source| RoleError::Record { partition, offset, source };
        let record = Record::decode(bytes.clone()).map_err(bad)?;
        if !reading.is_seen(offset) {
            reading.seen = offset.next();
            reading.counts = reading.fence.admits(offset, record.header, &record.body);
            if reading.counts {
                self.node.remember(partition, offset, &record.body);
                reading.is_quiet &= matches!(record.body, Body::Claim { .. });
            } else if offset >= reading.replay_from {
                tracing::warn!(%partition, %offset, "record does not count: its claim is not the newest or its sequence has a gap");
            }
        }
        if reading.counts && offset >= reading.changes_from {
            self.node.keep_change(partition, offset, &record.body);
        }
        if reading.counts && offset >= reading.replay_from {
            // The tables are written under the new claim: they have seen newer ones than that of an old record.
            let replay = Replay { partition, claim: Claim(reading.claim), offset, bytes, record: &record };
            if let Replayed::Needs(subject) = self.node.replay(replay, (self.clock)(), &mut self.effects) {
                return Ok(Some(subject));
            }
        }
        reading.done = offset >= reading.claim;
        Ok(None)
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
            Err(error) => self.claim_again(id, error.into()),
        }
    }

    /// The log ends before a claim that it has acknowledged. Serving on would forget what lies between.
    async fn claim_is_missing(&mut self, partition: PartitionId, asked: Offset) -> Result<(), RoleError> {
        let end = self.backends.log.bounds(partition).await?.end;
        Err(RoleError::Read(ReadError::BeyondEnd { partition, asked, end }))
    }
}

impl Reading {
    /// Whether an entry was looked at before its conversation had to be loaded.
    fn is_seen(&self, offset: Offset) -> bool {
        offset < self.seen
    }
}
