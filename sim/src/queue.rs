//! What is going to happen, in order of time, and for equal times in the order in which it was planned.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct EventQueue<E> {
    events: BTreeMap<(u64, u64), E>,
    planned: u64,
}

impl<E> EventQueue<E> {
    pub(crate) const fn new() -> Self {
        Self { events: BTreeMap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: u64, event: E) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next event that is due.
    pub(crate) fn pop(&mut self, now: u64) -> Option<E> {
        let entry = self.events.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
