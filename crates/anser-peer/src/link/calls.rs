//! Questions to one node that are not answered yet.

use std::collections::HashMap;

use anser_cluster::Refusal;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::CallError;
use crate::wire::{Answer, Request};

/// How many may be open. More are refused.
pub(crate) const CALLS_MAX: usize = 8_192;
/// How many of them may be of those that wait where history or the directory is away: the rest of the room is for what needs neither.
pub(crate) const SLOW_CALLS_MAX: usize = CALLS_MAX / 4 * 3;

/// How a question is answered.
pub(super) type Answering = oneshot::Sender<Result<Result<Answer, Refusal>, CallError>>;

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) answer: Answering,
    /// The question, as long as there is no stream.
    pub(super) waits: Option<(Request, Instant)>,
    is_slow: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<u64, Open>,
    slow: usize,
    last: u64,
}

impl Calls {
    /// Keeps a question, and names it; `None` if there is no room.
    pub(super) fn add(&mut self, request: Request, deadline: Instant, answer: Answering) -> Option<u64> {
        let is_slow = request.needs_tables();
        if self.open.len() >= CALLS_MAX || (is_slow && self.slow >= SLOW_CALLS_MAX) {
            return None;
        }
        self.slow += usize::from(is_slow);
        self.last += 1;
        self.open.insert(self.last, Open { answer, waits: Some((request, deadline)), is_slow });
        Some(self.last)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.slow -= usize::from(open.is_slow);
        Some(open)
    }

    /// The question of one that was not sent yet; now it is.
    pub(super) fn take_waiting(&mut self, id: u64) -> Option<(Request, Instant)> {
        self.open.get_mut(&id)?.waits.take()
    }

    /// Those that were not sent yet, in order.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let mut waiting: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.waits.is_some()).map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        waiting
    }

    /// Gives all of them up; their names are not given again.
    pub(super) fn take_all(&mut self) -> Vec<Open> {
        self.slow = 0;
        std::mem::take(&mut self.open).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use anser_types::{AppKey, PartitionId, UserId, UserKey};

    use super::*;

    impl Calls {
        pub(in crate::link) fn len(&self) -> usize {
            self.open.len()
        }
    }

    #[test]
    fn slow_is_alone_what_waits_for_tables_leaves_room_to_what_needs_none() {
        let mut calls = Calls::default();
        let online = || Request::Online(UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap()));
        let mut add = |request| calls.add(request, Instant::now(), oneshot::channel().0);
        let slow: Vec<u64> = std::iter::from_fn(|| add(Request::Archived(PartitionId(0)))).collect();
        assert_eq!(slow.len(), SLOW_CALLS_MAX);
        let others = std::iter::from_fn(|| add(online())).count();
        assert_eq!(others, CALLS_MAX - SLOW_CALLS_MAX);
        calls.remove(slow[0]);
        calls.remove(slow[0]);
        assert!(calls.add(Request::Archived(PartitionId(0)), Instant::now(), oneshot::channel().0).is_some());
        assert!(calls.add(online(), Instant::now(), oneshot::channel().0).is_none(), "there is a bound for all");
        assert_eq!((calls.take_all().len(), calls.len()), (CALLS_MAX, 0));
    }
}
