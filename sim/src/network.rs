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
    is_cut: bool,
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

impl Link {
    pub(crate) const fn new(rng: &mut Rng) -> Self {
        let way = Way { busy_until: 0, cut_at: u64::MAX };
        Self { up: way, down: way, latency_ms: rng.delay(20, 300, 100), is_cut: false }
    }

    /// When a frame arrives that is sent now.
    pub(crate) fn send(&mut self, direction: Direction, now: u64, rng: &mut Rng) -> u64 {
        let travel = self.latency_ms / 2 + rng.delay(3, 400, 10);
        let way = self.way(direction);
        way.busy_until = way.busy_until.max(now + travel);
        way.busy_until
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
