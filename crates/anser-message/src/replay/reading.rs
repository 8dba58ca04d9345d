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

#[cfg(test)]
mod tests {
    use anser_types::record::{Body, Header};
    use anser_types::{Claim, PartitionId, Timestamp};

    use super::*;

    /// Reads up to the end of the round.
    fn read(reading: &mut Reading) {
        while reading.seen < reading.end {
            let offset = reading.seen;
            let header = Header { log: LogId(1), claim: Claim(Offset(0)), sequence: offset.0 };
            let body = Body::Claim { node: String::new(), time: Timestamp(1) };
            let bytes = body.encode(header);
            let record = Record::decode(bytes.clone()).unwrap();
            let entry = LogEntry { partition: PartitionId(0), offset, time: Timestamp(1), bytes };
            assert!(reading.applies(&entry, &record));
        }
    }

    /// How many rounds it takes while so much comes in for each record that is read.
    fn rounds(more: u64) -> u32 {
        let place = ReplayPlace { start: Offset(0), replay_from: Offset(0) };
        let mut committed = Offset(1_000);
        let mut reading = Reading::new(1, place, LogId(1), committed);
        for round in 1.. {
            let before = reading.seen;
            read(&mut reading);
            committed = committed.plus((reading.seen.0 - before.0) * more);
            match reading.end_round(committed) {
                Round::Open => panic!("it is read"),
                Round::Next { .. } => {}
                Round::Done => return round,
            }
        }
        unreachable!()
    }

    #[test]
    fn it_ends_however_much_comes_in() {
        assert_eq!(rounds(0), 1, "nobody says anything");
        assert_eq!(rounds(1), 2, "what comes in the second round is kept");
        assert_eq!(rounds(2), 2);
    }

    #[test]
    fn it_does_not_end_while_its_last_entry_waits() {
        let place = ReplayPlace { start: Offset(0), replay_from: Offset(0) };
        let mut reading = Reading::new(1, place, LogId(1), Offset(1));
        read(&mut reading);
        reading.is_waiting = true;
        assert!(matches!(reading.end_round(Offset(1)), Round::Open));
        reading.is_waiting = false;
        assert!(matches!(reading.end_round(Offset(1)), Round::Done));
    }

    #[test]
    fn rounds_become_shorter_before_anything_is_kept_but_there_are_only_so_many() {
        let place = ReplayPlace { start: Offset(0), replay_from: Offset(0) };
        let mut reading = Reading::new(1, place, LogId(1), Offset(10));
        let mut next_ends = |committed: u64| {
            reading.seen = reading.end;
            matches!(reading.end_round(Offset(committed)), Round::Next { is_last: true })
        };
        assert!(!next_ends(NEAR + 11));
        assert!(next_ends(2 * NEAR + 11), "no more than is near");
        let mut reading = Reading::new(1, place, LogId(1), Offset(10));
        let many = |reading: &mut Reading| {
            reading.seen = reading.end;
            let committed = reading.end.plus(NEAR + 1);
            reading.end_round(committed)
        };
        for _ in 1..ROUNDS_MAX {
            assert!(matches!(many(&mut reading), Round::Next { is_last: false }));
        }
        assert!(matches!(many(&mut reading), Round::Next { is_last: true }));
    }
}
