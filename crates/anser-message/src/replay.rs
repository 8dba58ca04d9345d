//! Replaying partitions that are served: what the mailbox may have forgotten is read from the log and applied again, up to where what is
//! accepted now follows on. Meanwhile publishes are decided and acked as ever; only what is delivered waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use anser_backend::{LogEntry, LogReader, ReadError};
use anser_core::owner::{Fence, Replayed};
use anser_types::record::Record;
use anser_types::{LogId, Offset, PartitionId};
use tokio::sync::oneshot;

use crate::applier::ToApply;
use crate::event_loop::MessageLoop;
use crate::role::RoleError;
use crate::takeover::{InMailbox, READ_BYTES, Step, TOGETHER, Turn, decode, in_mailbox, of_each};

/// Bytes that may be read of one replay while conversations are loaded for what was read before.
const WAITING_BYTES_MAX: usize = 2 * READ_BYTES;

/// Names a replay among those of this life of the node.
type Id = u64;
/// From where to read a partition, with the attempt to own it.
type Found = (PartitionId, u64, Result<InMailbox, RoleError>);

/// What comes back of a backend.
pub(crate) enum ReplayStep {
    /// These partitions may be replayed now.
    Begin(Id, Vec<PartitionId>, Turn),
    /// From where to read.
    Places(Id, Vec<Found>, Turn),
    /// The next piece of the log.
    Piece(Id, Box<dyn LogReader>, Result<Vec<LogEntry>, ReadError>),
    /// Everything that was read is applied.
    Applied,
}

/// The replays that are asked for or under way.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// The newest of each partition; what older ones still read is of no use.
    newest: BTreeMap<PartitionId, Id>,
    under_way: BTreeMap<Id, Replay>,
    last: Id,
    /// What could not be read, and is tried again.
    failed: BTreeSet<PartitionId>,
    /// Whether a conversation was loaded for which one may wait.
    is_loaded: bool,
}

impl Replays {
    /// Whether a partition is still to be replayed.
    pub(crate) fn has(&self, partition: PartitionId) -> bool {
        self.newest.contains_key(&partition) || self.failed.contains(&partition)
    }

    fn is_newest(&self, id: Id, partition: PartitionId) -> bool {
        self.newest.get(&partition) == Some(&id)
    }

    /// Whoever waits for a conversation looks again.
    pub(crate) const fn note_loaded(&mut self) {
        self.is_loaded = true;
    }
}

/// Some partitions that are read together.
struct Replay {
    reading: BTreeMap<PartitionId, Reading>,
    /// While nothing is read.
    reader: Option<Box<dyn LogReader>>,
    /// Until all of them are done, or wait for conversations.
    turn: Turn,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("reading", &self.reading).finish_non_exhaustive()
    }
}

impl Replay {
    fn waiting_bytes(&self) -> usize {
        self.reading.values().flat_map(|reading| &reading.entries).map(|entry| entry.bytes.len()).sum()
    }

    /// Whether all of them wait for conversations.
    fn is_waiting(&self) -> bool {
        self.reading.values().all(|reading| !reading.entries.is_empty())
    }
}

/// Where a partition stands while it is read.
#[derive(Debug)]
struct Reading {
    /// The attempt to own it to which this belongs.
    epoch: u64,
    fence: Fence,
    replay_from: Offset,
    /// Behind the newest entry that the fence was asked about, and whether that one counts.
    seen: Offset,
    counts: bool,
    /// What was read and waits for the conversation of the first of them.
    entries: VecDeque<LogEntry>,
}

impl Reading {
    const fn new(epoch: u64, place: InMailbox, log: LogId) -> Self {
        let InMailbox { start, replay_from } = place;
        Self { epoch, fence: Fence::new(log), replay_from, seen: start, counts: false, entries: VecDeque::new() }
    }
}

