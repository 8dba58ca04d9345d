//! Segments of the log as a disk may hand them back: any bytes, and well-made segments with bytes changed or missing.
//!
//! Input: one byte that picks the form. Even: the bytes are a file. Odd: a script that writes a segment frame by frame (by the
//! published format, not by the code under test), changes bytes of it and cuts it.
//!
//! The log's id comes from the whole input, as a real one is drawn at random: whoever writes a body does not know it, and so
//! cannot put a frame of this log into it.
//!
//! What must hold beside "no panic": nothing is accepted but what was written, a change is never passed over in silence when a
//! later commit proves that it hit durable bytes, and what lies before a torn end is kept.

#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

use anser_backend_embedded::{SegmentReport, inspect_segment};
use libfuzzer_sys::fuzz_target;

const SEGMENT: u64 = 1;
const PARTITIONS: usize = 3;
const HEAD_LEN: usize = 40 + 8 * PARTITIONS;
const FRAME_HEAD_LEN: usize = 36;

struct Frame {
    position: usize,
    end: usize,
    commit_start: usize,
    partition: usize,
}

struct Script {
    log: u64,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    next: [u64; PARTITIONS],
}

impl Script {
    fn new(log: u64) -> Self {
        let mut bytes = b"ANSERSEG\x01\x00\x03\x00".to_vec();
        for number in [SEGMENT, log, 1000, 0, 0, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        Self { log, bytes, frames: Vec::new(), next: [0; PARTITIONS] }
    }

    fn frame(&mut self, partition: usize, body: &[u8], same_commit: bool) {
        let position = self.bytes.len();
        let commit_start = self.frames.last().filter(|_| same_commit).map_or(position, |frame| frame.commit_start);
        let mut head = vec![1, 0, partition as u8, 0];
        head.extend_from_slice(&(body.len() as u32).to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
        head.extend_from_slice(&self.next[partition].to_le_bytes());
        head.extend_from_slice(&1000_u64.to_le_bytes());
        head.extend_from_slice(&(commit_start as u32).to_le_bytes());
        let place = [&self.log.to_le_bytes()[..], &SEGMENT.to_le_bytes(), &(position as u32).to_le_bytes()].concat();
        self.bytes.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&place), &head).to_le_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(body);
        self.next[partition] += 1;
        self.frames.push(Frame { position, end: self.bytes.len(), commit_start, partition });
    }

    /// Runs the script; returns what was written and what a disk made of it.
    fn run(mut script: &[u8]) -> (Self, Vec<u8>) {
        let mut hasher = DefaultHasher::new();
        script.hash(&mut hasher);
        let mut written = Self::new(hasher.finish());
        let mut changes = Vec::new();
        let mut len = usize::MAX;
        while let [op, rest @ ..] = script {
            script = match (op % 8, rest) {
                (0..=4, [body_len, rest @ ..]) if written.frames.len() < 200 => {
                    let (body, rest) = rest.split_at((*body_len as usize).min(rest.len()));
                    written.frame(*op as usize % PARTITIONS, body, op & 0x80 != 0);
                    rest
                }
                (5 | 6, [low, high, change, rest @ ..]) => {
                    changes.push((u16::from_le_bytes([*low, *high]) as usize, *change));
                    rest
                }
                (7, [low, high, rest @ ..]) => {
                    len = u16::from_le_bytes([*low, *high]) as usize;
                    rest
                }
                _ => break,
            };
        }
        let mut found = written.bytes.clone();
        for (at, change) in changes {
            if let Some(byte) = found.get_mut(at) {
                *byte ^= change;
            }
        }
        found.truncate(len);
        (written, found)
    }

    /// Checks the verdict on what the disk made of the segment.
    fn check(&self, found: &[u8]) {
        let verdict = inspect_segment(found);
        let changed = self.bytes.iter().zip(found).position(|(a, b)| a != b).unwrap_or(found.len());
        if changed < HEAD_LEN {
            assert!(verdict.is_err(), "a changed header was accepted");
            return;
        }
        let whole: Vec<&Frame> = self.frames.iter().take_while(|frame| frame.end <= changed).collect();
        let bad = whole.last().map_or(HEAD_LEN, |frame| frame.end);
        let proof = self.frames.iter().filter(|frame| frame.commit_start > bad).any(|frame| {
            let head = frame.position..frame.position + FRAME_HEAD_LEN;
            found.get(head.clone()) == self.bytes.get(head)
        });
        match verdict {
            Ok(report) => {
                assert!(!proof, "durable records are missing, and nobody was told");
                assert_eq!(report.end_bytes as usize, bad, "another end than that of the whole records");
                self.check_counts(&report, &whole);
            }
            Err(error) => assert!(proof, "a torn end was refused: {error}"),
        }
    }

    fn check_counts(&self, report: &SegmentReport, whole: &[&Frame]) {
        for (partition, (_, start, end)) in report.partitions.iter().enumerate() {
            let count = whole.iter().filter(|frame| frame.partition == partition).count() as u64;
            assert_eq!((start.0, end.0), (0, count));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&form, bytes)) = data.split_first() else {
        return;
    };
    if form & 1 == 0 {
        if let Ok(report) = inspect_segment(bytes) {
            assert!(report.end_bytes as usize <= bytes.len());
        }
        return;
    }
    let (written, found) = Script::run(bytes);
    written.check(&found);
});
