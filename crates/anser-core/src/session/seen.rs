//! Which messages were handed out already: the newest, up to a bound.

use std::collections::{HashSet, VecDeque};

use anser_types::MessageUid;

#[derive(Debug)]
pub(super) struct Seen {
    set: HashSet<MessageUid>,
    order: VecDeque<MessageUid>,
    max: usize,
}

impl Seen {
    pub(super) fn new(max: usize) -> Self {
        Self { set: HashSet::new(), order: VecDeque::new(), max: max.max(1) }
    }

    pub(super) fn contains(&self, uid: MessageUid) -> bool {
        self.set.contains(&uid)
    }

    /// Notes a message. Whether it is new.
    pub(super) fn insert(&mut self, uid: MessageUid) -> bool {
        if !self.set.insert(uid) {
            return false;
        }
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        self.order.push_back(uid);
        true
    }
}
