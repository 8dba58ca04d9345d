//! What a node is told about its terminals and need not know at once.
//!
//! An arrival that is not sent, or was sent and not taken when the stream broke, becomes a position: its terminals are told
//! that they are behind, and pull. The other hints are few and say something once; they are sent again until they are taken.
//! So a break or a slow node costs a pull, never a message that nobody was told of.

use std::collections::{BTreeMap, VecDeque};

use anser_cluster::Arrival;
use anser_runtime::Seldom;
use anser_types::{Position, UserKey};

use crate::wire::Frame;

/// Users that may wait to be told that they are behind. Beyond it a user hears of the next message only.
const BEHIND_MAX: usize = 131_072;
/// Other hints that may wait. The oldest makes room.
const WAITING_MAX: usize = 4_096;
/// Hints that may be sent and not taken.
const FLIGHT_MAX: usize = 65_536;

static UNTOLD: Seldom = Seldom::new();
static DROPPED: Seldom = Seldom::new();

#[derive(Debug, Default)]
pub(super) struct Hints {
    behind: BTreeMap<UserKey, Position>,
    waiting: VecDeque<Frame>,
    flight: VecDeque<(u64, Sent)>,
}

#[derive(Debug)]
enum Sent {
    Positions(Vec<(UserKey, Position)>),
    Frame(Frame),
}

/// Whom an arrival concerns that has a place in their timelines.
pub(super) fn positions_of(arrival: &Arrival) -> Vec<(UserKey, Position)> {
    let place = |to: &anser_cluster::Deliver| Some((UserKey::new(arrival.app.clone(), to.user.clone()), to.position?));
    arrival.to.iter().filter_map(place).collect()
}

impl Hints {
    pub(super) fn may_send(&self) -> bool {
        self.flight.len() < FLIGHT_MAX
    }

    /// Positions went out with the frame of this number.
    pub(super) fn sent_positions(&mut self, number: u64, positions: Vec<(UserKey, Position)>) {
        if !positions.is_empty() {
            self.flight.push_back((number, Sent::Positions(positions)));
        }
    }

    /// Terminals of these users are behind.
    pub(super) fn behind(&mut self, positions: Vec<(UserKey, Position)>) {
        for (user, position) in positions {
            if let Some(known) = self.behind.get_mut(&user) {
                *known = position.max(*known);
            } else if self.behind.len() < BEHIND_MAX {
                self.behind.insert(user, position);
            } else if let Some(unsaid) = UNTOLD.due() {
                tracing::warn!(%user, unsaid, "too many terminals are behind; one is not told");
            }
        }
    }

    pub(super) fn wait(&mut self, frame: Frame) {
        if self.waiting.len() >= WAITING_MAX {
            if let Some(unsaid) = DROPPED.due() {
                tracing::warn!(unsaid, "too many hints wait for a node; one is dropped");
            }
            self.waiting.pop_front();
        }
        self.waiting.push_back(frame);
    }

    /// The next hint that waits; it goes out with this number.
    pub(super) fn next(&mut self, number: u64) -> Option<Frame> {
        if let Some(frame) = self.waiting.pop_front() {
            self.flight.push_back((number, Sent::Frame(frame.clone())));
            return Some(frame);
        }
        let (user, head) = self.behind.pop_first()?;
        self.flight.push_back((number, Sent::Positions(vec![(user.clone(), head)])));
        Some(Frame::Moved { user, head })
    }

    /// The frames up to this number were taken.
    pub(super) fn taken(&mut self, frames: u64) {
        while self.flight.front().is_some_and(|(number, _)| *number <= frames) {
            self.flight.pop_front();
        }
    }

    /// What was sent and not taken waits again.
    pub(super) fn broken(&mut self) {
        let mut frames = Vec::new();
        for (_, sent) in std::mem::take(&mut self.flight) {
            match sent {
                Sent::Positions(positions) => self.behind(positions),
                Sent::Frame(Frame::Moved { user, head }) => self.behind(vec![(user, head)]),
                Sent::Frame(frame) => frames.push(frame),
            }
        }
        for frame in frames.into_iter().rev() {
            self.waiting.push_front(frame);
        }
        self.waiting.truncate(WAITING_MAX);
    }
}
