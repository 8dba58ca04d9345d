//! One partition as the archiver has it: what waits, what is being written, and from where to go on.

use std::collections::VecDeque;

use anser_backend::Head;
use anser_types::codec::Reader;
use anser_types::record::{Body, Header, UserChange};
use anser_types::{Claim, LogId, Mark, Offset, PartitionId, Subject, Timestamp};

use super::numbers::Numbers;
use super::{ArchiverError, Effect, Item, Seat, Writes};
use crate::owner::{Committed, Fence};

/// How long to wait before a store is tried again, at first and at most, in milliseconds.
const PAUSE_MIN_MS: u64 = 5;
const PAUSE_MAX_MS: u64 = 1_000;
/// After so many tries in vain, some three seconds, it may be that somebody has to mend something first.
const STUCK_TRIES: u32 = 10;

/// Where records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is not known yet where the tables stand.
    Placing,
    /// From the log.
    Reading,
    /// From whoever appends them.
    Following,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    Loading,
    Writing,
    Pausing,
}

#[derive(Debug)]
pub(super) struct Partition {
    /// See [`Seat`].
    pub(super) term: u64,
    log: LogId,
    pub(super) stage: Stage,
    pub(super) step: Step,
    pub(super) is_leaving: bool,
    /// Which record counts next, while they are read.
    pub(super) fence: Fence,
    /// The next to read. Below `next` only to learn which claim is the newest.
    pub(super) read_at: Offset,
    /// The first that was not taken.
    pub(super) next: Offset,
    /// Behind the newest of which it is known that the log has it.
    end: Offset,
    /// The claim of the newest that was taken.
    claim: Claim,
    /// When the oldest was accepted that was not taken, at the latest.
    behind_since: Option<Timestamp>,
    waiting: VecDeque<Item>,
    /// Whether something waits that is no message.
    is_urgent: bool,
    /// Somebody waits until everything below is archived.
    hurry_to: Offset,
    batch: Vec<Item>,
    tries: u32,
    numbers: Numbers,
    /// When it was said last that it is to take nothing in; `None` while it takes in.
    pub(super) stopped: Option<Timestamp>,
}

impl Partition {
    pub(super) fn new(term: u64, log: LogId) -> Self {
        Self {
            term,
            log,
            stage: Stage::Placing,
            step: Step::Idle,
            is_leaving: false,
            fence: Fence::new(log),
            read_at: Offset::START,
            next: Offset::START,
            end: Offset::START,
            claim: Claim::default(),
            behind_since: None,
            waiting: VecDeque::new(),
            is_urgent: false,
            hurry_to: Offset::START,
            batch: Vec::new(),
            tries: 0,
            numbers: Numbers::default(),
            stopped: None,
        }
    }

    /// Whether nothing in memory waits to be written.
    pub(super) fn has_nothing(&self) -> bool {
        self.waiting.is_empty() && self.batch.is_empty()
    }

