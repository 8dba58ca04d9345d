//! What the terminals of a process share: the phase they are in, and what became of each sender's messages.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::body::Mark;
use crate::check::Acked;
use crate::pacer::Sleeper;
use crate::recorder::Recorder;
use crate::stopwatch::Stopwatch;

/// Deliveries that a closed loop may be behind its acks, beside its window.
const BACKLOG: u64 = 1024;

/// What all terminals of a run do at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Connecting, and waiting for the others.
    Gathering,
    /// Sending.
    Sending,
    /// Nothing new is sent; what is on its way arrives.
    Settling,
    /// Everybody pulls once more.
    Checking,
    /// Everybody signs out.
    Ending,
}

/// What all terminals of a process share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) recorder: Recorder,
    pub(crate) watch: Stopwatch,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) bytes: usize,
    pub(crate) synced: AtomicU64,
    phase: AtomicU8,
    /// When sending began.
    start_us: AtomicU64,
    /// Why a connection failed, the last time that one did.
    pub(crate) last_error: Mutex<Option<String>>,
}

/// One sender and what became of its messages.
#[derive(Debug)]
pub(crate) struct Lane {
    /// How many receivers each message has.
    pub(crate) receivers: u64,
    pub(crate) acked: Mutex<Acked>,
    pub(crate) acked_count: AtomicU64,
    /// Handed to the session and not settled.
    pub(crate) outstanding: AtomicU64,
    /// First deliveries, over all receivers.
    delivered: AtomicU64,
    /// The sender waits for deliveries.
    pub(crate) waits: AtomicBool,
    sender: Arc<Sleeper>,
    /// How many receivers each message has reached, where the last one is measured: by number.
    reached: Option<Mutex<Vec<u32>>>,
}

impl Stage {
    pub(crate) fn new(lanes: Vec<Lane>, bytes: usize, watch: Stopwatch) -> Self {
        let phase = AtomicU8::new(Phase::Gathering as u8);
        let (synced, start_us) = (AtomicU64::new(0), AtomicU64::new(u64::MAX / 2));
        Self { recorder: Recorder::new(), watch, lanes, bytes, synced, phase, start_us, last_error: Mutex::new(None) }
    }

    /// Messages are due from now on.
    pub(crate) fn start_at(&self, start_us: u64) {
        self.start_us.store(start_us, Ordering::Release);
    }

    pub(crate) fn start_us(&self) -> u64 {
        self.start_us.load(Ordering::Acquire)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Gathering,
            1 => Phase::Sending,
            2 => Phase::Settling,
            3 => Phase::Checking,
            _ => Phase::Ending,
        }
    }

    /// Everybody has to be woken afterwards.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether every message is settled, and as many were delivered as were acked.
    pub(crate) fn is_settled(&self) -> bool {
        self.lanes.iter().all(|lane| {
            let acked = lane.acked_count.load(Ordering::Relaxed);
            lane.outstanding.load(Ordering::Relaxed) == 0
                && lane.delivered.load(Ordering::Relaxed) >= acked.saturating_mul(lane.receivers)
        })
    }

    pub(crate) fn delivered(&self, mark: &Mark, now_us: u64) {
        self.recorder.delivered(mark.due_us, now_us);
        let Some(lane) = usize::try_from(mark.sender).ok().and_then(|sender| self.lanes.get(sender)) else {
            return;
        };
        lane.delivered.fetch_add(1, Ordering::Relaxed);
        if lane.waits.swap(false, Ordering::Relaxed) {
            lane.sender.wake();
        }
        if let Some(reached) = &lane.reached
            && lane.note_reached(reached, mark.number)
        {
            self.recorder.delivered_to_all(mark.due_us, now_us);
        }
    }
}

impl Lane {
    pub(crate) fn new(sender: Arc<Sleeper>, receivers: u64, measures_last: bool) -> Self {
        Self {
            receivers,
            acked: Mutex::new(Acked::default()),
            acked_count: AtomicU64::new(0),
            outstanding: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            sender,
            reached: measures_last.then(|| Mutex::new(Vec::new())),
        }
    }

    /// One more receiver has it. Whether it was the last one.
    fn note_reached(&self, reached: &Mutex<Vec<u32>>, number: u64) -> bool {
        let (Ok(place), Ok(mut reached)) = (usize::try_from(number), reached.lock()) else {
            return false;
        };
        if place >= reached.len() {
            reached.resize(place + 1, 0);
        }
        let Some(count) = reached.get_mut(place) else {
            return false;
        };
        *count += 1;
        u64::from(*count) == self.receivers
    }

    /// Whether deliveries are so far behind that a closed loop waits for them.
    pub(crate) fn is_behind(&self, window: u64) -> bool {
        let acked = self.acked_count.load(Ordering::Relaxed).saturating_mul(self.receivers);
        let behind = acked.saturating_sub(self.delivered.load(Ordering::Relaxed));
        behind > (window + BACKLOG).saturating_mul(self.receivers)
    }
}
