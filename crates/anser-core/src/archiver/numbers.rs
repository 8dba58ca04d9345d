//! The running numbers of conversations: counted in the order of the log, from where history stands.

use std::collections::HashMap;

use anser_backend::Head;
use anser_types::{Offset, Subject};

use super::Item;

/// Conversations of one partition whose heads are kept when nothing happens in them.
const KEPT_MAX: usize = 4_096;

/// The heads of conversations, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    heads: HashMap<Subject, Head>,
    /// With how many heads to look for old ones again.
    make_room_at: usize,
}

impl Numbers {
    /// The conversations of these records whose heads have to be loaded first, each once, in the order of the log.
    pub(super) fn unknown<'a>(&self, items: impl IntoIterator<Item = &'a Item>) -> Vec<Subject> {
        let mut unknown: Vec<Subject> = Vec::new();
        for item in items {
            if let Some(subject) = item.counted.as_ref().filter(|subject| !self.heads.contains_key(subject)) {
                unknown.push(subject.clone());
            }
        }
        if unknown.len() > 1 {
            unknown.sort_unstable();
            unknown.dedup();
        }
        unknown
    }

    /// Where history stands in a conversation.
    pub(super) fn know(&mut self, subject: Subject, head: Head) {
        self.heads.insert(subject, head);
    }

    /// Gives the records their numbers. What history has counted already gets none: it is there.
    pub(super) fn count<'a>(&mut self, items: impl IntoIterator<Item = &'a mut Item>) {
        for item in items {
            let Some(head) = item.counted.as_ref().and_then(|subject| self.heads.get_mut(subject)) else {
                continue;
            };
            if item.offset >= head.next {
                *head = Head { number: head.number + 1, next: item.offset.next() };
                item.number = Some(head.number);
            }
        }
    }

    /// Lets heads go that are not needed: history has them, down to what nobody counts from any more.
    pub(super) fn make_room(&mut self, archived: Offset) {
        if self.heads.len() < self.make_room_at.max(KEPT_MAX) {
            return;
        }
        // The newest half of what was written stays: who writes writes again.
        let mut nexts: Vec<Offset> = self.heads.values().map(|head| head.next).collect();
        nexts.sort_unstable();
        let middle = nexts.get(nexts.len() / 2).copied().unwrap_or_default().min(archived);
        self.heads.retain(|_, head| head.next > middle);
        self.make_room_at = self.heads.len() * 2;
    }
}
