//! The history checker: it reads the trace of a run and decides every promise that the trace lets it decide.
//!
//! It believes only what the trace says and knows nothing of how the server works. Three things make it strict or lenient:
//! * Facts from the server (`Placed`, `Held`, `Logged`, `StoreSaved`, `StoreForgot`) let it judge what clients cannot see.
//! * [`crate::trace::Event::Quiet`] lets it judge what is missing. Without it, only what happened is judged.
//! * What nobody outside can know is not judged: an attempt whose connection ended may or may not have been accepted, and
//!   a message that was sent while somebody was joining a group may or may not reach them.

mod calls;
mod ending;
mod pages;
mod report;
mod roster;
mod sends;
mod shows;
mod table;
#[cfg(test)]
mod tests;
mod timelines;

use anser_types::Status;

use crate::trace::{Event, Line};

pub use report::{Promise, Report, Violation};

use report::Violations;
use table::Tables;

/// How to judge.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a resend must be recognised, in milliseconds.
    pub duplicate_window_ms: u64,
    /// The statuses that are documented.
    pub documented: Vec<Status>,
    /// Violations that are kept in full per promise; all are counted.
    pub kept_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        let documented = vec![
            Status::BLACKLISTED,
            Status::UNAVAILABLE,
            Status::BAD_PARAMETER,
            Status::UNSUPPORTED,
            Status::SYSTEM_CONVERSATION,
            Status::TOO_LARGE,
            Status::TOO_FAST,
            Status::NOT_IN_GROUP,
            Status::MUTED_IN_GROUP,
            Status::NOT_IN_CHATROOM,
            Status::RECALL_PARAMETER,
            Status::STORAGE_UNAVAILABLE,
            Status::NOT_YOUR_MESSAGE,
        ];
        Self { duplicate_window_ms: 3600 * 1000, documented, kept_max: 20 }
    }
}

/// Judges one trace, event by event.
#[derive(Debug)]
pub struct Checker {
    options: Options,
    tables: Tables,
    violations: Violations,
    next: usize,
}

impl Checker {
    /// A checker for one trace.
    pub fn new(options: Options) -> Self {
        let violations = Violations::new(options.kept_max);
        Self { options, tables: Tables::default(), violations, next: 0 }
    }

    /// Judges a whole trace.
    pub fn check<'a>(options: Options, lines: impl IntoIterator<Item = &'a Line>) -> Report {
        let mut checker = Self::new(options);
        for line in lines {
            checker.observe(&line.event);
        }
        checker.finish()
    }

    /// Takes the next event.
    pub fn observe(&mut self, event: &Event) {
        let at = self.next;
        self.next += 1;
        match event {
            Event::Connected { connection, terminal, user, cursor } => {
                self.tables.connect(at, *connection, *terminal, user, *cursor);
            }
            Event::Disconnected { connection } => self.tables.disconnect(at, *connection),
            Event::Roster { group, users, step } => self.tables.change_roster(at, group, users, *step),
            Event::Invoked { .. } => self.on_invoked(at, event),
            Event::Acked { call, uid, sent } => self.on_acked(at, *call, *uid, *sent),
            Event::Refused { call, status } => self.on_refused(at, *call, Status(*status)),
            Event::GaveUp { call } => self.on_gave_up(*call),
            Event::Notified { connection, time } => self.on_notified(at, *connection, *time),
            Event::Pulling { connection, pull, cursor } => self.on_pulling(at, *connection, *pull, *cursor),
            Event::Pulled { connection, pull, synced, finished } => {
                self.on_pulled(at, *connection, *pull, *synced, *finished);
            }
            Event::PullRefused { connection, pull, status } => {
                self.on_pull_refused(at, *connection, *pull, Status(*status));
            }
            Event::Shown { connection, message, .. } => self.on_shown(at, *connection, message),
            Event::Withheld { connection, uid, body } => self.on_withheld(at, *connection, *uid, *body),
            Event::Paged { user, conversation, before, items, more } => {
                self.on_paged(at, user, conversation, *before, (items, *more));
            }
            Event::Placed { user, uid, position } => self.on_placed(at, user, *uid, *position),
            Event::Held { user, cursor } => self.on_held(at, user, *cursor),
            Event::Logged { .. } => self.on_logged(at, event),
            Event::StoreSaved => self.tables.saved = at,
            Event::StoreForgot => self.tables.forget(at),
            Event::Quiet => self.tables.quiet = Some(at),
        }
    }

    /// Judges what only the end can tell, and gives the verdict.
    pub fn finish(mut self) -> Report {
        self.judge_sends();
        self.judge_doubles();
        self.judge_audience();
        if self.tables.quiet.is_some() {
            self.judge_missing();
            self.judge_unanswered();
        }
        self.violations.report(self.next, &self.tables)
    }

    fn blame(&mut self, promise: Promise, events: &[usize], what: impl Into<String>) {
        self.violations.add(promise, events, what.into());
    }
}
