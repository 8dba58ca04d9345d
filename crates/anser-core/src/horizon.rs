//! The newest sent times that are on their way to users, or reached them just now.
//!
//! A hint of one node: with it an owner stamps a message above everything its readers have, so that each timeline can place
//! it at its sent time, and it can be shown directly. Nothing relies on it: a timeline places a message that comes too late
//! behind its newest entry.

use std::collections::HashMap;

use anser_types::{Timestamp, UserId, UserKey};

use crate::draft::Draft;

/// How many users are kept at least before those in the past are dropped.
const KEPT_MIN: usize = 4_096;

/// Per user the newest sent time, as far as this node knows.
#[derive(Debug)]
pub struct Horizon {
    users: HashMap<UserKey, Timestamp>,
    /// Above this many readers a message is not fitted to each of them.
    readers_max: usize,
    sweep_at: usize,
}

impl Horizon {
    /// Nothing is on its way yet. Messages are fitted to so many readers at most.
    pub fn new(readers_max: usize) -> Self {
        Self { users: HashMap::new(), readers_max, sweep_at: KEPT_MIN }
    }

    /// The newest sent time that the sender and the readers of a draft have or will have.
    pub fn newest(&self, draft: &Draft, readers: &[UserId]) -> Timestamp {
        readers_of(self.readers_max, draft, readers)
            .filter_map(|user| self.users.get(&UserKey::new(draft.app.clone(), user.clone())))
            .max()
            .copied()
            .unwrap_or_default()
    }

    /// A message to these readers was stamped.
    pub fn note(&mut self, draft: &Draft, readers: &[UserId], sent: Timestamp) {
        let Self { users, readers_max, .. } = self;
        for user in readers_of(*readers_max, draft, readers) {
            let newest = users.entry(UserKey::new(draft.app.clone(), user.clone())).or_default();
            *newest = sent.max(*newest);
        }
    }

    /// Forgets what is in the past: whatever is stamped later is stamped at `now` or above.
    pub fn forget(&mut self, now: Timestamp) {
        if self.users.len() >= self.sweep_at {
            self.users.retain(|_, newest| *newest >= now);
            self.sweep_at = KEPT_MIN.max(self.users.len() * 2);
        }
    }
}

fn readers_of<'a>(max: usize, draft: &'a Draft, readers: &'a [UserId]) -> impl Iterator<Item = &'a UserId> {
    let readers = if readers.len() <= max { readers } else { &[] };
    readers.iter().chain((draft.sender_copy && max > 0).then_some(&draft.sender))
}
