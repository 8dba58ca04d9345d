//! Replaying partitions that are served: what the mailbox may have forgotten is read from the log and applied again, up to where what is
//! accepted now follows on. Meanwhile publishes are decided and acked as ever; only what is delivered waits.

mod reading;
mod replays;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anser_backend::{LogEntry, LogReader, MessageLog, ReadError, StoreError};
use anser_core::owner::Replayed;
use anser_types::{Offset, PartitionId, Subject};
use tokio::sync::oneshot;

use crate::applier::ToApply;
use crate::event_loop::MessageLoop;
use crate::role::RoleError;
use crate::takeover::{Attempt, Permit, READ_BYTES, ReplayPlace, Step, TOGETHER, decode};
use reading::{Reading, Round};
pub(crate) use replays::Replays;
use replays::{Id, Replay};

/// Bytes that may be read of one replay while conversations are loaded for what was read before.
const WAITING_BYTES_MAX: usize = 2 * READ_BYTES;

/// From where to read a partition, with the attempt to own it.
type Found = (PartitionId, u64, Result<ReplayPlace, RoleError>);

/// What comes back of a backend.
pub(crate) enum ReplayStep {
    /// These partitions may be replayed now.
    Begin(Id, Vec<PartitionId>, Permit),
    /// From where to read.
    Places(Id, Vec<Found>, Permit),
    /// The next piece of the log.
    Piece(Id, Box<dyn LogReader>, Result<Vec<LogEntry>, ReadError>),
    /// Go on with what was read.
    GoOn(Id),
    /// Everything that was read is applied.
    Applied,
}

