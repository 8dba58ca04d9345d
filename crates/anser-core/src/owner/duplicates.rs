//! The window of accepted messages against which resends are recognised: hash → offset, bounded in time and entries.
//!
//! A hit says only that a message with the same hash was accepted; the owner reads that record to be sure. Time is what has
//! passed, not what a clock shows: a clock that is set ends no window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use anser_types::Offset;

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
struct Accepted {
    hash: u64,
    offset: Offset,
    at_ms: u64,
}

#[derive(Debug)]
pub(super) struct Duplicates {
    window_ms: u64,
    entries_max: usize,
    accepted: Map<Offset>,
    /// In the order of acceptance.
    order: VecDeque<Accepted>,
    /// On the way into the log, with the number of the record that was decided.
    pending: Map<u64>,
}

impl Duplicates {
    pub(super) fn new(window_ms: u64, entries_max: usize) -> Self {
        Self { window_ms, entries_max, accepted: Map::default(), order: VecDeque::new(), pending: Map::default() }
    }

    pub(super) fn pending(&self, hash: u64) -> Option<u64> {
        self.pending.get(&hash).copied()
    }

    pub(super) fn find(&mut self, hash: u64, now_ms: u64) -> Option<Offset> {
        self.forget_old(now_ms);
        self.accepted.get(&hash).copied()
    }

    pub(super) fn begin(&mut self, hash: u64, number: u64) {
        self.pending.insert(hash, number);
    }

    pub(super) fn accept(&mut self, hash: u64, offset: Offset, at_ms: u64) {
        self.pending.remove(&hash);
        self.accepted.insert(hash, offset);
        self.order.push_back(Accepted { hash, offset, at_ms });
        self.forget_old(at_ms);
    }

    /// Everything counts as accepted now.
    pub(super) fn begin_anew(&mut self, now_ms: u64) {
        self.order.iter_mut().for_each(|accepted| accepted.at_ms = now_ms);
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

    fn forget_old(&mut self, now_ms: u64) {
        while let Some(oldest) = self.order.front() {
            if now_ms.saturating_sub(oldest.at_ms) <= self.window_ms && self.order.len() <= self.entries_max {
                return;
            }
            // The same message may have been accepted again, after its window: then the newer one stays.
            if self.accepted.get(&oldest.hash) == Some(&oldest.offset) {
                self.accepted.remove(&oldest.hash);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_in_time_and_entries() {
        let mut window = Duplicates::new(100, 2);
        window.accept(1, Offset(10), 0);
        assert_eq!(window.find(1, 100), Some(Offset(10)));
        assert_eq!(window.find(1, 101), None, "too old");
        for hash in 2..=4 {
            window.accept(hash, Offset(hash), 200);
        }
        assert_eq!(window.find(2, 200), None, "too many");
        assert_eq!(window.find(3, 200), Some(Offset(3)));
    }

    #[test]
    fn forgetting_the_older_of_two_equal_messages_keeps_the_newer() {
        let mut window = Duplicates::new(100, 2);
        window.accept(1, Offset(10), 0);
        window.accept(1, Offset(11), 90);
        assert_eq!(window.find(1, 150), Some(Offset(11)));
        assert_eq!(window.find(1, 200), None);
    }
}
