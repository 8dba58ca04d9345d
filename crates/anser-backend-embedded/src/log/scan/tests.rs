//! What the scanner makes of whole, torn, damaged and forged segments.

use anser_types::{LogId, Timestamp};
use proptest::prelude::*;

use super::*;

const EVERY: u32 = 200;

fn head() -> SegmentHead {
    SegmentHead { log: LogId(0x5eed), number: 3, floor: Timestamp(1_000), start: vec![10, 0, 7] }
}

/// A segment under construction, and where its frames and commits begin.
struct Written {
    bytes: Vec<u8>,
    first: u32,
    next: Vec<u64>,
    frames: Vec<usize>,
    commits: Vec<usize>,
    time: u64,
}

impl Written {
    fn new() -> Self {
        let bytes = head().encode();
        let first = u32::try_from(bytes.len()).unwrap();
        Self { bytes, first, next: head().start, frames: Vec::new(), commits: Vec::new(), time: 1_000 }
    }

    fn commit(mut self, records: &[(u8, &[u8])]) -> Self {
        let start = self.bytes.len();
        self.commits.push(start);
        self.time += 5;
        for (partition, body) in records {
            let offset = self.next[usize::from(*partition)];
            self.next[usize::from(*partition)] += 1;
            self.frame(*partition, offset, self.time, start, body);
        }
        self
    }

    fn frame(&mut self, partition: u8, offset: u64, time: u64, commit_start: usize, body: &[u8]) {
        let position = self.bytes.len();
        let header = FrameHeader {
            partition: PartitionId(partition),
            offset: Offset(offset),
            time: Timestamp(time),
            body_len: u32::try_from(body.len()).unwrap(),
            body_crc: crc32c::crc32c(body),
            commit_start: u32::try_from(commit_start).unwrap(),
        };
        self.frames.push(position);
        self.bytes.extend_from_slice(&header.encode(salt(), u32::try_from(position).unwrap()));
        self.bytes.extend_from_slice(body);
    }

    fn scan(&self, tail: Tail) -> Result<Scan, Damage> {
        scan(&self.bytes, &head(), self.first, tail, EVERY)
    }

    /// The first byte of the frame that `at` lies in.
    fn frame_of(&self, at: usize) -> u32 {
        let frame = self.frames.iter().rev().find(|frame| **frame <= at).unwrap();
        u32::try_from(*frame).unwrap()
    }
}

fn salt() -> Salt {
    Salt::of(head().log, head().number)
}

fn three_commits() -> Written {
    Written::new().commit(&[(0, b"first"), (2, b"second")]).commit(&[(0, b""), (1, b"fourth")]).commit(&[
        (1, b"fifth"),
        (0, &[9; 90]),
        (2, b"seventh"),
    ])
}

#[test]
fn a_whole_segment_says_what_it_holds() {
    let written = three_commits();
    for tail in [Tail::MayBeTorn, Tail::IsWhole] {
        let found = written.scan(tail).unwrap();
        assert_eq!(found.index.end, [13, 2, 9]);
        assert_eq!(found.index.last_time, Timestamp(1_015));
        assert_eq!(usize::try_from(found.index.file_end).unwrap(), written.bytes.len());
        assert_eq!((usize::try_from(found.last_commit).unwrap(), found.torn), (written.commits[2], false));
    }
}

#[test]
fn zeros_behind_the_last_record_are_a_clean_end() {
    let mut written = three_commits();
    written.bytes.resize(20_000, 0);
    for tail in [Tail::MayBeTorn, Tail::IsWhole] {
        let found = written.scan(tail).unwrap();
        assert_eq!((found.index.end.as_slice(), found.torn), ([13, 2, 9].as_slice(), false));
    }
}

#[test]
fn a_last_commit_that_ends_anywhere_is_cut_behind_its_last_whole_record() {
    let whole = three_commits();
    for len in whole.commits[2]..whole.bytes.len() {
        for zeros in [0, 500] {
            let mut written = three_commits();
            written.bytes.truncate(len);
            written.bytes.resize(len + zeros, 0);
            let found = written.scan(Tail::MayBeTorn).unwrap();
            let end = whole.frames.iter().copied().filter(|frame| *frame <= len).max().unwrap();
            assert_eq!(usize::try_from(found.index.file_end).unwrap(), end, "cut to {len} bytes and {zeros} zeros");
        }
    }
}

