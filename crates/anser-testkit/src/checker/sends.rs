//! Sent times against the order of sending, and against what the senders had seen.

use std::collections::{HashMap, HashSet};

use crate::trace::{ClientConnection, Keep};

use super::table::{At, Chat, Known, MessageRow, Msg};
use super::{Checker, Promise};

impl Checker {
    /// A body that came again within the window for resends is the same message. How long there was between two is best told
    /// by the log, whose times do not depend on the server's clock; else by their sent times.
    pub(super) fn judge_doubles(&mut self) {
        let mut twice = Vec::new();
        for same in self.tables.doubled.values() {
            let mut same: Vec<&MessageRow> = same.iter().map(|&msg| &self.tables.messages[msg]).collect();
            let is_timed = same.iter().all(|message| message.taken.is_some());
            let time_ms = |m: &MessageRow| if is_timed { m.taken.unwrap_or_default() / 1_000 } else { m.sent };
            same.sort_unstable_by_key(|message| time_ms(message));
            for pair in same.windows(2) {
                if time_ms(pair[1]) - time_ms(pair[0]) <= self.options.duplicate_window_ms
                    && let (Some(first), Some(second)) = (pair[0].uid, pair[1].uid)
                {
                    twice.push(([pair[0].named, pair[1].named], format!("{first} and {second} are one message")));
                }
            }
        }
        twice.sort_unstable();
        for (events, what) in twice {
            self.blame(Promise::NothingTwice, &events, what);
        }
    }

    /// Judges the sent times of all messages that have one.
    pub(super) fn judge_sends(&mut self) {
        self.judge_floors();
        self.judge_users();
        self.judge_lines();
    }

    /// A sent time is above what the sender had been shown and acked before it first sent the message.
    fn judge_floors(&mut self) {
        for msg in 0..self.tables.messages.len() {
            let message = &self.tables.messages[msg];
            let Some(first) = message.attempts.first().filter(|a| message.is_ordered() && a.connection.is_some())
            else {
                continue;
            };
            let (sent, invoked) = (message.sent, first.at);
            let (shown, acked) = (message.after_shown, message.after_acked);
            if shown.value >= sent {
                let what = format!("a message got the time {sent}, and its sender had been shown {}", shown.value);
                self.blame(Promise::Causal, &[shown.at, invoked], what);
            }
            if acked.value >= sent {
                let what = format!("a message got the time {sent}, and its sender had an ack for {}", acked.value);
                self.blame(Promise::InOrder, &[acked.at, invoked], what);
            }
        }
    }

    /// No two messages of a user have the same sent time.
    fn judge_users(&mut self) {
        let mut times: HashMap<(usize, u64), At> = HashMap::new();
        let mut twice = Vec::new();
        for message in &self.tables.messages {
            let queued = message.attempts.iter().any(|a| a.connection.is_some());
            if message.is_ordered() && queued {
                let place = (message.sender, message.sent);
                if let Some(earlier) = times.insert(place, message.named) {
                    twice.push([earlier, message.named]);
                }
            }
        }
        for events in twice {
            self.blame(Promise::InOrder, &events, "two messages of one user have one sent time");
        }
    }

    /// On one connection and in one conversation, sent times rise in the order of sending.
    fn judge_lines(&mut self) {
        let again = self.accepted_again();
        let mut lines: HashMap<(ClientConnection, Chat), Vec<Msg>> = HashMap::new();
        for (msg, message) in self.tables.messages.iter().enumerate() {
            if message.is_ordered()
                && !again.contains(&msg)
                && let Some(connection) = message.only_connection()
            {
                lines.entry((connection, message.chat)).or_default().push(msg);
            }
        }
        let mut wrong = Vec::new();
        for line in lines.into_values() {
            wrong.extend(self.disorders(&line));
        }
        wrong.sort_unstable();
        for events in wrong {
            self.blame(Promise::InOrder, &events, "what was sent later on a connection got the earlier time");
        }
    }

    /// What was accepted once more. Its time is that of the resend, which the client may know nothing of.
    fn accepted_again(&self) -> HashSet<Msg> {
        let mut again = HashSet::new();
        for same in self.tables.doubled.values() {
            let first = same.iter().copied().min_by_key(|&msg| self.tables.messages[msg].sent);
            again.extend(same.iter().copied().filter(|&msg| Some(msg) != first));
        }
        again
    }

    /// The pairs of messages of one line whose times do not follow their sending. A message comes before another if its
    /// last attempt was made before the other's first.
    fn disorders(&self, line: &[Msg]) -> Vec<[At; 2]> {
        let mut steps: Vec<(At, bool, Msg)> = Vec::with_capacity(line.len() * 2);
        for &msg in line {
            let attempts = &self.tables.messages[msg].attempts;
            if let (Some(first), Some(last)) = (attempts.first(), attempts.last()) {
                steps.push((first.at, false, msg));
                steps.push((last.at, true, msg));
            }
        }
        steps.sort_unstable();
        let mut newest = Known::default();
        let mut wrong = Vec::new();
        for (at, is_last, msg) in steps {
            let sent = self.tables.messages[msg].sent;
            if is_last {
                newest.raise(sent, at);
            } else if newest.value >= sent {
                wrong.push([newest.at, at]);
            }
        }
        wrong
    }
}

impl MessageRow {
    /// Whether its sent time is known and has to follow the order of sending.
    fn is_ordered(&self) -> bool {
        self.uid.is_some() && self.keep != Keep::Nothing
    }

    /// The connection of all its attempts, if there is one such.
    fn only_connection(&self) -> Option<ClientConnection> {
        let first = self.attempts.first()?.connection?;
        self.attempts.iter().all(|a| a.connection == Some(first)).then_some(first)
    }
}
