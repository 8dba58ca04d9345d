//! The streams between nodes, as they come and go: each pair has one for each direction in which it was dialled.
//!
//! Ordered while they last. What is on its way when one breaks is gone, and each side hears of it later; what is to become of it
//! depends on its kind, as in `anser-peer`.

use std::collections::{BTreeMap, BTreeSet};

use anser_cluster::{Arrival, Claims, Forward, Forwarded, Publish, Settled};
use anser_types::{NodeId, PartitionId, Position, UserKey};

/// Who has dialled whom.
pub(crate) type Way = (NodeId, NodeId);

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Parcel {
    // To the one who was dialled.
    Publishes(Vec<Publish>),
    Forwards(Vec<Forward>),
    LetGo(Vec<PartitionId>),
    Arrival(Arrival),
    Moved(UserKey, Position),
    // Back.
    Settled(Vec<Settled>),
    Answers(Vec<(u64, Forwarded)>),
    Claims(Claims),
}

impl Parcel {
    const fn is_back(&self) -> bool {
        matches!(self, Self::Settled(_) | Self::Answers(_) | Self::Claims(_))
    }
}

/// Whether a stream carries anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It does.
    Up,
    /// It is broken, and its ends do not know.
    Broken,
    /// They know.
    Down,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    /// Counts the breaks: what was sent before one does not arrive after it.
    pub(crate) epoch: u64,
    /// When the newest parcel arrives, there and back.
    last: [u64; 2],
    /// Forwards up to this one were lost, the newest that left, and those that are there and not answered.
    lost_through: u64,
    newest_forward: u64,
    forwarded: BTreeSet<u64>,
    /// Whether it carries forwards that were lost or follow such: it should not.
    takes_stale: bool,
    /// Whose terminals are to be told that they are behind.
    behind: BTreeMap<UserKey, Position>,
}

impl Stream {
    /// It was dialled, and nobody has answered yet.
    pub(crate) const fn new(takes_stale: bool) -> Self {
        Self {
            state: State::Down,
            epoch: 0,
            last: [0; 2],
            lost_through: 0,
            newest_forward: 0,
            forwarded: BTreeSet::new(),
            takes_stale,
            behind: BTreeMap::new(),
        }
    }

    /// When something arrives that is sent now and takes so long.
    pub(crate) fn arrives(&mut self, parcel: &Parcel, now: u64, millis: u64) -> u64 {
        let last = &mut self.last[usize::from(parcel.is_back())];
        *last = (now + millis).max(*last);
        *last
    }

    /// Notes what leaves. Forwards that can only have left before a loss was heard of are dropped: they come again with the
    /// rest. `Some`: what really leaves.
    pub(crate) fn leave(&mut self, parcel: Parcel) -> Option<Parcel> {
        match parcel {
            Parcel::Forwards(mut forwards) => {
                self.newest_forward = forwards.last().map_or(self.newest_forward, |last| last.id);
                let (lost_through, takes_stale) = (self.lost_through, self.takes_stale);
                forwards.retain(|forward| takes_stale || forward.oldest > lost_through);
                (!forwards.is_empty()).then_some(Parcel::Forwards(forwards))
            }
            Parcel::Answers(mut answers) => {
                answers.retain(|(id, _)| self.forwarded.remove(id));
                (!answers.is_empty()).then_some(Parcel::Answers(answers))
            }
            other => Some(other),
        }
    }

    /// Whether a parcel arrives that was sent before so many breaks.
    pub(crate) fn takes(&self, parcel: &Parcel, epoch: u64) -> bool {
        let is_stale = self.epoch != epoch && !(self.takes_stale && matches!(parcel, Parcel::Forwards(_)));
        !is_stale && self.state == State::Up
    }

    /// What becomes of a parcel that does not arrive.
    pub(crate) fn undelivered(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Arrival(arrival) => {
                for to in arrival.to {
                    if let Some(position) = to.position {
                        self.note_behind(UserKey::new(arrival.app.clone(), to.user), position);
                    }
                }
            }
            Parcel::Moved(user, position) => self.note_behind(user, position),
            Parcel::Publishes(_) | Parcel::Forwards(_) | Parcel::LetGo(_) => {}
            Parcel::Settled(_) | Parcel::Answers(_) | Parcel::Claims(_) => {}
        }
    }

    fn note_behind(&mut self, user: UserKey, position: Position) {
        let known = self.behind.entry(user).or_default();
        *known = position.max(*known);
    }

    /// Forwards have arrived there.
    pub(crate) fn note_forwarded(&mut self, forwards: &[Forward]) {
        self.forwarded.extend(forwards.iter().map(|forward| forward.id));
    }

    pub(crate) fn cut(&mut self) {
        self.state = State::Broken;
        self.epoch += 1;
    }

    /// Its ends learn that it is broken. Whether forwards were lost.
    pub(crate) fn learn(&mut self) -> bool {
        self.state = State::Down;
        self.lose_forwards()
    }

    /// Whether there were any that were not known to be lost.
    pub(crate) fn lose_forwards(&mut self) -> bool {
        std::mem::replace(&mut self.lost_through, self.newest_forward) < self.newest_forward
    }

    /// It carries again.
    pub(crate) fn open(&mut self, now: u64) {
        self.state = State::Up;
        self.epoch += 1;
        self.last = [now; 2];
        self.forwarded.clear();
    }

    /// Who is to be told that they are behind, now that it carries.
    pub(crate) fn take_behind(&mut self) -> BTreeMap<UserKey, Position> {
        std::mem::take(&mut self.behind)
    }
}
