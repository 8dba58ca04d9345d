//! What terminals show.

use std::collections::HashSet;

use anser_types::MessageUid;

use crate::trace::{ClientConnection, Direction, Keep, Seen};

use super::roster::IsFor;
use super::table::{At, ChatKey, Msg, User};
use super::{Checker, Promise};

impl Checker {
    pub(super) fn on_shown(&mut self, at: At, connection: ClientConnection, seen: &Seen) {
        let Some(terminal) = self.tables.terminal_of(Some(connection)) else {
            return;
        };
        self.tables.shown += 1;
        let user = self.tables.terminals[terminal].user;
        let Some(msg) = self.recognise(at, user, seen) else {
            return;
        };
        self.tables.messages[msg].seen.get_or_insert(at);
        if self.tables.messages[msg].keep == Keep::Nothing {
            // It passes by: it has no place in any order, no ack, and after a crash nobody knows of it.
            self.tables.terminals[terminal].shown.insert(msg, at);
            return;
        }
        self.judge_once(at, terminal, msg);
        if let Some(row) = self.tables.connections.get_mut(&connection) {
            row.shown.raise(seen.sent, at);
        }
    }

    /// Which message was seen, after judging that it is what was sent.
    fn recognise(&mut self, at: At, user: User, seen: &Seen) -> Option<Msg> {
        let uid = seen.uid;
        let Some(&msg) = self.tables.by_body.get(&seen.body) else {
            self.blame(Promise::OneWayIn, &[at], format!("{uid} was shown, and nobody sent it"));
            return None;
        };
        let msg = self.name_message(at, msg, uid, seen.sent)?;
        let sender = self.tables.user(&seen.sender);
        let chat = self.tables.chat(user, &seen.conversation);
        let message = &self.tables.messages[msg];
        let invoked = message.attempts.first().map_or(at, |a| a.at);
        if message.sender != sender || message.chat != chat {
            self.blame(
                Promise::OneWayIn,
                &[invoked, at],
                format!("{uid} was shown with another sender or conversation"),
            );
        }
        let direction = if sender == user && !is_to_self(&self.tables.chats[chat].key) {
            Some(Direction::Sent)
        } else if sender != user {
            Some(Direction::Received)
        } else {
            None
        };
        if direction.is_some_and(|d| d != seen.direction) {
            self.blame(Promise::OneWayIn, &[at], format!("{uid} was shown with the wrong direction"));
        }
        Some(msg)
    }

    /// A client need not know what it sent itself on the same connection: it is to be left out for it.
    pub(super) fn on_withheld(&mut self, at: At, connection: ClientConnection, uid: MessageUid, body: u64) {
        let Some(&msg) = self.tables.by_body.get(&body) else {
            self.blame(Promise::OneWayIn, &[at], format!("{uid} was sent to a client, and nobody sent it"));
            return;
        };
        let message = &self.tables.messages[msg];
        let only = message.attempts.iter().all(|a| a.connection == Some(connection));
        if let Some(acked) = message.acked.filter(|_| only) {
            self.blame(
                Promise::NothingTwice,
                &[acked, at],
                format!("{uid} was sent back on the connection it came from"),
            );
        }
    }

    /// A terminal is shown each message once, each conversation in order, and never what it had an ack for.
    fn judge_once(&mut self, at: At, terminal: usize, msg: Msg) {
        let message = &self.tables.messages[msg];
        let (Some(uid), sent, chat) = (message.uid, message.sent, message.chat) else {
            return;
        };
        let acked_here = message.acked_to.contains(&terminal);
        let acked = message.acked;
        let placed = self.tables.placed.get(&(self.tables.terminals[terminal].user, uid)).copied();
        let row = &self.tables.terminals[terminal];
        let earlier = row.shown.get(&msg).copied();
        let had = u32::from(earlier.is_some()) + row.repeats.get(&msg).copied().unwrap_or(0) + u32::from(acked_here);
        // After the store has lost its newest writes, what it places anew is shown anew, once for each time; what was read of
        // the earlier place may still be on its way meanwhile.
        let is_anew = |earlier: At| match placed {
            Some((at, times)) => times > 1 && (earlier < at || had < times),
            None => self.tables.is_forgotten(earlier),
        };
        let id = row.id.0;
        let newest = row.newest.get(&chat).copied().unwrap_or_default();
        let wrong = if let Some(earlier) = earlier {
            Some((earlier, Promise::NothingTwice, format!("{uid} was shown twice to terminal {id}")))
        } else if acked_here {
            let acked = acked.unwrap_or(at);
            Some((acked, Promise::NothingTwice, format!("{uid} was shown to the terminal that had its ack")))
        } else if newest.value >= sent {
            Some((newest.at, Promise::OneOrder, format!("{uid} was shown after a newer one of its conversation")))
        } else {
            None
        };
        // Again, and not in another order: only what a terminal sent itself it may not have been shown before.
        let is_excusable = earlier.is_some() || acked_here || message.sender == row.user;
        match wrong {
            Some((before, ..)) if is_excusable && is_anew(before) => self.tables.anew += 1,
            Some((before, promise, what)) => self.blame(promise, &[before, at], what),
            None => {}
        }
        let row = &mut self.tables.terminals[terminal];
        if row.shown.insert(msg, at).is_some() {
            *row.repeats.entry(msg).or_default() += 1;
        }
        row.newest.entry(chat).or_default().raise(sent, at);
    }

    /// Nobody was shown what is not for them, and what was refused for good does not exist.
    pub(super) fn judge_audience(&mut self) {
        let end = self.next;
        let mut wrong = Vec::new();
        let mut known: HashSet<(User, Msg)> = HashSet::new();
        for terminal in &self.tables.terminals {
            for (&msg, &at) in &terminal.shown {
                let message = &self.tables.messages[msg];
                if message.sender == terminal.user || !known.insert((terminal.user, msg)) {
                    continue;
                }
                if self.tables.is_for(message, terminal.user, end) == IsFor::No {
                    wrong.push((at, terminal.user, msg));
                }
            }
        }
        wrong.sort_unstable();
        for (at, user, msg) in wrong {
            let what = format!("{} was shown a message that is not for them", self.tables.name(user));
            let sent = self.tables.messages[msg].attempts.first().map_or(at, |a| a.at);
            self.blame(Promise::OneWayIn, &[sent, at], what);
        }
        let refused: Vec<At> =
            self.tables.messages.iter().filter(|m| m.is_refused_for_good()).map(|m| m.named).collect();
        for at in refused {
            self.blame(Promise::ToldWhy, &[at], "a message that was refused for good exists");
        }
    }
}

impl super::table::MessageRow {
    fn is_refused_for_good(&self) -> bool {
        self.uid.is_some() && !self.attempts.is_empty() && self.refused == self.attempts.len()
    }
}

fn is_to_self(key: &ChatKey) -> bool {
    matches!(key, ChatKey::Private(one, other) if one == other)
}
