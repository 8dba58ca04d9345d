//! The archiver of one node: a reader of the log beside the applier, with a place of its own in every partition.
//!
//! It writes history and the directory, and counts running numbers. It is told what the log has accepted, in order, and keeps
//! that in memory within a bound; what it missed, or had no room for, it reads from the log. A store that is away stops it
//! and nobody else: it tries again until it can write, and goes on from there. When it lags so far that the log may let go of what
//! it has not written, it says so, and the partition takes nothing in until it has caught up.
//!
//! Promises kept here: **nothing-lost** (whatever counts reaches history and the directory; a mark never covers what was not
//! written), **one-order** (running numbers have no holes). A plain value: [`Event`]s come in, [`Effect`]s go out.

mod changes;
mod intake;
mod item;
mod numbers;
mod partition;
mod reading;
mod rebuild;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anser_backend::{Head, LogEntry};
use anser_types::codec::DecodeError;
use anser_types::{LogId, Mark, Offset, PartitionId, Subject, Timestamp, UserKey};

use crate::owner::Committed;

pub use changes::Writes;
use item::Item;
use partition::{Partition, Stage, Step};
use reading::Reading;
pub use rebuild::{Anew, First, Known, Piece};

/// How much the archiver does at a time, and how much it keeps.
#[derive(Debug, Clone, Copy)]
pub struct ArchiverConfig {
    /// Bytes of records that are kept in memory; beyond it they are read from the log again.
    pub kept_bytes_max: usize,
    /// Records written together, and about how many bytes.
    pub batch_records_max: usize,
    /// See the records.
    pub batch_bytes_max: usize,
    /// For how many ticks messages may wait, so that several of a partition are written together; 0 to write them at once. Other
    /// records do not wait, nor does what somebody waits for.
    pub gather_ticks: u64,
    /// How old what is not archived may become before its partition takes nothing in; `None` if the log never lets go of it.
    pub lag_ms_max: Option<u64>,
}

impl Default for ArchiverConfig {
    fn default() -> Self {
        Self {
            kept_bytes_max: 64 * 1024 * 1024,
            batch_records_max: 1_024,
            batch_bytes_max: 4 * 1024 * 1024,
            gather_ticks: 0,
            lag_ms_max: None,
        }
    }
}

/// A partition, and its term: which of the times this is that it is archived here. An answer to what was asked in an earlier one is
/// not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The partition.
    pub partition: PartitionId,
    /// A number that rises.
    pub term: u64,
}

/// What the archiver is told.
#[derive(Debug)]
pub enum Event {
    /// A partition is this node's.
    Take(PartitionId),
    /// A partition is another node's from now on.
    Release(PartitionId),
    /// Where the tables stand, and from where the log is to be read for that: the claim by which it is known what counts.
    Placed(Seat, Mark, Offset),
    /// The log has accepted records, in order.
    Accepted(Vec<Committed>),
    /// The log has accepted everything below the offset, and something of it was not told.
    Missed(PartitionId, Offset),
    /// Somebody waits until everything below the offset is archived.
    Hurry(PartitionId, Offset),
    /// The answer to [`Effect::Read`]: what lies there; nothing if everything was read.
    Read(u64, Vec<LogEntry>),
    /// The log cannot be read now.
    NotRead(u64),
    /// The log has let go of what was to be read of the partition: of the claim alone, or of what the tables lack. [`Effect::Place`] tells.
    Gone(u64, PartitionId),
    /// The answer to [`Effect::Load`].
    Loaded(Seat, Vec<(Subject, Head)>),
    /// What [`Effect::Write`] asked for is durable, as far as the tables promise.
    Written(Seat),
    /// A store did not answer a question about a partition, or may not have written.
    Failed(Seat),
    /// The pause of a partition is over.
    GoOn(Seat),
    /// The pause of the reader is over.
    ReadOn,
    /// Time passes.
    Tick,
}

/// What the archiver wants done.
#[derive(Debug)]
pub enum Effect {
    /// Find out where the tables stand: the smaller of the marks of history and directory. Answer with [`Event::Placed`].
    Place(Seat),
    /// Open a reader with this number at these places and read on, or read on with it if there are none.
    Read(u64, Vec<(PartitionId, Offset)>),
    /// Load the heads of conversations. Answer with [`Event::Loaded`].
    Load(Seat, Vec<Subject>),
    /// Write the rows, then the mark. Answer with [`Event::Written`].
    Write(Seat, Writes),
    /// Wait so many milliseconds, then say [`Event::GoOn`].
    Pause(Seat, u64),
    /// Wait so many milliseconds, then say [`Event::ReadOn`].
    PauseReading(u64),
    /// Everything of the partition below the offset is in history and in the directory.
    Archived(PartitionId, Offset),
    /// The settings of a user have changed, and can be read.
    SettingsChanged(UserKey, Timestamp),
    /// The partition is to take nothing in, because what is not archived is so many milliseconds old. Said again every minute.
    Stop(PartitionId, u64),
    /// The partition may take in again.
    Resume(PartitionId),
}

