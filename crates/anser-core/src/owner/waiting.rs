//! Publishes that come while the partition is being taken over: they wait here for a moment, so that nobody has to ask again.

use std::collections::VecDeque;

use super::{Effect, HELD_BYTES_MAX, HELD_MAX, Owner, Turn};
use crate::clock::Moment;
use crate::draft::Draft;

/// How long something waits for the partition to be served. Whoever sent it may have turned to somebody else meanwhile.
const WAIT_MS_MAX: u64 = 1_000;

/// In the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Box<Draft>>,
    bytes: usize,
    /// When the first of them came.
    since_ms: u64,
    /// Whether there was no more room. What follows goes back as well for now: it would overtake what went back before.
    was_full: bool,
}

impl Waiting {
    fn take(&mut self) -> VecDeque<Box<Draft>> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }
}

impl Owner {
    /// Puts a publish aside until the partition is served; gives it back, and all that waits, if there is no more room.
    pub(super) fn wait_for_service(&mut self, draft: Box<Draft>, effects: &mut Vec<Effect>) {
        let waiting = &mut self.waiting;
        if waiting.was_full {
            effects.push(Effect::Return(draft));
            return;
        }
        if waiting.queue.is_empty() {
            waiting.since_ms = self.passed_ms;
        }
        waiting.bytes += draft.bytes();
        waiting.queue.push_back(draft);
        if waiting.queue.len() > HELD_MAX || waiting.bytes > HELD_BYTES_MAX {
            self.stop_waiting(effects);
            self.waiting.was_full = true;
        }
    }

    /// Gives back all that waits if the first of it has waited for too long.
    pub(crate) fn look_at_waiting(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.advance(now);
        self.waiting.was_full = false;
        if self.passed_ms.saturating_sub(self.waiting.since_ms) > WAIT_MS_MAX {
            self.stop_waiting(effects);
        }
    }

    /// Gives back all that waits.
    pub(crate) fn stop_waiting(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.waiting.take().into_iter().map(Effect::Return));
    }

    /// The partition is served: decides what has waited for that. To be called once after [`Owner::serve`].
    pub fn decide_waiting(&mut self, turn: &mut Turn<'_>) {
        self.look_at_waiting(turn.now, turn.effects);
        for draft in self.waiting.take() {
            self.publish(draft, turn);
        }
    }
}
