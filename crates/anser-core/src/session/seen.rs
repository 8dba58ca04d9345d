//! Which messages were handed out already: the newest by UID, up to a bound.

use std::collections::BTreeSet;

use anser_types::MessageUid;

/// UIDs rise with the sent time, so that what goes first is the oldest message, whenever it came. When a whole timeline comes
/// again, oldest first, only what is older than everything remembered is new again: letting go of what came first would make
/// room for each old message by forgetting one that is yet to come.
#[derive(Debug)]
pub(super) struct Seen {
    newest: BTreeSet<MessageUid>,
    max: usize,
}

impl Seen {
    /// With a bound of zero every message is new.
    pub(super) const fn new(max: usize) -> Self {
        Self { newest: BTreeSet::new(), max }
    }

    pub(super) fn contains(&self, uid: MessageUid) -> bool {
        self.newest.contains(&uid)
    }

    /// Notes a message. Whether it is new.
    pub(super) fn insert(&mut self, uid: MessageUid) -> bool {
        let is_new = self.newest.insert(uid);
        if self.newest.len() > self.max {
            self.newest.pop_first();
        }
        is_new
    }
}