/// Why the archiver cannot go on. Somebody has to look.
#[derive(Debug, thiserror::Error)]
pub enum ArchiverError {
    /// A record of the log cannot be read.
    #[error("record {offset} of partition {partition} cannot be read")]
    Record {
        /// The partition.
        partition: PartitionId,
        /// Where in it.
        offset: Offset,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The log ends before what the tables contain: it went back, or the tables are of another log.
    #[error("partition {partition} of the log ends at {end}, but the tables contain everything below {archived}")]
    WentBack {
        /// The partition.
        partition: PartitionId,
        /// Where it ends.
        end: Offset,
        /// Where the tables stand.
        archived: Offset,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Archiver {
    log: LogId,
    config: ArchiverConfig,
    partitions: BTreeMap<PartitionId, Partition>,
    reading: Reading,
    /// Bytes of all records in memory.
    kept_bytes: usize,
    terms: u64,
    ticks: u64,
}

impl Archiver {
    /// An archiver without partitions.
    pub fn new(log: LogId, config: ArchiverConfig) -> Self {
        Self {
            log,
            config,
            partitions: BTreeMap::new(),
            reading: Reading::default(),
            kept_bytes: 0,
            terms: 0,
            ticks: 0,
        }
    }

    /// The partitions that are archived here.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.partitions.keys().copied()
    }

    /// Whether nothing in memory waits to be written.
    pub fn is_idle(&self) -> bool {
        self.partitions.values().all(|partition| partition.has_nothing())
    }

    /// Takes an event. An error is for good.
    pub fn handle(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) -> Result<(), ArchiverError> {
        match event {
            Event::Take(partition) => self.take(partition, now, effects),
            Event::Release(partition) => self.release(partition, effects),
            Event::Placed(seat, mark, from) => self.placed(seat, mark, from, effects),
            Event::Accepted(records) => self.accepted(records, effects),
            Event::Missed(partition, end) => self.missed(partition, end, now),
            Event::Hurry(partition, next) => self.hurry(partition, next, effects),
            Event::Read(number, entries) => self.read(number, entries, effects)?,
            Event::NotRead(number) => self.not_read(number, effects),
            Event::Gone(number, partition) => self.gone(number, partition, effects),
            Event::Loaded(seat, heads) => self.loaded(seat, heads, effects),
            Event::Written(seat) => self.written(seat, effects),
            Event::Failed(seat) => self.failed(seat, effects),
            Event::GoOn(seat) => self.go_on(seat, effects),
            Event::ReadOn => self.reading.is_paused = false,
            Event::Tick => {
                self.watch_lag(now, effects);
                self.end_gathering(effects);
            }
        }
        self.read_more(effects);
        Ok(())
    }

    fn take(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(known) = self.partitions.get_mut(&partition) {
            known.stay(now);
            return;
        }
        self.begin(partition, effects);
    }

    fn begin(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) {
        self.terms += 1;
        let seat = Seat { partition, term: self.terms };
        self.partitions.insert(partition, Partition::new(self.terms, self.log));
        effects.push(Effect::Place(seat));
    }

    /// Begins anew with a partition that this reader reads, unless something of it is in memory: that is written first.
    fn gone(&mut self, number: u64, partition: PartitionId, effects: &mut Vec<Effect>) {
        if number != self.reading.number {
            return;
        }
        self.not_read(number, effects);
        if let Some(known) = self.partitions.get(&partition).filter(|known| !known.is_leaving && known.has_nothing()) {
            if known.stopped.is_some() {
                effects.push(Effect::Resume(partition));
            }
            self.begin(partition, effects);
        }
    }

    /// What is in memory is written still: it spares the next owner the work.
    fn release(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) {
        if let Some(known) = self.partitions.get_mut(&partition) {
            known.is_leaving = true;
            self.pump(partition, effects);
            self.remove_if_done(partition);
        }
    }

    fn remove_if_done(&mut self, partition: PartitionId) {
        let is_done = |known: &mut Partition| known.is_leaving && known.has_nothing();
        if self.partitions.get_mut(&partition).is_some_and(is_done) {
            self.remove(partition);
        }
    }

    fn remove(&mut self, partition: PartitionId) {
        if let Some(known) = self.partitions.remove(&partition) {
            self.kept_bytes = self.kept_bytes.saturating_sub(known.bytes());
            self.reading.close_if_of(partition);
        }
    }

    fn at(&mut self, seat: Seat) -> Option<&mut Partition> {
        self.partitions.get_mut(&seat.partition).filter(|partition| partition.term == seat.term)
    }

    fn placed(&mut self, seat: Seat, mark: Mark, from: Offset, effects: &mut Vec<Effect>) {
        if let Some(partition) = self.at(seat).filter(|partition| partition.stage == Stage::Placing) {
            partition.begin_at(mark, from);
            effects.push(Effect::Archived(seat.partition, mark.next));
        }
    }

    fn accepted(&mut self, records: Vec<Committed>, effects: &mut Vec<Effect>) {
        let mut touched: Vec<PartitionId> = Vec::new();
        for record in records {
            let is_room = self.kept_bytes < self.config.kept_bytes_max;
            let Some(partition) = self.partitions.get_mut(&record.partition) else { continue };
            if touched.last() != Some(&record.partition) {
                touched.push(record.partition);
            }
            self.kept_bytes += partition.accept(record, is_room);
        }
        touched.sort_unstable();
        touched.dedup();
        for partition in touched {
            self.pump_if_due(partition, effects);
        }
    }

    fn missed(&mut self, partition: PartitionId, end: Offset, now: Timestamp) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.note_missed(end, now);
        }
    }