impl MessageLoop {
    /// Has partitions replayed that are here: those that are served go on deciding, the others are taken over anew. Returns how many.
    pub(crate) fn replay(&mut self, partitions: Vec<PartitionId>) -> usize {
        let (served, others): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|partition| self.node.committed_to(*partition).is_some());
        let count = served.len() + self.begin_again(others);
        for partitions in served.chunks(TOGETHER) {
            self.replays.last += 1;
            let (id, partitions) = (self.replays.last, partitions.to_vec());
            self.replays.newest.extend(partitions.iter().map(|partition| (*partition, id)));
            let turns = Arc::clone(&self.take_over_turns);
            // The semaphore is never closed.
            let begin = async move { ReplayStep::Begin(id, partitions, turns.acquire_owned().await.ok()) };
            self.replay_step(begin);
        }
        count
    }

    /// What could not be read is tried again, and whoever waits for a conversation looks.
    pub(crate) fn tick_replays(&mut self) {
        self.replays.note_loaded();
        let failed: Vec<_> = std::mem::take(&mut self.replays.failed).into_iter().collect();
        // Those that are not served any more are taken over by somebody, which replays them.
        let is_served = |partition: &PartitionId| self.node.committed_to(*partition).is_some();
        self.replay(failed.into_iter().filter(is_served).collect());
    }

    fn replay_step(&self, step: impl Future<Output = ReplayStep> + Send + 'static) {
        self.steps.push(Box::pin(async move { Step::Replay(step.await) }));
    }

    /// Does what a backend's answer allows.
    pub(crate) async fn replay_on(&mut self, step: ReplayStep) -> Result<(), RoleError> {
        match step {
            ReplayStep::Begin(id, partitions, turn) => self.begin_replay(id, partitions, turn).await,
            ReplayStep::Places(id, places, turn) => self.replay_from(id, places, turn).await,
            ReplayStep::Piece(id, reader, entries) => self.replay_piece(id, reader, entries).await,
            ReplayStep::Applied => Ok(()),
        }
    }

    /// The attempt to own a partition that a replay is for; `None` if that has ended, or the replay is not the newest.
    fn replayed_epoch(&self, id: Id, partition: PartitionId) -> Option<u64> {
        let is_served = self.node.committed_to(partition).is_some();
        self.node.epoch(partition).filter(|_| is_served && self.replays.is_newest(id, partition))
    }

    /// Has the applier write nothing of these partitions, and looks for the places to read from.
    async fn begin_replay(&mut self, id: Id, partitions: Vec<PartitionId>, turn: Turn) -> Result<(), RoleError> {
        let attempts = partitions.iter().filter_map(|p| Some((*p, self.replayed_epoch(id, *p)?)));
        let attempts: Vec<(PartitionId, u64)> = attempts.collect();
        self.forget_replay(id, |partition| !attempts.iter().any(|(present, _)| present == partition));
        if attempts.is_empty() {
            return Ok(());
        }
        self.perform().await?;
        let (done, suspended) = oneshot::channel();
        self.to_applier.send(ToApply::Suspend(attempts.iter().map(|(partition, _)| *partition).collect(), done))?;
        let (backends, limits, asks, now) =
            (self.backends.clone(), self.limits, Arc::clone(&self.asks), (self.clock)());
        self.replay_step(async move {
            // If the applier has gone, the role ends anyway.
            suspended.await.ok();
            let ask = |(partition, epoch)| {
                let (backends, asks) = (backends.clone(), Arc::clone(&asks));
                async move {
                    // It is never closed.
                    let _turn = asks.acquire().await.ok();
                    (partition, epoch, in_mailbox(&backends, &limits, now, partition).await)
                }
            };
            ReplayStep::Places(id, of_each(attempts, ask).await, turn)
        });
        Ok(())
    }

    async fn replay_from(&mut self, id: Id, places: Vec<Found>, turn: Turn) -> Result<(), RoleError> {
        let log = self.backends.log.id();
        let mut reading = BTreeMap::new();
        for (partition, epoch, place) in places {
            match place {
                _ if self.replayed_epoch(id, partition) != Some(epoch) => {}
                Ok(place) => drop(reading.insert(partition, Reading::new(epoch, place, log))),
                Err(error) => self.replay_failed(id, vec![partition], error)?,
            }
        }
        self.forget_replay(id, |partition| !reading.contains_key(partition));
        if reading.is_empty() {
            return Ok(());
        }
        self.to_applier.send(ToApply::Replay(reading.keys().copied().collect()))?;
        let from = reading.iter().map(|(partition, reading)| (*partition, reading.seen)).collect();
        let reader = Some(self.backends.log.reader(from));
        self.replays.under_way.insert(id, Replay { reading, reader, turn });
        self.take_in_replay(id).await
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
        replay.reader = Some(reader);
        match entries {
            Ok(entries) => {
                for entry in entries {
                    if let Some(reading) = replay.reading.get_mut(&entry.partition) {
                        reading.entries.push_back(entry);
                    }
                }
                self.take_in_replay(id).await
            }
            Err(error) => {
                let partitions = replay.reading.keys().copied().collect();
                self.replays.under_way.remove(&id);
                self.replay_failed(id, partitions, error.into())
            }
        }
    }

    fn replay_failed(&mut self, id: Id, partitions: Vec<PartitionId>, error: RoleError) -> Result<(), RoleError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let source = std::error::Error::source(&error);
        tracing::warn!(%error, ?source, ?partitions, "partitions cannot be replayed now, it is tried again");
        let newest = partitions.into_iter().filter(|partition| self.replays.is_newest(id, *partition));
        let newest: Vec<_> = newest.collect();
        self.forget_replay(id, |partition| newest.contains(partition));
        self.replays.failed.extend(newest);
        Ok(())
    }

    /// Partitions of a replay are replayed, or replayed by another one, or not served any more.
    fn forget_replay(&mut self, id: Id, is_over: impl Fn(&PartitionId) -> bool) {
        self.replays.newest.retain(|partition, newest| *newest != id || !is_over(partition));
    }

    /// Takes in what was read of one replay, and reads on.
    async fn take_in_replay(&mut self, id: Id) -> Result<(), RoleError> {
        let Some(mut replay) = self.replays.under_way.remove(&id) else {
            return Ok(());
        };
        let mut caught_up = Vec::new();
        let mut over = Vec::new();
        for (partition, reading) in &mut replay.reading {
            if self.replayed_epoch(id, *partition) != Some(reading.epoch) {
                over.push(*partition);
            } else if self.take_in_replayed(*partition, reading)? {
                caught_up.push(*partition);
            }
        }
        replay.reading.retain(|partition, _| !over.contains(partition) && !caught_up.contains(partition));
        self.forget_replay(id, |partition| over.contains(partition) || caught_up.contains(partition));
        if !caught_up.is_empty() {
            // What was committed so far was handed on before this; what comes from now on follows on what was replayed.
            self.perform().await?;
            self.to_applier.send(ToApply::Resume(caught_up))?;
        }
        if replay.reading.is_empty() {
            return self.end_replay(replay.turn);
        }
        if replay.is_waiting() {
            // For however long: others may have their turn meanwhile.
            replay.turn = None;
        } else if replay.waiting_bytes() <= WAITING_BYTES_MAX
            && let Some(mut reader) = replay.reader.take()
        {
            let backlog = self.to_applier.backlog.clone();
            self.replay_step(async move {
                backlog.has_room().await;
                let entries = reader.next(READ_BYTES).await;
                ReplayStep::Piece(id, reader, entries)
            });
        }
        self.replays.under_way.insert(id, replay);
        Ok(())
    }

    /// Takes in what was read of one partition. Returns whether that is all that was committed.
    fn take_in_replayed(&mut self, partition: PartitionId, reading: &mut Reading) -> Result<bool, RoleError> {
        let Some(end) = self.node.committed_to(partition) else {
            return Ok(false);
        };
        while let Some(entry) = reading.entries.pop_front() {
            let record = decode(&entry)?;
            if entry.offset >= reading.seen {
                if entry.offset >= end {
                    // It is handed on when its append is answered.
                    return Ok(true);
                }
                reading.seen = entry.offset.next();
                reading.counts = reading.fence.admits(entry.offset, record.header, &record.body);
            }
            if reading.counts && entry.offset >= reading.replay_from && self.is_loading_for(&entry, &record) {
                reading.entries.push_front(entry);
                return Ok(false);
            }
        }
        Ok(reading.seen >= end)
    }

    /// Has an entry applied; or finds that its conversation has to be loaded first.
    fn is_loading_for(&mut self, entry: &LogEntry, record: &Record) -> bool {
        let replayed = self.node.replay_served(entry, record, (self.clock)(), &mut self.effects);
        matches!(replayed, Replayed::Needs(_))
    }

    /// The turn goes on until everything is applied: what is replayed must not pile up before the applier.
    fn end_replay(&self, turn: Turn) -> Result<(), RoleError> {
        let (done, applied) = oneshot::channel();
        self.to_applier.send(ToApply::Barrier(done))?;
        self.replay_step(async move {
            // If the applier has gone, the role ends anyway.
            applied.await.ok();
            drop(turn);
            ReplayStep::Applied
        });
        Ok(())
    }

    /// Conversations were loaded: goes on with the replays that waited.
    pub(crate) async fn go_on_with_replays(&mut self) -> Result<(), RoleError> {
        while std::mem::take(&mut self.replays.is_loaded) {
            let waiting = self.replays.under_way.iter().filter(|(_, replay)| replay.reader.is_some());
            for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.take_in_replay(id).await?;
            }
            self.perform().await?;
        }
        Ok(())
    }
}
