//! Attempts to send and their outcomes.

use anser_types::{MessageUid, Status};

use crate::trace::{CallId, Event, Keep};

use super::table::{At, Attempt, CallRow, Known, MessageRow, Msg};
use super::{Checker, Promise};

impl Checker {
    pub(super) fn on_invoked(&mut self, at: At, event: &Event) {
        let Event::Invoked { call, user, connection, conversation, body, keep, to, .. } = event else {
            return;
        };
        let sender = self.tables.user(user);
        let chat = self.tables.sent_chat(sender, conversation);
        let attempt = Attempt { at, connection: *connection };
        let msg = match self.tables.by_body.get(body) {
            Some(&msg) => {
                self.tables.messages[msg].attempts.push(attempt);
                msg
            }
            None => {
                let after_shown = self.tables.shown_before(*connection, chat);
                let to = to.iter().map(|name| self.tables.user(name)).collect();
                let row = MessageRow {
                    sender,
                    chat,
                    keep: *keep,
                    to,
                    attempts: vec![attempt],
                    after_shown,
                    after_acked: self.tables.users[sender].acked,
                    ..MessageRow::unnamed(*body)
                };
                self.add_message(row)
            }
        };
        let row = CallRow { msg, at, connection: *connection, outcome: None, never: false, is_given_up: false };
        self.tables.calls.insert(*call, row);
    }

    pub(super) fn add_message(&mut self, row: MessageRow) -> Msg {
        let msg = self.tables.messages.len();
        self.tables.by_body.insert(row.body, msg);
        self.tables.messages.push(row);
        msg
    }

    /// Notes the outcome of an attempt; `None` if there is no such attempt.
    fn settle(&mut self, at: At, call: CallId) -> Option<&mut CallRow> {
        match self.tables.calls.get(&call).map(|row| row.outcome) {
            None => {
                self.blame(Promise::ToldWhy, &[at], "an outcome of an attempt that nobody made");
                return None;
            }
            Some(Some(earlier)) => self.blame(Promise::ToldWhy, &[earlier, at], "an attempt has two outcomes"),
            Some(None) => {}
        }
        let row = self.tables.calls.get_mut(&call)?;
        row.outcome.get_or_insert(at);
        Some(row)
    }

    pub(super) fn on_gave_up(&mut self, call: CallId) {
        if let Some(row) = self.tables.calls.get_mut(&call) {
            row.is_given_up = true;
        }
    }

    pub(super) fn on_acked(&mut self, at: At, call: CallId, uid: MessageUid, sent: u64) {
        let Some(row) = self.settle(at, call) else {
            return;
        };
        let (msg, connection, is_given_up) = (row.msg, row.connection, row.is_given_up);
        let Some(msg) = self.name_message(at, msg, uid, sent) else {
            return;
        };
        let terminal = self.tables.terminal_of(connection);
        let message = &mut self.tables.messages[msg];
        message.acked.get_or_insert(at);
        let sender = message.sender;
        let is_all_here = message.attempts.iter().all(|attempt| attempt.connection == connection);
        let tried_again = message.tried_again;
        if let Some(terminal) = terminal.filter(|_| !is_given_up) {
            message.acked_to.push(terminal);
            // A client that sent again may have been shown the message meanwhile: it came from a connection that is gone, or the client had
            // been told that it failed.
            if let Some(&shown) = self.tables.terminals[terminal].shown.get(&msg)
                && is_all_here
                && tried_again.is_none_or(|refused| refused > shown)
            {
                self.blame(
                    Promise::NothingTwice,
                    &[shown, at],
                    format!("{uid} was shown to its terminal before its ack"),
                );
            }
        }
        // What the server API sends in a user's name does not pass the user's queue.
        if connection.is_some() {
            self.tables.users[sender].acked.raise(sent, at);
        }
    }

    pub(super) fn on_refused(&mut self, at: At, call: CallId, status: Status) {
        let never = !status.is_retryable();
        let Some(row) = self.settle(at, call) else {
            return;
        };
        row.never = never;
        let msg = row.msg;
        let message = &mut self.tables.messages[msg];
        message.refused += usize::from(never);
        if !never {
            message.tried_again.get_or_insert(at);
        }
        self.judge_status(at, status);
    }

