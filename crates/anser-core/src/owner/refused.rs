//! What was refused for good a moment ago.
//!
//! When the queue of a user moves to another node, copies of one publish may reach the owner on two ways. Accepted ones are known
//! by the log; a refused one is remembered here, so that a later copy is not accepted after its sender was told *never*, when
//! the sender has joined the group meanwhile. A client that sends again makes a new publish, which is decided anew.

use std::collections::{HashMap, VecDeque};

use anser_types::{ConnectionId, Origin, Status};

/// How long a copy may be on its way: a queue gives up after 20 s.
const KEPT_MS: u64 = 30_000;
/// Refusals that are remembered. The oldest makes room.
const KEPT_MAX: usize = 4_096;

type Key = (ConnectionId, u64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Refused {
    statuses: HashMap<Key, Status>,
    order: VecDeque<(u64, Key)>,
}

impl Refused {
    /// A publish was refused for good.
    pub(super) fn note(&mut self, origin: Origin, status: Status, passed_ms: u64) {
        if origin.connection == ConnectionId::NONE {
            return;
        }
        self.forget(passed_ms);
        let key = (origin.connection, origin.publish);
        if self.statuses.insert(key, status).is_none() {
            self.order.push_back((passed_ms, key));
        }
    }

    /// How a publish was refused, if it was.
    pub(super) fn find(&self, origin: Origin) -> Option<Status> {
        if self.statuses.is_empty() {
            return None;
        }
        self.statuses.get(&(origin.connection, origin.publish)).copied()
    }

    fn forget(&mut self, passed_ms: u64) {
        while let Some((since, key)) = self.order.front().copied() {
            if self.order.len() < KEPT_MAX && passed_ms.saturating_sub(since) < KEPT_MS {
                return;
            }
            self.order.pop_front();
            self.statuses.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn origin(publish: u64) -> Origin {
        Origin { connection: ConnectionId(7), publish, client_id: None }
    }

    #[test]
    fn told_why_a_copy_gets_the_same_answer_for_a_while() {
        let mut refused = Refused::default();
        refused.note(origin(1), Status::NOT_IN_GROUP, 0);
        assert_eq!(refused.find(origin(1)), Some(Status::NOT_IN_GROUP));
        assert_eq!(refused.find(origin(2)), None);
        refused.note(origin(3), Status::BLACKLISTED, KEPT_MS);
        assert_eq!(refused.find(origin(1)), None);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut refused = Refused::default();
        for publish in 0..2 * KEPT_MAX as u64 {
            refused.note(origin(publish), Status::BLACKLISTED, 0);
        }
        assert!(refused.statuses.len() <= KEPT_MAX && refused.order.len() <= KEPT_MAX);
    }
}
