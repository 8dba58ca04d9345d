//! Puts conversation lists together, from memory and from disk.

use std::collections::HashSet;

use anser_backend::{ListQuery, ListRow, StoreError};
use anser_types::{Conversation, Timestamp};

use super::user_box::UserBox;
use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::list_row::{self, ListState};

/// A list that needs the disk: the rows there that memory did not have.
#[derive(Debug)]
pub(super) struct DiskList {
    query: ListQuery,
    rows: Vec<ListRow>,
    known: HashSet<Conversation>,
}

/// Where a list comes from.
#[derive(Debug)]
pub(super) enum Plan {
    Done(Vec<ListRow>),
    Disk(DiskList),
}

/// Answers from memory, or says what to read.
pub(super) fn plan(user_box: &UserBox, query: ListQuery) -> Plan {
    let (states, are_all) = user_box.rows();
    let mut rows = Vec::new();
    let mut known = HashSet::new();
    for (conversation, state) in states {
        rows.extend(shown(&query, conversation, state));
        if !are_all {
            known.insert(conversation.clone());
        }
    }
    if are_all { Plan::Done(newest_first(rows, query.count)) } else { Plan::Disk(DiskList { query, rows, known }) }
}

fn shown(query: &ListQuery, conversation: &Conversation, state: &ListState) -> Option<ListRow> {
    let last = state.last.as_ref()?;
    let is_asked_for = query.kind.is_none_or(|kind| conversation.kind == kind)
        && (query.before == Timestamp::ZERO || last.sent < query.before);
    is_asked_for.then(|| ListRow {
        conversation: conversation.clone(),
        record: last.record.clone(),
        sent: last.sent,
        side: last.side,
        unread: state.unread.count(),
        read_until: state.unread.read_until(),
    })
}

/// Newest first; equal times in the order of the conversations.
fn newest_first(mut rows: Vec<ListRow>, count: usize) -> Vec<ListRow> {
    rows.sort_unstable_by(|a, b| b.sent.cmp(&a.sent).then_with(|| a.conversation.cmp(&b.conversation)));
    rows.truncate(count);
    rows
}

impl DiskList {
    /// Reads the list. Blocks.
    pub(super) fn read(mut self, disk: &Disk) -> Result<Vec<ListRow>, StoreError> {
        let prefix_len = list_row::prefix(&self.query.user).len();
        // The rows of a user may be many: what cannot be in the answer is dropped on the way.
        let most = self.query.count.saturating_mul(2).saturating_add(1024);
        for row in disk.prefix(Table::Users, &list_row::kind_prefix(&self.query.user, self.query.kind)) {
            let row = row?;
            let conversation = list_row::conversation(&row.key, prefix_len).map_err(damaged("users"))?;
            if self.known.contains(&conversation) {
                continue;
            }
            let state = list_row::read(row.value).map_err(damaged("users"))?;
            self.rows.extend(shown(&self.query, &conversation, &state));
            if self.rows.len() > most {
                self.rows = newest_first(self.rows, self.query.count);
            }
        }
        Ok(newest_first(self.rows, self.query.count))
    }
}
