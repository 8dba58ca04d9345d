//! From a record that counts to what it changes in history and in the directory.
//!
//! Pure: the same record with the same running number gives the same writes, however often it is read.

use anser_backend::{DirectoryChange, HistoryCell, HistoryRow, HistoryWrite};
use anser_types::record::{Body, UserChange, UserRecord};
use anser_types::{Effect, Mark, Message, Offset, Subject};

use super::Item;

/// What records of one partition change, and how far a table has come that contains them.
#[derive(Debug, Default)]
pub struct Writes {
    /// For history.
    pub history: Vec<HistoryWrite>,
    /// For the directory.
    pub directory: Vec<(Offset, DirectoryChange)>,
    /// The mark to write behind them.
    pub mark: Mark,
}

impl Writes {
    /// What these records change, in the order of the log.
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut writes = Self::default();
        for item in items {
            writes.mark = item.mark();
            match &*item.body {
                Body::Claim { .. } => {}
                Body::Message(message) => writes.add_message(message, item),
                Body::Roster(roster) => {
                    writes.directory.push((item.offset, DirectoryChange::Roster(roster.clone())));
                }
                Body::User(user) => writes.add_user(user, item.offset),
            }
        }
        writes
    }

    fn add_message(&mut self, message: &Message, item: &Item) {
        if let Some(Effect::Recall { uid, sent }) = message.effect() {
            let cell = HistoryCell::Recalled { by: message.uid };
            self.history.push(HistoryWrite::Cell { subject: message.subject(), sent, uid, cell });
        }
        if let (Some(number), Some(subject)) = (item.number, &item.counted) {
            let row = HistoryRow {
                subject: subject.clone(),
                sent: message.sent,
                uid: message.uid,
                number,
                record: item.record.clone(),
            };
            self.history.push(HistoryWrite::Row { offset: item.offset, row });
        }
    }

    fn add_user(&mut self, record: &UserRecord, offset: Offset) {
        let user = record.user.clone();
        match &record.change {
            UserChange::RemoveConversation { .. } | UserChange::Read { .. } => {}
            UserChange::HideMessages { conversation, messages } => {
                let subject = Subject::of_conversation(&user, conversation);
                self.history.push(HistoryWrite::Hide { user, subject, messages: messages.clone() });
            }
            UserChange::HideUntil { conversation, until } => {
                let subject = Subject::of_conversation(&user, conversation);
                self.history.push(HistoryWrite::HideUntil { user, subject, until: *until });
            }
            UserChange::Profile { .. }
            | UserChange::Blocked { .. }
            | UserChange::Unblocked
            | UserChange::TokensVoid { .. }
            | UserChange::Setting { .. } => {
                self.directory.push((offset, DirectoryChange::User(record.clone())));
            }
        }
    }
}
