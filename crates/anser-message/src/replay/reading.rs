//! Where a partition stands while it is replayed.

use std::collections::VecDeque;

use anser_backend::LogEntry;
use anser_core::owner::Fence;
use anser_types::record::Record;
use anser_types::{LogId, Offset};

use crate::takeover::ReplayPlace;

/// With so few records to go, what is committed from then on is kept until they are applied.
const NEAR: u64 = 256;
/// After so many rounds that did not become shorter nothing is taken in until the partition is replayed: more comes in than is replayed.
const ROUNDS_MAX: u32 = 4;

/// How a round ended.
pub(super) enum Round {
    /// There is more to read before it does.
    Open,
    /// Another one has begun, as more was committed meanwhile.
    Next,
    /// The last one has begun: what is committed from now on is to be kept.
    Last,
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
    /// Where the round begins and ends.
    begin: Offset,
    end: Offset,
    /// How many rounds did not become shorter.
    rounds: u32,
    is_last: bool,
    /// What was read and is to be taken in.
    pub(super) entries: VecDeque<LogEntry>,
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
            begin: start,
            end: committed,
            rounds: 0,
            is_last: false,
            entries: VecDeque::new(),
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

    /// Whether its last round has begun.
    pub(super) const fn is_last(&self) -> bool {
        self.is_last
    }

    /// Whether nothing is to be taken in until it is replayed.
    pub(super) const fn falls_behind(&self) -> bool {
        self.rounds >= ROUNDS_MAX && !self.is_last
    }

    /// Whether the next entry was looked at and had to wait for its conversation.
    pub(super) fn is_waiting(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.offset < self.seen)
    }

    /// Whether there is an entry of the round.
    pub(super) fn has_entry(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.offset < self.end)
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
    }

    /// Ends the round if it is through; `committed` is the end of what is committed now.
    pub(super) fn end_round(&mut self, committed: Offset) -> Round {
        if self.has_entry() || self.seen < self.end {
            return Round::Open;
        }
        if self.is_last || committed <= self.end {
            return Round::Done;
        }
        let (was, is) = (self.end.0.saturating_sub(self.begin.0), committed.0 - self.end.0);
        self.rounds += u32::from(is >= was);
        self.is_last = is <= NEAR;
        (self.begin, self.end) = (self.end, committed);
        if self.is_last { Round::Last } else { Round::Next }
    }
}

#[cfg(test)]
mod tests {
    use anser_types::record::{Body, Header};
    use anser_types::{Claim, PartitionId, Timestamp};

    use super::*;

    fn entry(offset: u64) -> (LogEntry, Record) {
        let header = Header { log: LogId(1), claim: Claim(Offset(0)), sequence: offset };
        let bytes = Body::Claim { node: String::new(), time: Timestamp(1) }.encode(header);
        let record = Record::decode(bytes.clone()).unwrap();
        (LogEntry { partition: PartitionId(0), offset: Offset(offset), time: Timestamp(1), bytes }, record)
    }

    /// Reads up to the end of the round.
    fn read(reading: &mut Reading) {
        while reading.seen < reading.end {
            let (entry, record) = entry(reading.seen.0);
            assert!(reading.applies(&entry, &record));
        }
    }

    fn reading(committed: u64) -> Reading {
        let place = ReplayPlace { start: Offset(0), replay_from: Offset(0) };
        Reading::new(1, place, LogId(1), Offset(committed))
    }

    #[test]
    fn it_ends_however_much_comes_in() {
        let mut one = reading(1_000);
        read(&mut one);
        assert!(matches!(one.end_round(Offset(1_000)), Round::Done), "nobody says anything");
        let mut one = reading(1_000);
        for committed in [1_600, 1_900] {
            read(&mut one);
            assert!(matches!(one.end_round(Offset(committed)), Round::Next), "nothing is kept with so much to go");
        }
        read(&mut one);
        assert!(matches!(one.end_round(Offset(2_000)), Round::Last));
        read(&mut one);
        assert!(matches!(one.end_round(Offset(9_000)), Round::Done), "what comes in the last round is kept");
    }

    #[test]
    fn it_does_not_end_while_its_last_entry_waits() {
        let mut one = reading(1);
        let (entry, record) = entry(0);
        one.entries.push_back(entry);
        for _ in 0..2 {
            let entry = one.next().unwrap();
            assert!(one.applies(&entry, &record));
            one.wait_with(entry);
            assert!(one.is_waiting());
            assert!(matches!(one.end_round(Offset(1)), Round::Open));
        }
        one.next().unwrap();
        assert!(matches!(one.end_round(Offset(1)), Round::Done));
    }

    #[test]
    fn what_falls_behind_is_to_take_nothing_in() {
        let mut one = reading(100_000);
        for to_go in [90_000, 80_000, 70_000, 60_000, 50_000, 40_000] {
            read(&mut one);
            assert!(matches!(one.end_round(one.end.plus(to_go)), Round::Next));
            assert!(!one.falls_behind(), "it comes nearer");
        }
        for round in 1..=ROUNDS_MAX {
            read(&mut one);
            assert!(matches!(one.end_round(one.end.plus(40_000)), Round::Next));
            assert_eq!(one.falls_behind(), round == ROUNDS_MAX);
        }
        read(&mut one);
        assert!(matches!(one.end_round(one.end.plus(1)), Round::Last));
        assert!(!one.falls_behind());
    }
}