    fn hurry(&mut self, partition: PartitionId, next: Offset, effects: &mut Vec<Effect>) {
        if let Some(known) = self.partitions.get_mut(&partition) {
            known.hurry_to(next);
            self.pump_if_due(partition, effects);
        }
    }

    /// The partitions take turns, so that their writes do not come all at once.
    fn end_gathering(&mut self, effects: &mut Vec<Effect>) {
        self.ticks += 1;
        let (turn, turns) = (self.ticks, self.config.gather_ticks);
        if turns > 0 {
            let has_turn = |partition: &PartitionId| (turn + u64::from(partition.0)).is_multiple_of(turns);
            let due: Vec<PartitionId> = self.partitions.keys().copied().filter(has_turn).collect();
            due.into_iter().for_each(|partition| self.pump(partition, effects));
        }
    }

    /// Gives a partition something to do, unless it may wait for more.
    fn pump_if_due(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) {
        let is_many = self.config.batch_records_max / 4;
        let may_wait = |known: &Partition| self.config.gather_ticks > 0 && known.may_wait(is_many);
        if !self.partitions.get(&partition).is_some_and(may_wait) {
            self.pump(partition, effects);
        }
    }

    /// Gives a partition something to do that has nothing to do.
    fn pump(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) {
        let batch_max = (self.config.batch_records_max, self.config.batch_bytes_max);
        let Some(known) = self.partitions.get_mut(&partition).filter(|known| known.step == Step::Idle) else {
            return;
        };
        if known.begin_batch(batch_max) {
            let seat = Seat { partition, term: known.term };
            known.number_or_load(seat, effects);
        }
    }

    fn loaded(&mut self, seat: Seat, heads: Vec<(Subject, Head)>, effects: &mut Vec<Effect>) {
        if let Some(partition) = self.at(seat).filter(|partition| partition.step == Step::Loading) {
            partition.know(heads);
            partition.number_or_load(seat, effects);
        }
    }

    fn written(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        let Some(partition) = self.at(seat).filter(|partition| partition.step == Step::Writing) else {
            return;
        };
        let bytes = partition.end_batch(seat.partition, effects);
        self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
        self.pump_if_due(seat.partition, effects);
        self.remove_if_done(seat.partition);
    }

    /// One that fails for long takes no room from others that need it: first it lets go of what waits, then of its batch.
    fn failed(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        let is_tight = !self.may_read();
        let Some(partition) = self.at(seat) else {
            return;
        };
        if partition.is_leaving {
            // The next owner's archiver goes on from the mark.
            self.remove(seat.partition);
            return;
        }
        effects.push(Effect::Pause(seat, partition.pause()));
        if is_tight && partition.is_stuck() {
            let bytes = match partition.let_go_of_waiting() {
                0 => partition.start_over(),
                bytes => bytes,
            };
            self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
            self.reading.close_if_of(seat.partition);
        }
    }

    fn go_on(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        if let Some(partition) = self.at(seat) {
            partition.try_again(seat, effects);
        }
    }
}
