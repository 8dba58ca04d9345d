//! What users hide: held in memory until a flush has written it, and never read back but for a reader.

use std::collections::HashMap;
use std::sync::Arc;

use anser_backend::{Hidden, StoreError};
use anser_types::{MessageUid, Subject, Timestamp, UserKey};

use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::hide::{self, Hide};

/// What one user hides in one conversation.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct HideSet {
    pub(in crate::store) until: Timestamp,
    pub(in crate::store) messages: HashMap<MessageUid, Timestamp>,
}

/// What is not on disk yet.
pub(in crate::store) type HideSets = HashMap<(UserKey, Subject), HideSet>;

/// The newest hides of all users.
#[derive(Debug, Default)]
pub(super) struct Hides {
    current: HideSets,
    flushing: Arc<HideSets>,
}

impl HideSet {
    fn merge(&mut self, other: &Self) {
        self.until = self.until.max(other.until);
        self.messages.extend(other.messages.iter().map(|(uid, sent)| (*uid, *sent)));
    }

    /// As the port shows it: without what has expired or is covered anyway.
    fn shown(self, expired: Timestamp) -> Hidden {
        let alive = self.messages.into_iter().filter(|(_, sent)| *sent > self.until && *sent >= expired);
        Hidden { until: self.until, messages: alive.map(|(uid, _)| uid).collect() }
    }
}

impl Hides {
    /// A user hides single messages. Returns roughly what that adds to what is not on disk.
    pub(super) fn hide(&mut self, user: UserKey, subject: Subject, messages: Vec<(MessageUid, Timestamp)>) -> usize {
        let added = 64 * (messages.len() + 1);
        self.current.entry((user, subject)).or_default().messages.extend(messages);
        added
    }

    /// A user hides everything up to a time.
    pub(super) fn hide_until(&mut self, user: UserKey, subject: Subject, until: Timestamp) -> usize {
        let set = self.current.entry((user, subject)).or_default();
        set.until = set.until.max(until);
        64
    }

    /// What is not on disk of one user and conversation.
    pub(super) fn newest(&self, user: &UserKey, subject: &Subject) -> HideSet {
        let key = (user.clone(), subject.clone());
        let mut newest = self.flushing.get(&key).cloned().unwrap_or_default();
        if let Some(current) = self.current.get(&key) {
            newest.merge(current);
        }
        newest
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&mut self) -> Arc<HideSets> {
        self.flushing = Arc::new(std::mem::take(&mut self.current));
        Arc::clone(&self.flushing)
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&mut self) {
        self.flushing = Arc::default();
    }
}

/// Up to when the disk says that all is hidden: a later wish for an earlier time does not bring anything back.
pub(in crate::store) fn until_on_disk(disk: &Disk, user: &UserKey, subject: &Subject) -> Result<Timestamp, StoreError> {
    let prefix = hide::prefix(user, subject);
    let key = hide::key(&prefix, Hide::Until(Timestamp::ZERO));
    let Some(value) = disk.get(Table::Archives, &key)? else { return Ok(Timestamp::ZERO) };
    match hide::read(key.into(), prefix.len(), value).map_err(damaged("archives"))? {
        Hide::Until(until) => Ok(until),
        Hide::Single(..) => Ok(Timestamp::ZERO),
    }
}

/// Adds what is on disk. Blocks.
pub(super) fn read(
    disk: &Disk,
    user: &UserKey,
    subject: &Subject,
    newest: HideSet,
    expired: Timestamp,
) -> Result<Hidden, StoreError> {
    let mut all = newest;
    let prefix = hide::prefix(user, subject);
    for row in disk.prefix(Table::Archives, &prefix) {
        let row = row?;
        match hide::read(row.key, prefix.len(), row.value).map_err(damaged("archives"))? {
            Hide::Until(until) => all.until = all.until.max(until),
            Hide::Single(sent, uid) => {
                all.messages.insert(uid, sent);
            }
        }
    }
    Ok(all.shown(expired))
}
