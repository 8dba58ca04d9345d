//! What waits for an answer on the current connection, by message id.
//!
//! Message ids are given out in turn, and all answers have the same time to come; so what waits is a queue in which a
//! message id is a place, and the front is overdue first.

use std::collections::VecDeque;

use anser_rmtp::frame::{Qos, Query, Target};
use anser_rmtp::{ClientFrame, QueryTopic};
use anser_types::{TargetId, Timestamp};
use bytes::Bytes;

use super::{Effect, Turn};

/// Unanswered requests of one connection; a bound on memory, far below the number of message ids.
const REQUESTS_MAX: usize = 16_384;
/// Message ids go from 1 to this.
const IDS: u32 = 65_535;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A message of the outbox, by its number there.
    Publish(u64),
    /// The inbox's pull.
    Pull,
    /// A caller's query, by its ticket.
    Query(u64),
    /// Nobody.
    Nothing,
}

#[derive(Debug)]
struct Request {
    waiting: Option<Waiting>,
    deadline: Timestamp,
}

#[derive(Debug)]
pub(super) struct Requests {
    /// The message id of the front of the queue; the next one to be given out if the queue is empty.
    first: u16,
    /// The front always waits; behind it there may be gaps where answers came.
    queue: VecDeque<Request>,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self { first: 1, queue: VecDeque::new() }
    }

    /// Forgets everything, and begins again at this message id. Returns what waited, in the order it was sent.
    pub(super) fn restart(&mut self, first: u16) -> Vec<Waiting> {
        self.first = first.max(1);
        self.queue.drain(..).filter_map(|request| request.waiting).collect()
    }

    /// Gives out a message id. `None` while too many requests wait.
    pub(super) fn open(&mut self, waiting: Waiting, deadline: Timestamp) -> Option<u16> {
        if self.queue.len() >= REQUESTS_MAX {
            return None;
        }
        let id = after(self.first, self.queue.len());
        self.queue.push_back(Request { waiting: Some(waiting), deadline });
        Some(id)
    }

    /// Takes what waited for this answer, if anything still does.
    pub(super) fn settle(&mut self, message_id: u16) -> Option<Waiting> {
        if message_id == 0 {
            return None;
        }
        let place = (u32::from(message_id) + IDS - u32::from(self.first)) % IDS;
        let waiting = self.queue.get_mut(usize::try_from(place).ok()?)?.waiting.take();
        self.close_gaps();
        waiting
    }

    /// Takes the next request that has waited too long.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Option<Waiting> {
        let waiting = self.queue.front_mut().filter(|front| front.deadline <= now)?.waiting.take();
        self.close_gaps();
        waiting
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.queue.front().map(|front| front.deadline)
    }

    fn close_gaps(&mut self) {
        while self.queue.front().is_some_and(|front| front.waiting.is_none()) {
            self.queue.pop_front();
            self.first = after(self.first, 1);
        }
    }
}

/// The message id `steps` after this one.
fn after(id: u16, steps: usize) -> u16 {
    let steps = u32::try_from(steps).unwrap_or(0) % IDS;
    u16::try_from((u32::from(id) - 1 + steps) % IDS + 1).unwrap_or(1)
}

/// Writes a query. Whether its answer is to be confirmed is the server's choice.
pub(super) fn write_query(message_id: u16, topic: QueryTopic, target: TargetId, body: Bytes, turn: &mut Turn<'_>) {
    let query = Query { qos: Qos::AtMostOnce, topic, target: Target::Id(target), message_id, body };
    turn.effects.push(Effect::Write(ClientFrame::Query(query)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Timestamp = Timestamp(100);

    #[test]
    fn an_answer_finds_its_request_whatever_the_order() {
        let mut requests = Requests::new();
        let ids: Vec<u16> = (0..5).map(|n| requests.open(Waiting::Publish(n), LATER).unwrap()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        assert_eq!(requests.settle(3), Some(Waiting::Publish(2)));
        assert_eq!(requests.settle(3), None);
        assert_eq!(requests.settle(1), Some(Waiting::Publish(0)));
        assert_eq!(requests.settle(2), Some(Waiting::Publish(1)));
        assert_eq!(requests.first, 4);
        assert_eq!(requests.settle(9), None);
        assert_eq!(requests.restart(1), [Waiting::Publish(3), Waiting::Publish(4)]);
    }

    #[test]
    fn message_ids_wrap_past_zero() {
        let mut requests = Requests::new();
        requests.restart(65_534);
        let ids: Vec<u16> = (0..3).map(|n| requests.open(Waiting::Publish(n), LATER).unwrap()).collect();
        assert_eq!(ids, [65_534, 65_535, 1]);
        assert_eq!(requests.settle(1), Some(Waiting::Publish(2)));
        assert_eq!(requests.settle(65_534), Some(Waiting::Publish(0)));
        assert_eq!(requests.settle(0), None);
        assert_eq!(requests.settle(65_535), Some(Waiting::Publish(1)));
        assert_eq!(requests.open(Waiting::Pull, LATER), Some(2));
    }

    #[test]
    fn what_waits_is_bounded_and_ends_at_its_deadline() {
        let mut requests = Requests::new();
        while requests.open(Waiting::Nothing, LATER).is_some() {}
        assert_eq!(requests.queue.len(), REQUESTS_MAX);
        assert_eq!(requests.overdue(Timestamp(99)), None);
        assert_eq!(requests.overdue(LATER), Some(Waiting::Nothing));
        assert!(requests.open(Waiting::Nothing, LATER).is_some());
    }
}
