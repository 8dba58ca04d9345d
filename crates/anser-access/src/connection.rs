//! A signed-in connection, as everybody but its own task sees it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use anser_cluster::Newcomer;
use anser_rmtp::{Generation, Platform};
use anser_types::{ConnectionId, DeviceId, Timestamp, UserKey};

use crate::metrics::Transport;
use crate::outbox::Outbox;

/// No time.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) user: UserKey,
    pub(crate) transport: Transport,
    pub(crate) platform: Platform,
    pub(crate) device: Option<DeviceId>,
    /// When it signed in.
    pub(crate) entered: Timestamp,
    /// Whether its user has one terminal per platform.
    pub(crate) one_per_platform: bool,
    /// When the token was issued that signed it in.
    pub(crate) token_issued: Timestamp,
    pub(crate) generation: &'static Generation,
    /// For how many seconds it may be silent.
    pub(crate) silent_max: u64,
    pub(crate) outbox: Outbox,
    pub(crate) stamps: Stamps,
}

impl Connection {
    /// As terminals of other nodes see it that may have to give way.
    pub(crate) fn newcomer(&self) -> Newcomer {
        Newcomer {
            user: self.user.clone(),
            connection: self.id,
            time: self.entered,
            platform: self.platform.clone(),
            device: self.device.clone(),
            one_per_platform: self.one_per_platform,
        }
    }
}

/// What the sweeper looks at. Seconds are those of [`crate::sweeper::Seconds`].
#[derive(Debug)]
pub(crate) struct Stamps {
    /// When the client was last heard.
    heard: AtomicU32,
    /// Since when the client has taken nothing of what is written, plus one; zero while nothing waits.
    stalled: AtomicU32,
    /// Since when it is being closed, plus one; zero while it is open.
    closing: AtomicU32,
    /// When the terminal wants a tick, in milliseconds of the clock.
    tick_at: AtomicU64,
}

impl Stamps {
    pub(crate) fn new(now: u32) -> Self {
        Self {
            heard: AtomicU32::new(now),
            stalled: AtomicU32::new(0),
            closing: AtomicU32::new(0),
            tick_at: AtomicU64::new(NEVER),
        }
    }

    pub(crate) fn heard(&self, now: u32) {
        self.heard.store(now, Ordering::Relaxed);
    }

    /// Bytes wait, and some or none of them were taken now.
    pub(crate) fn waits(&self, now: u32, progress: bool) {
        if progress || self.stalled.load(Ordering::Relaxed) == 0 {
            self.stalled.store(now.saturating_add(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn sent(&self) {
        if self.stalled.load(Ordering::Relaxed) != 0 {
            self.stalled.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn closing(&self, now: u32) {
        self.closing.store(now.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn tick_at(&self, time: Option<Timestamp>) {
        self.tick_at.store(time.map_or(NEVER, |time| time.0), Ordering::Relaxed);
    }

    /// For how long the client has not been heard.
    pub(crate) fn silent_for(&self, now: u32) -> u32 {
        now.saturating_sub(self.heard.load(Ordering::Relaxed))
    }

    /// For how long the client has taken nothing; zero while nothing waits.
    pub(crate) fn stalled_for(&self, now: u32) -> u32 {
        since(&self.stalled, now)
    }

    /// Whether it is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) != 0
    }

    /// For how long it has been closing; zero while it is open.
    pub(crate) fn closing_for(&self, now: u32) -> u32 {
        since(&self.closing, now)
    }

    pub(crate) fn wants_tick(&self, now: Timestamp) -> bool {
        self.tick_at.load(Ordering::Relaxed) <= now.0
    }
}

fn since(stamp: &AtomicU32, now: u32) -> u32 {
    match stamp.load(Ordering::Relaxed) {
        0 => 0,
        begun => now.saturating_add(1).saturating_sub(begun),
    }
}
