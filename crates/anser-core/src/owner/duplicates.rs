//! The window of accepted messages against which resends are recognised: hash → offset, bounded in time and entries.
//!
//! A hit says only that a message with the same hash was accepted; the owner reads that record to be sure.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use anser_types::{Offset, Timestamp};

/// Keys are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 << 8) | u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

#[derive(Debug)]
pub(super) struct Duplicates {
    window_ms: u64,
    entries_max: usize,
    accepted: Map<Offset>,
    /// In the order of acceptance, with the time.
    order: VecDeque<(u64, Timestamp)>,
    /// On the way into the log: as the how-manieth record it was decided.
    pending: Map<u64>,
}

impl Duplicates {
    pub(super) fn new(window_ms: u64, entries_max: usize) -> Self {
        Self { window_ms, entries_max, accepted: Map::default(), order: VecDeque::new(), pending: Map::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }

    pub(super) fn pending(&self, hash: u64) -> Option<u64> {
        self.pending.get(&hash).copied()
    }

    pub(super) fn find(&mut self, hash: u64, now: Timestamp) -> Option<Offset> {
        self.forget_old(now);
        self.accepted.get(&hash).copied()
    }

    pub(super) fn begin(&mut self, hash: u64, number: u64) {
        self.pending.insert(hash, number);
    }

    pub(super) fn accept(&mut self, hash: u64, offset: Offset, time: Timestamp) {
        self.pending.remove(&hash);
        self.accepted.insert(hash, offset);
        self.order.push_back((hash, time));
        self.forget_old(time);
    }

    /// What was on its way into the log did not get there.
    pub(super) fn abandon_pending(&mut self) {
        self.pending.clear();
    }

    /// A new claim: everything is read from the log again.
    pub(super) fn clear(&mut self) {
        self.accepted.clear();
        self.order.clear();
        self.pending.clear();
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some(&(hash, time)) = self.order.front() {
            if now.since(time) <= self.window_ms && self.order.len() <= self.entries_max {
                return;
            }
            self.order.pop_front();
            self.accepted.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_in_time_and_entries() {
        let mut window = Duplicates::new(100, 2);
        window.accept(1, Offset(10), Timestamp(0));
        assert_eq!(window.find(1, Timestamp(100)), Some(Offset(10)));
        assert_eq!(window.find(1, Timestamp(101)), None, "too old");
        for hash in 2..=4 {
            window.accept(hash, Offset(hash), Timestamp(200));
        }
        assert_eq!(window.find(2, Timestamp(200)), None, "too many");
        assert_eq!(window.find(3, Timestamp(200)), Some(Offset(3)));
    }
}