    /// Bytes of its records in memory.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.iter().chain(&self.batch).map(|item| item.record.len()).sum()
    }

    /// When the oldest was accepted that is not archived, as far as known.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let first = self.batch.first().or_else(|| self.waiting.front()).map(|item| item.body.time());
        first.or(self.behind_since)
    }

    /// The tables stand here, and the log is read from there.
    pub(super) fn begin_at(&mut self, mark: Mark, from: Offset) {
        self.stage = Stage::Reading;
        self.tries = 0;
        self.next = mark.next;
        self.claim = mark.claim;
        self.read_at = from;
        self.fence = Fence::new(self.log);
    }

    /// Takes a record that the log has accepted if it is the next one and there is room for it. Returns the bytes that it keeps.
    pub(super) fn accept(&mut self, record: Committed, is_room: bool) -> usize {
        let offset = record.offset;
        self.end = self.end.max(offset.next());
        if self.is_leaving || offset < self.next {
            return 0;
        }
        if self.stage == Stage::Following && offset == self.next && is_room {
            let bytes = record.record.len();
            self.put(Item::of_committed(record));
            return bytes;
        }
        self.fall_behind(record.body.time());
        0
    }

    /// Something was accepted below `end` that was not told.
    pub(super) fn note_missed(&mut self, end: Offset, now: Timestamp) {
        self.end = self.end.max(end);
        if self.next < self.end {
            self.fall_behind(now);
        }
    }

    fn fall_behind(&mut self, since: Timestamp) {
        self.behind_since.get_or_insert(since);
        if self.stage == Stage::Following {
            self.read_on();
        }
    }

    /// What comes behind the newest that is in memory is read from the log.
    fn read_on(&mut self) {
        self.stage = Stage::Reading;
        let newest = self.waiting.back().or_else(|| self.batch.last());
        match newest.and_then(|newest| Header::decode(&mut Reader(newest.record.clone())).ok()) {
            Some((header, _)) => {
                self.fence = Fence::at(self.log, self.claim, header.sequence + 1);
                self.read_at = self.next;
            }
            // Only from the claim on it is known what counts.
            None => {
                self.fence = Fence::new(self.log);
                self.read_at = self.claim.0.min(self.next);
            }
        }
    }

    /// Whether it fails for so long that others go on without it.
    pub(super) fn is_stuck(&self) -> bool {
        self.tries >= STUCK_TRIES
    }

    /// Lets go of what waits behind a batch that cannot be written: it is read from the log later. Returns the bytes that are free again.
    pub(super) fn let_go_of_waiting(&mut self) -> usize {
        let (Some(newest), Some(oldest)) = (self.batch.last(), self.waiting.front()) else {
            return 0;
        };
        let (mark, since) = (newest.mark(), oldest.body.time());
        (self.claim, self.next) = (mark.claim, mark.next);
        self.behind_since = Some(self.behind_since.map_or(since, |known| known.min(since)));
        self.is_urgent = false;
        let bytes = self.waiting.drain(..).map(|item| item.record.len()).sum();
        self.read_on();
        bytes
    }

    /// Lets go of all that is in memory, also of a batch that cannot be written: it is asked anew where the tables stand, and the log is read
    /// from there. Returns the bytes that are free again.
    pub(super) fn start_over(&mut self) -> usize {
        self.behind_since = self.oldest();
        let bytes = self.bytes();
        self.waiting.clear();
        self.batch.clear();
        self.is_urgent = false;
        self.numbers = Numbers::default();
        self.stage = Stage::Placing;
        bytes
    }

    /// Everything was read that the log had. Returns whether that is all that was accepted; an error if the log ends before
    /// what was archived.
    pub(super) fn catch_up(&mut self, partition: PartitionId) -> Result<bool, ArchiverError> {
        if self.read_at < self.next {
            return Err(ArchiverError::WentBack { partition, end: self.read_at, archived: self.next });
        }
        let is_all = self.read_at >= self.end;
        if is_all {
            self.behind_since = None;
            self.stage = Stage::Following;
        }
        Ok(is_all)
    }

    /// It stays here after all. What was accepted meanwhile, here or by another owner, was not taken.
    pub(super) fn stay(&mut self, now: Timestamp) {
        self.is_leaving = false;
        if self.stage == Stage::Following {
            self.fall_behind(now);
        }
    }

    /// Takes the next record that counts.
    pub(super) fn put(&mut self, item: Item) {
        if let Some(since) = &mut self.behind_since {
            *since = item.body.time().max(*since);
        }
        let mark = item.mark();
        (self.claim, self.next) = (mark.claim, mark.next);
        self.is_urgent |= !matches!(&*item.body, Body::Message(_));
        self.waiting.push_back(item);
    }

    /// Somebody waits until everything below is archived.
    pub(super) fn hurry_to(&mut self, next: Offset) {
        self.hurry_to = next.max(self.hurry_to);
    }

    /// Whether what waits may wait for more of its kind, so many at most. Nothing that is read from the log does.
    pub(super) fn may_wait(&self, many: usize) -> bool {
        let is_awaited = self.waiting.front().is_some_and(|first| first.offset < self.hurry_to);
        let is_hurried = self.is_urgent || self.is_leaving || is_awaited;
        self.stage == Stage::Following && !is_hurried && self.waiting.len() < many
    }

    /// Moves what is written next out of what waits. Returns whether there is anything.
    pub(super) fn begin_batch(&mut self, (records_max, bytes_max): (usize, usize)) -> bool {
        let mut bytes = 0;
        while self.batch.len() < records_max.max(1)
            && bytes < bytes_max
            && let Some(item) = self.waiting.pop_front()
        {
            bytes += item.record.len();
            self.batch.push(item);
        }
        self.is_urgent &= !self.waiting.is_empty();
        !self.batch.is_empty()
    }

    pub(super) fn know(&mut self, heads: Vec<(Subject, Head)>) {
        for (subject, head) in heads {
            self.numbers.know(subject, head);
        }
    }

    /// Numbers the batch and writes it; or loads first what is needed to number it.
    pub(super) fn number_or_load(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        let unknown = self.numbers.unknown(&self.batch);
        if unknown.is_empty() {
            self.numbers.count(&mut self.batch);
            self.step = Step::Writing;
            effects.push(Effect::Write(seat, Writes::of(&self.batch)));
        } else {
            self.step = Step::Loading;
            effects.push(Effect::Load(seat, unknown));
        }
    }

    /// The batch is written. Returns the bytes that are free again.
    pub(super) fn end_batch(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) -> usize {
        self.step = Step::Idle;
        self.tries = 0;
        let Some(next) = self.batch.last().map(|item| item.offset.next()) else {
            return 0;
        };
        effects.push(Effect::Archived(partition, next));
        let mut bytes = 0;
        for item in self.batch.drain(..) {
            bytes += item.record.len();
            if let Body::User(record) = &*item.body
                && let UserChange::Setting { .. } = record.change
            {
                effects.push(Effect::SettingsChanged(record.user.clone(), record.time));
            }
        }
        self.numbers.make_room(next);
        bytes
    }

    /// A store did not do what it was asked. Returns for how long to leave it alone.
    pub(super) fn pause(&mut self) -> u64 {
        self.step = Step::Pausing;
        self.tries += 1;
        (PAUSE_MIN_MS << self.tries.min(8)).min(PAUSE_MAX_MS)
    }

    /// Asks again for what failed.
    pub(super) fn try_again(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        if self.step != Step::Pausing {
            return;
        }
        self.step = Step::Idle;
        if self.stage == Stage::Placing {
            effects.push(Effect::Place(seat));
        } else if self.batch.iter().any(|item| item.number.is_some()) {
            // Their numbers are given: the same are written again.
            self.step = Step::Writing;
            effects.push(Effect::Write(seat, Writes::of(&self.batch)));
        } else if !self.batch.is_empty() {
            self.number_or_load(seat, effects);
        }
    }
}
