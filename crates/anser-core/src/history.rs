//! Folding raw history rows into what one user may see of a conversation.

use anser_backend::{Hidden, HistoryCell, StoredRow};
use anser_cluster::HistoryItem;
use anser_types::codec::DecodeError;
use anser_types::record::{Body, Record};
use anser_types::{Message, Timestamp, UserId};

/// Who reads, and what is not for them.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The user.
    pub user: UserId,
    /// Nothing sent before: the joining of a group.
    pub from: Timestamp,
    /// What the user has hidden.
    pub hidden: Hidden,
}

impl Reader {
    /// Nothing that was sent before is for the reader.
    pub fn first(&self) -> Timestamp {
        match self.hidden.until {
            Timestamp::ZERO => self.from,
            until => self.from.max(until.plus(1)),
        }
    }

    /// What the reader sees of a row; `None` if it was recalled, hidden, or is not for them.
    pub fn fold(&self, stored: StoredRow) -> Result<Option<HistoryItem>, DecodeError> {
        let StoredRow { row, cells } = stored;
        let recalled = cells.iter().any(|cell| matches!(cell, HistoryCell::Recalled { .. }));
        if recalled || self.hidden.messages.contains(&row.uid) || row.sent < self.first() {
            return Ok(None);
        }
        let Record { body: Body::Message(message), .. } = Record::decode(row.record)? else {
            return Ok(None);
        };
        Ok(self.may_see(&message).then(|| HistoryItem { message, number: row.number }))
    }

    fn may_see(&self, message: &Message) -> bool {
        let named = message.to_users();
        named.is_empty() || message.sender == self.user || named.contains(&self.user)
    }
}
