//! What is missing when everything has settled.

use crate::trace::Keep;

use super::roster::IsFor;
use super::table::{At, MessageRow, Msg, User};
use super::{Checker, Promise};

impl Checker {
    /// Judges what was accepted against what the terminals have been shown and what history holds.
    pub(super) fn judge_missing(&mut self) {
        let mut missing = Vec::new();
        for msg in 0..self.tables.messages.len() {
            let message = &self.tables.messages[msg];
            // What counts in the log is for everybody, whether or not its sender heard of it; and so is what anybody was shown.
            let Some(since) = message.acked.or(message.logged).or(message.seen) else {
                continue;
            };
            if message.keep == Keep::Nothing {
                continue;
            }
            let text = message.uid.map(|u| u.to_string()).unwrap_or_default();
            let is_nowhere = message.seen.is_none();
            if message.acked.is_some() && self.tables.has_log && message.logged.is_none() {
                missing.push((Promise::AckedIsDurable, vec![since], format!("{text} was acked and is not in the log")));
            }
            let gaps = self.gaps(msg);
            let promise =
                if is_nowhere && !self.tables.has_log { Promise::AckedIsDurable } else { Promise::NothingLost };
            missing.extend(gaps.into_iter().map(|(at, what)| (promise, vec![since, at], format!("{text} {what}"))));
        }
        for message in self.tables.messages.iter().filter(|m| m.keep != Keep::Nothing) {
            if let Some(seen) = message.seen.filter(|_| self.tables.has_log && message.logged.is_none()) {
                let what = format!(
                    "{} was shown and is not in the log",
                    message.uid.map(|u| u.to_string()).unwrap_or_default()
                );
                missing.push((Promise::AckedIsDurable, vec![seen], what));
            }
        }
        for (promise, events, what) in missing {
            self.blame(promise, &events, what);
        }
        self.judge_readers();
    }

    /// Where a message is missing.
    fn gaps(&self, msg: Msg) -> Vec<(At, String)> {
        let message = &self.tables.messages[msg];
        let mut gaps = Vec::new();
        for user in self.tables.audience(message) {
            if self.tables.is_for(message, user, self.next) == IsFor::Yes {
                self.gaps_of(msg, user, &mut gaps);
            }
        }
        // What the server API sends need not be copied to its sender.
        if message.attempts.iter().any(|a| a.connection.is_some()) {
            self.gaps_of(msg, message.sender, &mut gaps);
        }
        gaps
    }

    fn gaps_of(&self, msg: Msg, user: User, gaps: &mut Vec<(At, String)>) {
        let message = &self.tables.messages[msg];
        for (place, terminal) in self.tables.terminals.iter().enumerate() {
            let is_there = terminal.user == user && terminal.connection.is_some();
            if !is_there || terminal.shown.contains_key(&msg) || self.sent_by(message, place) {
                continue;
            }
            // A terminal that came with a cursor has what is older already, or does not want it.
            let is_older = message.attempts.first().is_some_and(|a| a.at < terminal.since);
            if terminal.cursor == 0 || !is_older {
                let what = format!("was never shown to terminal {} of {}", terminal.id.0, self.tables.name(user));
                gaps.push((terminal.since, what));
            }
        }
        if message.keep == Keep::History
            && self.tables.stays(message, user, self.next)
            && let Some(chain) = self.tables.chains.get(&(user, message.chat))
            && self.tables.quiet.is_some_and(|quiet| chain.at > quiet)
            && chain.complete
            && !chain.items.contains_key(&msg)
        {
            gaps.push((chain.at, format!("is missing in the history of {}", self.tables.name(user))));
        }
    }

    /// Whether a terminal tried to send the message itself.
    fn sent_by(&self, message: &MessageRow, terminal: usize) -> bool {
        message.attempts.iter().any(|a| self.tables.terminal_of(a.connection) == Some(terminal))
    }

    /// Nobody reads in history what is not for them, or what history does not keep.
    fn judge_readers(&mut self) {
        let mut wrong: Vec<(At, String)> = Vec::new();
        for (&(user, _), chain) in &self.tables.chains {
            for (&msg, &at) in &chain.items {
                let message = &self.tables.messages[msg];
                if message.sender != user && self.tables.is_for(message, user, self.next) == IsFor::No {
                    wrong.push((at, format!("{} read a message that is not for them", self.tables.name(user))));
                }
                if message.keep != Keep::History {
                    wrong.push((at, "history holds a message that it should not keep".to_owned()));
                }
            }
        }
        wrong.sort_unstable();
        for (at, what) in wrong {
            self.blame(Promise::OneWayIn, &[at], what);
        }
    }
}
