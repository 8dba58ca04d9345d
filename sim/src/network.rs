//! The network between a client and the server: each direction keeps its order and has its delays; both can break, and the
//! two ends hear of that at different times.

use crate::rng::Rng;

/// One direction of a connection.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// When the last frame arrives.
    busy_until: u64,
    /// From then on nothing arrives.
    cut_at: u64,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    up: Way,
    down: Way,
    latency_ms: u64,
    /// How long the client may take to read a frame.
    slow_ms: u64,
    is_cut: bool,
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

impl Link {
    /// A new connection. One in a few has a client that takes up to `slow_ms` for each frame.
    pub(crate) const fn new(slow_ms: u64, rng: &mut Rng) -> Self {
        let way = Way { busy_until: 0, cut_at: u64::MAX };
        let latency_ms = rng.delay(20, 300, 100);
        let slow_ms = if slow_ms > 0 && rng.chance(300) { slow_ms } else { 0 };
        Self { up: way, down: way, latency_ms, slow_ms, is_cut: false }
    }

    /// When a frame arrives that is sent now.
    pub(crate) fn send(&mut self, direction: Direction, now: u64, rng: &mut Rng) -> u64 {
        let travel = self.latency_ms / 2 + rng.delay(3, 400, 10);
        let reading = match direction {
            Direction::ToClient if self.slow_ms > 0 => rng.between(0, self.slow_ms),
            _ => 0,
        };
        let way = self.way(direction);
        way.busy_until = way.busy_until.max(now + travel) + reading;
        way.busy_until
    }

    /// The client reads as fast as the line allows from now on.
    pub(crate) const fn hurry(&mut self) {
        self.slow_ms = 0;
    }

    /// Whether what arrives now does so before the cut.
    pub(crate) const fn carries(&self, direction: Direction, now: u64) -> bool {
        let way = match direction {
            Direction::ToServer => &self.up,
            Direction::ToClient => &self.down,
        };
        now < way.cut_at
    }

    /// Breaks both directions. What is on its way may still arrive. Returns false if it was broken before.
    pub(crate) fn cut(&mut self, now: u64, rng: &mut Rng) -> bool {
        if std::mem::replace(&mut self.is_cut, true) {
            return false;
        }
        self.up.cut_at = now + rng.between(0, self.latency_ms);
        self.down.cut_at = now + rng.between(0, self.latency_ms);
        true
    }

    const fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.up,
            Direction::ToClient => &mut self.down,
        }
    }
}
