//! Where a partition stands while it is replayed.

use std::collections::VecDeque;

use anser_backend::LogEntry;
use anser_core::owner::Fence;
use anser_types::record::Record;
use anser_types::{LogId, Offset};

use crate::takeover::ReplayPlace;

/// With so few records to go, what is committed from then on is kept until they are applied.
const NEAR: u64 = 4_096;
/// After so many rounds it is kept in any case: what comes in is faster than what is replayed, and has to wait.
const ROUNDS_MAX: u32 = 8;

/// How a round ended.
pub(super) enum Round {
    /// There is more to read before it does.
    Open,
    /// Another one has begun, as more was committed meanwhile; the last one if what comes from now on is to be kept.
    Next { is_last: bool },
    /// Everything that was committed is replayed.
    Done,
}

/// It is read in rounds: up to what was committed when the round began.
#[derive(Debug)]
pub(super) struct Reading {
    /// The attempt to own it to which this belongs.
    pub(super) epoch: u64,
    fence: Fence,
    replay_from: Offset,
    /// Behind the newest entry that the fence was asked about, and whether that one counts.
    seen: Offset,
    counts: bool,
    /// Where the round ends.
    end: Offset,
    rounds: u32,
    is_last: bool,
    /// What was read and is to be taken in.
    pub(super) entries: VecDeque<LogEntry>,
    /// Whether the first of them waits for its conversation.
    pub(super) is_waiting: bool,
}

impl Reading {
    pub(super) const fn new(epoch: u64, place: ReplayPlace, log: LogId, committed: Offset) -> Self {
        let ReplayPlace { start, replay_from } = place;
        Self {
            epoch,
            fence: Fence::new(log),
            replay_from,
            seen: start,
            counts: false,
            end: committed,
            rounds: 0,
            is_last: false,
            entries: VecDeque::new(),
            is_waiting: false,
        }
    }

    /// Where to read on.
    pub(super) fn at(&self) -> Offset {
        self.entries.back().map_or(self.seen, |newest| newest.offset.next())
    }

    /// Where the round ends.
    pub(super) const fn end(&self) -> Offset {
        self.end
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes.len()).sum()
    }

    /// The next entry of the round.
    pub(super) fn next(&mut self) -> Option<LogEntry> {
        self.entries.pop_front_if(|entry| entry.offset < self.end)
    }

    /// Whether an entry is to be applied. May be asked again about the same one.
    pub(super) fn applies(&mut self, entry: &LogEntry, record: &Record) -> bool {
        if entry.offset >= self.seen {
            self.seen = entry.offset.next();
            self.counts = self.fence.admits(entry.offset, record.header, &record.body);
        }
        self.counts && entry.offset >= self.replay_from
    }

    /// It cannot be applied before its conversation is loaded.
    pub(super) fn wait_with(&mut self, entry: LogEntry) {
        self.entries.push_front(entry);
        self.is_waiting = true;
    }

    /// Ends the round if it is through; `committed` is the end of what is committed now.
    pub(super) fn end_round(&mut self, committed: Offset) -> Round {
        if self.is_waiting || self.seen < self.end {
            return Round::Open;
        }
        if self.is_last || committed <= self.end {
            return Round::Done;
        }
        let to_go = committed.0.saturating_sub(self.end.0);
        (self.end, self.rounds) = (committed, self.rounds + 1);
        self.is_last = to_go <= NEAR || self.rounds >= ROUNDS_MAX;
        Round::Next { is_last: self.is_last }
    }
}
