//! Changes of rosters that lie in the log and that the directory may lack yet.
//!
//! The directory lags behind the log. Whoever takes a partition over reads the log from where the directory stands, keeps the
//! changes that it meets, and completes with them whatever it loads until the directory has them.

use std::collections::HashMap;

use anser_types::record::RosterRecord;
use anser_types::{Offset, Subject};

/// By conversation, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<Subject, Vec<(Offset, RosterRecord)>>);

impl Changes {
    /// Keeps a change. Those of one conversation come in order; one that is kept already changes nothing.
    pub(super) fn keep(&mut self, offset: Offset, roster: &RosterRecord) {
        let kept = self.0.entry(roster.subject.clone()).or_default();
        if kept.last().is_none_or(|(last, _)| *last < offset) {
            kept.push((offset, roster.clone()));
        }
    }

    /// The changes of a conversation.
    pub(super) fn of(&self, subject: &Subject) -> &[(Offset, RosterRecord)] {
        self.0.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Forgets what lies below an offset, but not of conversations that are needed whole.
    pub(super) fn forget(&mut self, below: Offset, is_needed: impl Fn(&Subject) -> bool) {
        if self.0.is_empty() {
            return;
        }
        self.0.retain(|subject, kept| {
            if !is_needed(subject) {
                kept.retain(|(offset, _)| *offset >= below);
            }
            !kept.is_empty()
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