#[test]
fn a_hole_in_the_last_commit_is_a_torn_write_even_with_whole_records_behind_it() {
    let mut written = three_commits();
    let hole = written.frames[5];
    written.bytes[hole..hole + 60].fill(0);
    let found = written.scan(Tail::MayBeTorn).unwrap();
    assert_eq!((usize::try_from(found.index.file_end).unwrap(), found.torn), (hole, true));

    let mut written = three_commits();
    let hole = written.commits[2];
    written.bytes[hole..hole + 20].fill(0);
    let found = written.scan(Tail::MayBeTorn).unwrap();
    assert_eq!((usize::try_from(found.index.file_end).unwrap(), found.torn), (hole, true));
}

#[test]
fn any_changed_byte_before_the_last_commit_is_refused_with_its_place() {
    let first = three_commits().commits[0];
    for at in first..three_commits().commits[2] {
        for change in [0x01, 0x80, 0xff] {
            let mut written = three_commits();
            written.bytes[at] ^= change;
            let damage = written.scan(Tail::MayBeTorn).unwrap_err();
            assert_eq!(damage, Damage { position: written.frame_of(at), fault: Fault::BeforeLater }, "byte {at}");
        }
    }
}

#[test]
fn bytes_that_went_missing_in_the_middle_are_refused() {
    let mut written = three_commits();
    let (from, to) = (written.commits[0], written.commits[2]);
    written.bytes[from..to].fill(0);
    let damage = written.scan(Tail::MayBeTorn).unwrap_err();
    assert_eq!(damage.fault, Fault::BeforeLater);
}

#[test]
fn nothing_in_a_whole_segment_may_be_damaged() {
    for at in three_commits().commits[0]..three_commits().bytes.len() {
        let mut written = three_commits();
        written.bytes[at] ^= 0x10;
        let damage = written.scan(Tail::IsWhole).unwrap_err();
        assert_eq!(damage, Damage { position: written.frame_of(at), fault: Fault::InWhole }, "byte {at}");
    }
}

#[test]
fn frames_that_do_not_fit_together_are_refused_wherever_they_are() {
    let cases: [(u8, u64, u64, usize, Fault); 5] = [
        (0, 14, 1_020, 0, Fault::Gap { partition: PartitionId(0), expected: Offset(13), found: Offset(14) }),
        (0, 12, 1_020, 0, Fault::Gap { partition: PartitionId(0), expected: Offset(13), found: Offset(12) }),
        (3, 0, 1_020, 0, Fault::Misfit),
        (0, 13, 1_014, 0, Fault::Misfit),
        (0, 13, 1_020, 1, Fault::Misfit),
    ];
    for (partition, offset, time, back, fault) in cases {
        let mut written = three_commits();
        let position = written.bytes.len();
        written.frame(partition, offset, time, position - back, b"odd");
        for tail in [Tail::MayBeTorn, Tail::IsWhole] {
            let damage = written.scan(tail).unwrap_err();
            assert_eq!(damage, Damage { position: u32::try_from(position).unwrap(), fault: fault.clone() });
        }
    }
}

#[test]
fn a_frame_inside_a_body_proves_nothing() {
    // A frame of a later commit, as its writer would have made it for another place, or for this place in another log.
    let elsewhere = three_commits();
    let frame = &elsewhere.bytes[elsewhere.commits[2]..];
    let mut written = Written::new().commit(&[(0, b"kept")]).commit(&[(1, frame), (2, b"more")]);
    let torn = written.commits[1];
    written.bytes[torn] ^= 1;
    let found = written.scan(Tail::MayBeTorn).unwrap();
    assert_eq!((usize::try_from(found.index.file_end).unwrap(), found.torn), (torn, true));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_hold_records(bytes: Vec<u8>) {
        let mut all = head().encode();
        let first = u32::try_from(all.len()).unwrap();
        all.extend_from_slice(&bytes);
        let found = scan(&all, &head(), first, Tail::MayBeTorn, EVERY).unwrap();
        prop_assert_eq!(found.index.end, head().start);
    }

    /// Of the last commit any sectors may be missing: what is kept is a first part of it, and all before it.
    #[test]
    fn any_part_of_the_last_commit_may_be_missing(
        bodies in proptest::collection::vec((0_u8..3, proptest::collection::vec(any::<u8>(), 0..80)), 1..12),
        missing in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let records: Vec<_> = bodies.iter().map(|(partition, body)| (*partition, body.as_slice())).collect();
        let mut written = Written::new().commit(&[(0, b"kept"), (1, b"kept too")]).commit(&records);
        let start = written.commits[1];
        for (sector, missing) in written.bytes[start..].chunks_mut(32).zip(missing) {
            if missing {
                sector.fill(0);
            }
        }
        let found = written.scan(Tail::MayBeTorn).unwrap();
        let end = usize::try_from(found.index.file_end).unwrap();
        prop_assert!(end >= start);
        prop_assert!(written.frames.contains(&end) || end == written.bytes.len());
    }
}
