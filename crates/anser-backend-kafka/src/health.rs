//! How the log is doing, in numbers that may be read at any time.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use anser_runtime::Seldom;
use parking_lot::Mutex;

static COMPLAINTS: Seldom = Seldom::new();

/// How a [`KafkaLog`](crate::KafkaLog) is doing, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaHealth {
    /// What the client library or a broker complained of last, if anything. It may long be over.
    pub last_error: Option<String>,
    /// How many complaints there were since the start.
    pub errors: u64,
    /// How many bytes of appends wait or are under way.
    pub waiting_bytes: usize,
    /// How many appends ended with an unknown outcome since the start.
    pub unknown_appends: u64,
    /// How many producers were given up since the start.
    pub producers_given_up: u64,
    /// How many records that were known to be there all open readers together have not handed out yet.
    pub records_behind: u64,
}

/// The numbers themselves, shared by all parts of one log.
#[derive(Debug)]
pub(crate) struct Health {
    last_error: Mutex<Option<String>>,
    errors: AtomicU64,
    waiting_bytes: AtomicUsize,
    waiting_bytes_max: usize,
    unknown_appends: AtomicU64,
    producers_given_up: AtomicU64,
    records_behind: AtomicI64,
}

impl Health {
    pub(crate) const fn new(waiting_bytes_max: usize) -> Self {
        Self {
            last_error: Mutex::new(None),
            errors: AtomicU64::new(0),
            waiting_bytes: AtomicUsize::new(0),
            waiting_bytes_max,
            unknown_appends: AtomicU64::new(0),
            producers_given_up: AtomicU64::new(0),
            records_behind: AtomicI64::new(0),
        }
    }

    pub(crate) fn note_error(&self, what: String) {
        if let Some(unsaid) = COMPLAINTS.due() {
            tracing::warn!(error = what, unsaid, "kafka complains");
        }
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock() = Some(what);
    }

    pub(crate) fn note_unknown(&self, appends: u64) {
        self.unknown_appends.fetch_add(appends, Ordering::Relaxed);
    }

    pub(crate) fn note_given_up(&self) {
        self.producers_given_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_behind(&self, records: i64) {
        self.records_behind.fetch_add(records, Ordering::Relaxed);
    }

    /// Takes room for an append, if there is any. An append larger than all the room is let in when nothing else waits.
    pub(crate) fn take_room(&self, bytes: usize) -> bool {
        let fits = |waiting: usize| {
            let after = waiting.saturating_add(bytes);
            (waiting == 0 || after <= self.waiting_bytes_max).then_some(after)
        };
        self.waiting_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Gives room back.
    pub(crate) fn free_room(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> KafkaHealth {
        KafkaHealth {
            last_error: self.last_error.lock().clone(),
            errors: self.errors.load(Ordering::Relaxed),
            waiting_bytes: self.waiting_bytes.load(Ordering::Relaxed),
            unknown_appends: self.unknown_appends.load(Ordering::Relaxed),
            producers_given_up: self.producers_given_up.load(Ordering::Relaxed),
            records_behind: u64::try_from(self.records_behind.load(Ordering::Relaxed)).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_but_one_append_always_fits() {
        let health = Health::new(100);
        assert!(health.take_room(500));
        assert!(!health.take_room(1));
        health.free_room(500);
        assert!(health.take_room(60) && health.take_room(40) && !health.take_room(1));
        health.free_room(60);
        assert_eq!(health.snapshot().waiting_bytes, 40);
    }
}
