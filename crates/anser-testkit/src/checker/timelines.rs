//! Cursors, notifies, pulls, and facts about timelines and the log.

use anser_types::{MessageUid, Status};

use crate::trace::{ClientConnection, Event, Name};

use super::table::{At, Known, MessageRow, Pull};
use super::{Checker, Promise};

impl Checker {
    pub(super) fn on_notified(&mut self, at: At, connection: ClientConnection, time: u64) {
        if let Some(row) = self.tables.connections.get_mut(&connection) {
            row.notified.raise(time, at);
        }
    }

    pub(super) fn on_pulling(&mut self, at: At, connection: ClientConnection, pull: u64, cursor: u64) {
        if let Some(row) = self.tables.connections.get_mut(&connection) {
            let notified = row.notified;
            row.pulls.insert(pull, Pull { at, cursor, notified, answered: false });
        }
    }

    pub(super) fn on_pulled(&mut self, at: At, connection: ClientConnection, pull: u64, synced: u64, finished: bool) {
        let Some(row) = self.tables.connections.get_mut(&connection) else {
            return;
        };
        let (user, before) = (self.tables.terminals[row.terminal].user, row.synced);
        row.synced.raise(synced, at);
        self.tables.users[user].held.raise(synced, at);
        let Some(asked) = row.pulls.get_mut(&pull) else {
            self.blame(Promise::ToldWhy, &[at], "an answer to a pull that nobody made");
            return;
        };
        asked.answered = true;
        let (asked_at, cursor, notified) = (asked.at, asked.cursor, asked.notified);
        if synced < cursor || synced < before.value {
            let events = [asked_at, before.at, at];
            self.blame(Promise::NoGap, &events, format!("the sync time {synced} goes back"));
        }
        if finished && synced < notified.value {
            let what = format!("a notify named {}, and a finished pull after it answers only {synced}", notified.value);
            self.blame(Promise::NoGap, &[notified.at, asked_at, at], what);
        }
    }

    pub(super) fn on_pull_refused(&mut self, at: At, connection: ClientConnection, pull: u64, status: Status) {
        if let Some(row) = self.tables.connections.get_mut(&connection)
            && let Some(asked) = row.pulls.get_mut(&pull)
        {
            asked.answered = true;
        }
        self.judge_status(at, status);
    }

    pub(super) fn on_held(&mut self, at: At, user: &Name, cursor: u64) {
        let user = self.tables.user(user);
        self.tables.users[user].held.raise(cursor, at);
    }

    pub(super) fn on_placed(&mut self, at: At, user: &Name, uid: MessageUid, position: u64) {
        let user = self.tables.user(user);
        let row = &self.tables.users[user];
        let (held, newest) = (row.held, row.position);
        // What was forgotten may be placed anew, above every cursor but not above every lost position.
        let newest_is_lost = self.tables.is_forgotten(newest.at);
        let earlier = self.tables.placed.get(&(user, uid)).copied();
        let again = earlier.map(|(at, _)| at).filter(|&at| !self.tables.is_forgotten(at));
        let disorder = position <= newest.value && !newest_is_lost;
        if let Some(earlier) = again {
            self.blame(Promise::NothingTwice, &[earlier, at], format!("{uid} went into a timeline twice"));
        }
        if position <= held.value {
            let what = format!("{uid} became visible at {position}, and a client may hold {}", held.value);
            self.blame(Promise::NoGap, &[held.at, at], what);
        }
        if disorder {
            self.blame(
                Promise::InOrder,
                &[newest.at, at],
                format!("position {position} is not above {}", newest.value),
            );
        }
        if position < uid.sent_time().0 {
            self.blame(Promise::InOrder, &[at], format!("position {position} is below the sent time"));
        }
        if disorder || position > newest.value || newest_is_lost {
            self.tables.users[user].position = Known { value: position, at };
        }
        self.tables.placed.insert((user, uid), (at, earlier.map_or(1, |(_, times)| times + 1)));
    }

    pub(super) fn on_logged(&mut self, at: At, event: &Event) {
        let Event::Logged { uid, sent, sender, conversation, recipients, keep, body, taken } = event else {
            return;
        };
        self.tables.has_log = true;
        let sender = self.tables.user(sender);
        let chat = self.tables.sent_chat(sender, conversation);
        let recipients = recipients.iter().map(|name| self.tables.user(name)).collect();
        let msg = match self.tables.by_body.get(body) {
            Some(&msg) => msg,
            None => {
                self.blame(Promise::OneWayIn, &[at], format!("{uid} is in the log, and nobody sent it"));
                self.add_message(MessageRow { sender, chat, keep: *keep, ..MessageRow::unnamed(*body) })
            }
        };
        let newest = self.tables.chats[chat].logged;
        if newest.value >= *sent {
            self.blame(Promise::OneOrder, &[newest.at, at], format!("{uid} is not above what is before it in the log"));
        }
        self.tables.chats[chat].logged.raise(*sent, at);
        let Some(msg) = self.name_message(at, msg, *uid, *sent) else {
            return;
        };
        if let Some(earlier) = self.tables.messages[msg].logged {
            self.blame(Promise::NothingTwice, &[earlier, at], format!("{uid} is in the log twice"));
        }
        let message = &mut self.tables.messages[msg];
        message.logged = Some(at);
        message.taken = *taken;
        message.recipients = Some(recipients);
        if message.chat != chat || message.sender != sender {
            self.blame(Promise::OneWayIn, &[at], format!("{uid} is in the log with another sender or conversation"));
        }
    }
}