    pub(super) fn judge_status(&mut self, at: At, status: Status) {
        if !self.options.documented.contains(&status) {
            self.blame(Promise::ToldWhy, &[at], format!("status {} is not documented", status.0));
        }
    }

    /// Joins a message with its UID and sent time, and judges whether they fit to what is known. Returns the message that
    /// the UID stands for: another one, if the body came back after the duplicate window.
    pub(super) fn name_message(&mut self, at: At, msg: Msg, uid: MessageUid, sent: u64) -> Option<Msg> {
        if uid.sent_time().0 != sent {
            self.blame(Promise::UniqueIds, &[at], format!("{uid} does not hold its sent time {sent}"));
        }
        if let Some(&other) = self.tables.by_uid.get(&uid) {
            return self.judge_same(at, msg, other, uid, sent);
        }
        let msg = if self.tables.messages[msg].uid.is_none() { msg } else { self.second_message(msg) };
        self.tables.by_uid.insert(uid, msg);
        let message = &mut self.tables.messages[msg];
        (message.uid, message.sent, message.named) = (Some(uid), sent, at);
        Some(msg)
    }

    fn judge_same(&mut self, at: At, msg: Msg, other: Msg, uid: MessageUid, sent: u64) -> Option<Msg> {
        let (known, asked) = (&self.tables.messages[other], &self.tables.messages[msg]);
        let named = known.named;
        if known.body != asked.body {
            self.blame(Promise::UniqueIds, &[named, at], format!("{uid} names two messages"));
            return None;
        }
        if known.sent != sent {
            self.blame(Promise::UniqueIds, &[named, at], format!("{uid} has two sent times"));
        }
        Some(other)
    }

    /// The same body once more, as a message of its own. Of which of its attempts it is cannot be known: the later one may be
    /// seen first.
    fn second_message(&mut self, msg: Msg) -> Msg {
        let first = &self.tables.messages[msg];
        let row = MessageRow {
            sender: first.sender,
            chat: first.chat,
            keep: first.keep,
            to: first.to.clone(),
            attempts: first.attempts.clone(),
            ..MessageRow::unnamed(first.body)
        };
        let place = self.tables.messages.len();
        self.tables.messages.push(row);
        self.tables.doubled.entry(self.tables.messages[msg].body).or_insert_with(|| vec![msg]).push(place);
        place
    }

    /// Every attempt ends with an outcome, or with its connection.
    pub(super) fn judge_unanswered(&mut self) {
        let mut open: Vec<At> = Vec::new();
        for call in self.tables.calls.values() {
            let kept = self.tables.messages[call.msg].keep != Keep::Nothing;
            let connection = call.connection.and_then(|c| self.tables.connections.get(&c));
            if call.outcome.is_none() && kept && connection.is_some_and(|c| c.ended.is_none()) {
                open.push(call.at);
            }
        }
        open.sort_unstable();
        for at in open {
            self.blame(Promise::ToldWhy, &[at], "an attempt was never answered");
        }
        let pulls = self.tables.connections.values().filter(|c| c.ended.is_none()).flat_map(|c| c.pulls.values());
        let mut open: Vec<At> = pulls.filter(|p| !p.answered).map(|p| p.at).collect();
        open.sort_unstable();
        for at in open {
            self.blame(Promise::ToldWhy, &[at], "a pull was never answered");
        }
    }
}

impl MessageRow {
    /// A message of which only the body is known.
    pub(super) fn unnamed(body: u64) -> Self {
        Self {
            body,
            sender: 0,
            chat: 0,
            keep: Keep::History,
            to: Vec::new(),
            attempts: Vec::new(),
            after_shown: Known::default(),
            after_acked: Known::default(),
            uid: None,
            sent: 0,
            named: 0,
            acked: None,
            logged: None,
            taken: None,
            recipients: None,
            acked_to: Vec::new(),
            seen: None,
            refused: 0,
            tried_again: None,
        }
    }
}