impl MessageLoop {
    /// Has partitions replayed that are here: those that are served go on deciding, the others are taken over anew. Returns how many.
    pub(crate) fn replay(&mut self, partitions: Vec<PartitionId>) -> usize {
        let (served, others): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|partition| self.node.committed_to(*partition).is_some());
        // What the applier keeps for an older replay would be kept for too long.
        let begun: Vec<_> = served.iter().copied().filter(|partition| self.replays.has(*partition)).collect();
        if !begun.is_empty() {
            // If the applier has gone, the role ends anyway.
            self.to_applier.send(ToApply::Suspend(begun, oneshot::channel().0)).ok();
        }
        for partitions in served.chunks(TOGETHER) {
            let (id, partitions) = (self.replays.begin(partitions.iter().copied()), partitions.to_vec());
            let permits = Arc::clone(&self.replays.permits);
            // The semaphore is never closed.
            self.replay_step(async move { ReplayStep::Begin(id, partitions, permits.acquire_owned().await.ok()) });
        }
        served.len() + self.begin_again(others)
    }

    /// A conversation could not be loaded, for which a replay may wait.
    pub(crate) fn not_loaded(&mut self, partition: PartitionId, subject: &Subject, error: StoreError) {
        self.replays.note_not_loaded(partition, subject, &error);
        if self.replays.has(partition) && self.outlives(&error.into()) {
            // Nothing of the partition would be delivered; when it is taken over it is said why.
            self.begin_again(vec![partition]);
        }
    }

    /// The claim is lost: what the applier keeps until a replay ends would be kept until the partition is taken over again.
    pub(crate) fn let_go_of_kept(&mut self, partition: PartitionId) {
        if self.replays.has(partition) {
            self.released.push(partition);
        }
    }

    /// What could not be read is tried again, and whoever waits for something looks.
    pub(crate) fn tick_replays(&mut self) {
        self.replays.look_again = true;
        self.replays.under_way.values_mut().for_each(|replay| replay.is_at_end = false);
        if self.replays.tries.tick() {
            self.replays.tries.done();
            // Those that are not served any more are taken over by somebody, which replays them.
            self.replays.failed.retain(|partition| self.node.committed_to(*partition).is_some());
            self.replay(self.replays.failed.iter().copied().collect());
        }
    }

    fn replay_step(&self, step: impl Future<Output = ReplayStep> + Send + 'static) {
        self.steps.push(Box::pin(async move { Step::Replay(step.await) }));
    }

    /// Does what a backend's answer allows.
    pub(crate) async fn replay_on(&mut self, step: ReplayStep) -> Result<(), RoleError> {
        match step {
            ReplayStep::Begin(id, partitions, permit) => self.find_replay_places(id, partitions, permit).await,
            ReplayStep::Places(id, places, permit) => self.replay_from(id, places, permit).await,
            ReplayStep::Piece(id, reader, entries) => self.replay_piece(id, reader, entries).await,
            ReplayStep::GoOn(id) => {
                if let Some(replay) = self.replays.under_way.get_mut(&id) {
                    replay.is_pausing = false;
                }
                self.take_in_replay(id).await
            }
            ReplayStep::Applied => Ok(()),
        }
    }

    /// The attempt to own a partition that a replay is for; `None` if that has ended, or the replay is not the newest.
    fn replayed_epoch(&self, id: Id, partition: PartitionId) -> Option<u64> {
        let is_served = self.node.committed_to(partition).is_some();
        self.node.epoch(partition).filter(|_| is_served && self.replays.is_newest(id, partition))
    }

    /// Has the applier write nothing of these partitions, and looks for the places to read from.
    async fn find_replay_places(
        &mut self,
        id: Id,
        partitions: Vec<PartitionId>,
        permit: Permit,
    ) -> Result<(), RoleError> {
        // The answer to an older question would have the mailbox take rows over what this replay brings.
        let (later, now): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|partition| self.placing.contains(partition));
        self.replays.put_off(id, later);
        let attempts: Vec<Attempt> =
            now.into_iter().filter_map(|partition| Some((partition, self.replayed_epoch(id, partition)?))).collect();
        let partitions: BTreeSet<PartitionId> = attempts.iter().map(|(partition, _)| *partition).collect();
        self.replays.end(id, |partition| !partitions.contains(partition));
        if attempts.is_empty() {
            return Ok(());
        }
        self.perform().await?;
        let (done, suspended) = oneshot::channel();
        self.to_applier.send(ToApply::Suspend(partitions.iter().copied().collect(), done))?;
        self.placing.extend(partitions);
        let looking = self.looking((self.clock)());
        self.replay_step(async move {
            // If the applier has gone, the role ends anyway.
            suspended.await.ok();
            ReplayStep::Places(id, looking.replay_places(attempts).await, permit)
        });
        Ok(())
    }

    async fn replay_from(&mut self, id: Id, places: Vec<Found>, permit: Permit) -> Result<(), RoleError> {
        let log = self.backends.log.id();
        let (mut reading, mut failed, mut why) = (BTreeMap::new(), Vec::new(), None);
        let mut in_trouble = Vec::new();
        for (partition, epoch, place) in places {
            self.placing.remove(&partition);
            let Some(committed) = self.node.committed_to(partition) else { continue };
            match place {
                _ if self.replayed_epoch(id, partition) != Some(epoch) => {}
                Ok(place) => drop(reading.insert(partition, Reading::new(epoch, place, log, committed))),
                Err(error) if error.is_retryable() => {
                    failed.push(partition);
                    why.get_or_insert(error);
                }
                Err(error) if self.outlives(&error) => in_trouble.push(partition),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = why {
            self.replay_failed(id, &failed, error)?;
        }
        self.replays.end(id, |partition| !reading.contains_key(partition));
        // What is sent there would not be delivered; when they are taken over it is said why.
        self.begin_again(in_trouble);
        if reading.is_empty() {
            return Ok(());
        }
        self.to_applier.send(ToApply::ReplayAlone(reading.keys().copied().collect()))?;
        self.read_replay(id, reading, permit).await
    }

    async fn read_replay(
        &mut self,
        id: Id,
        reading: BTreeMap<PartitionId, Reading>,
        permit: Permit,
    ) -> Result<(), RoleError> {
        let from = reading.iter().map(|(partition, reading)| (*partition, reading.at())).collect();
        let reader = Some(self.backends.log.reader(from));
        self.replays.under_way.insert(id, Replay { reading, reader, is_at_end: false, is_pausing: false, permit });
        // Boxed: some of them may go on by themselves, in the same way.
        Box::pin(self.take_in_replay(id)).await
    }

    async fn replay_piece(
        &mut self,
        id: Id,
        reader: Box<dyn LogReader>,
        entries: Result<Vec<LogEntry>, ReadError>,
    ) -> Result<(), RoleError> {
        let Some(replay) = self.replays.under_way.get_mut(&id) else {
            return Ok(());
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                let partitions: Vec<_> = replay.reading.keys().copied().collect();
                self.replays.under_way.remove(&id);
                return self.replay_failed(id, &partitions, error.into());
            }
        };
        replay.reader = Some(reader);
        replay.is_at_end = entries.is_empty();
        for entry in entries {
            if let Some(reading) = replay.reading.get_mut(&entry.partition) {
                reading.entries.push_back(entry);
            }
        }
        self.take_in_replay(id).await
    }

    fn replay_failed(&mut self, id: Id, partitions: &[PartitionId], error: RoleError) -> Result<(), RoleError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let source = std::error::Error::source(&error);
        tracing::warn!(%error, ?source, ?partitions, "partitions cannot be replayed now, it is tried again");
        self.replays.put_off(id, partitions.iter().copied());
        Ok(())
    }

    /// Takes in what was read of one replay, and sees what comes next.
    async fn take_in_replay(&mut self, id: Id) -> Result<(), RoleError> {
        let Some(mut replay) = self.replays.under_way.remove(&id) else {
            return Ok(());
        };
        // Whoever is over was given up, or is replayed by another one.
        let is_over = |(partition, reading): (&PartitionId, &Reading)| {
            (self.replayed_epoch(id, *partition) != Some(reading.epoch)).then_some(*partition)
        };
        let over: BTreeSet<PartitionId> = replay.reading.iter().filter_map(is_over).collect();
        replay.reading.retain(|partition, _| !over.contains(partition));
        let (mut last, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut bytes = 0;
        for (&partition, reading) in &mut replay.reading {
            loop {
                self.take_in_partition(reading, &mut bytes)?;
                let committed = self.node.committed_to(partition).unwrap_or_default();
                match reading.end_round(committed) {
                    Round::Open => break,
                    Round::Next => {}
                    Round::Last => drop(last.insert(partition)),
                    Round::Done => {
                        done.insert(partition);
                        break;
                    }
                }
            }
        }
        replay.reading.retain(|partition, _| !done.contains(partition));
        self.replays.end(id, |partition| over.contains(partition) || done.contains(partition));
        if !last.is_empty() || !done.is_empty() {
            // What was committed so far was handed on before this; what comes from now on follows on what is replayed.
            self.perform().await?;
            self.to_applier.send(ToApply::KeepNew(last.iter().copied().collect()))?;
            self.to_applier.send(ToApply::EndReplay(done.into_iter().collect()))?;
        }
        self.read_on_replay(id, replay, &last).await
    }

    /// Takes in what was read of one partition, as far as it is not too much for one turn and nothing has to be loaded.
    fn take_in_partition(&mut self, reading: &mut Reading, bytes: &mut usize) -> Result<(), RoleError> {
        while *bytes <= READ_BYTES
            && let Some(entry) = reading.next()
        {
            let record = decode(&entry)?;
            *bytes += entry.bytes.len();
            if reading.applies(&entry, &record)
                && let Replayed::Needs(_) = self.node.replay_served(&entry, &record, (self.clock)(), &mut self.effects)
            {
                reading.wait_with(entry);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read_on_replay(
        &mut self,
        id: Id,
        mut replay: Replay,
        last: &BTreeSet<PartitionId>,
    ) -> Result<(), RoleError> {
        // What is kept for them is not to wait for what is read of the others.
        let near = replay.reading.extract_if(.., |partition, _| last.contains(partition)).collect();
        self.go_on_apart(near, None).await?;
        let reading = || replay.reading.values();
        if replay.reading.is_empty() {
            return self.end_replay(replay.permit);
        }
        if reading().any(|reading| !reading.is_waiting() && reading.has_entry()) {
            // The others have waited long enough.
            replay.is_pausing = true;
            let backlog = self.to_applier.backlog.clone();
            self.replay_step(async move {
                backlog.has_room().await;
                ReplayStep::GoOn(id)
            });
        } else if reading().all(Reading::is_waiting) {
            // For however long: others may have their turn meanwhile.
            replay.permit = None;
        } else if reading().map(Reading::bytes).sum::<usize>() > WAITING_BYTES_MAX {
            // Those that need not wait go on by themselves.
            let going = replay.reading.extract_if(.., |_, reading| !reading.is_waiting()).collect();
            let permit = replay.permit.take();
            self.replays.under_way.insert(id, replay);
            return self.go_on_apart(going, permit).await;
        } else if !replay.is_at_end
            && let Some(reader) = replay.reader.take()
        {
            let ends = replay.reading.iter().map(|(partition, reading)| (*partition, reading.end())).collect();
            let waits = !reading().all(Reading::is_last);
            self.read_piece_of_replay(id, reader, ends, waits);
        }
        self.replays.under_way.insert(id, replay);
        Ok(())
    }

    /// Some partitions of a replay are read by themselves from now on.
    async fn go_on_apart(&mut self, reading: BTreeMap<PartitionId, Reading>, permit: Permit) -> Result<(), RoleError> {
        if reading.is_empty() {
            return Ok(());
        }
        let id = self.replays.begin(reading.keys().copied());
        self.read_replay(id, reading, permit).await
    }

    fn read_piece_of_replay(
        &self,
        id: Id,
        mut reader: Box<dyn LogReader>,
        ends: Vec<(PartitionId, Offset)>,
        waits: bool,
    ) {
        let (backlog, log) = (self.to_applier.backlog.clone(), Arc::clone(&self.backends.log));
        self.replay_step(async move {
            // For little more there is room: what is kept meanwhile takes some, too.
            if waits {
                backlog.has_room().await;
            }
            let mut entries = reader.next(READ_BYTES).await;
            if entries.as_ref().is_ok_and(Vec::is_empty) {
                entries = has_all(&*log, ends).await.map(|()| Vec::new());
            }
            ReplayStep::Piece(id, reader, entries)
        });
    }

    /// The permit is held until everything is applied: what is replayed must not pile up before the applier.
    fn end_replay(&self, permit: Permit) -> Result<(), RoleError> {
        let (done, applied) = oneshot::channel();
        self.to_applier.send(ToApply::Barrier(done))?;
        self.replay_step(async move {
            // If the applier has gone, the role ends anyway.
            applied.await.ok();
            drop(permit);
            ReplayStep::Applied
        });
        Ok(())
    }

    /// Goes on with the replays that waited for something.
    pub(crate) async fn go_on_with_replays(&mut self) -> Result<(), RoleError> {
        while std::mem::take(&mut self.replays.look_again) {
            let is_idle = |replay: &Replay| replay.reader.is_some() && !replay.is_pausing;
            let idle = self.replays.under_way.iter().filter(|(_, replay)| is_idle(replay));
            for id in idle.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.take_in_replay(id).await?;
            }
            self.perform().await?;
        }
        Ok(())
    }
}

/// Serving on with a log that ends before what it has acknowledged would forget what lies between.
async fn has_all(log: &dyn MessageLog, ends: Vec<(PartitionId, Offset)>) -> Result<(), ReadError> {
    for (partition, asked) in ends {
        let end = log.bounds(partition).await?.end;
        if end < asked {
            return Err(ReadError::BeyondEnd { partition, asked, end });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anser_backend::memory::MemoryLog;
    use anser_types::{LogId, PartitionCount, Timestamp};

    use super::*;

    #[tokio::test]
    async fn never_skip_silently_a_log_that_lost_what_it_acknowledged_is_noticed() {
        let log = MemoryLog::new(LogId(1), PartitionCount::EMBEDDED, || Timestamp(1));
        let partition = PartitionId(3);
        log.append(partition, vec!["x".into()]).await.unwrap();
        has_all(&log, vec![(partition, Offset(1))]).await.unwrap();
        let lost = has_all(&log, vec![(partition, Offset(2))]).await;
        assert!(matches!(lost, Err(ReadError::BeyondEnd { asked: Offset(2), end: Offset(1), .. })), "{lost:?}");
    }
}
