//! What a batch of writes comes down to. Pure.

use std::collections::BTreeMap;

use anser_backend::{Head, HistoryCell, HistoryRow, HistoryWrite};
use anser_types::{MessageUid, Offset, Timestamp};

use crate::format::{head, hides, message_row, recall};
use crate::table::RowWrite;

/// Writes by what they need.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Messages with the row keys of their heads, in log order.
    messages: Vec<(Offset, Vec<u8>, HistoryRow)>,
    /// The first of each message, by row key.
    pub(super) recalls: BTreeMap<Vec<u8>, HistoryCell>,
    hides: Vec<RowWrite>,
    hides_until: BTreeMap<Vec<u8>, Timestamp>,
}

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// Messages, what happened to them, and single hides. First.
    pub(super) rows: Vec<RowWrite>,
    /// Times up to which all is hidden, by row key.
    pub(super) hides_until: BTreeMap<Vec<u8>, Timestamp>,
    /// New heads by row key. After the messages.
    pub(super) heads: BTreeMap<Vec<u8>, Head>,
    /// The offset behind the last message.
    pub(super) heads_at: Offset,
}

impl Plan {
    pub(super) fn sort(writes: Vec<HistoryWrite>) -> Self {
        let mut plan = Self::default();
        for write in writes {
            match write {
                HistoryWrite::Row { offset, row } => plan.messages.push((offset, head::row(&row.subject), row)),
                HistoryWrite::Cell { subject, sent, uid, cell } => {
                    plan.recalls.entry(message_row::row(&subject, sent, uid)).or_insert(cell);
                }
                HistoryWrite::Hide { user, subject, messages } => plan.hide(hides::row(&user, &subject), &messages),
                HistoryWrite::HideUntil { user, subject, until } => {
                    let known = plan.hides_until.entry(hides::row(&user, &subject)).or_default();
                    *known = until.max(*known);
                }
            }
        }
        plan
    }

    fn hide(&mut self, row: Vec<u8>, messages: &[(MessageUid, Timestamp)]) {
        let cells = messages.iter().map(|(uid, sent)| (hides::single_column(*sent, *uid), Some(hides::write_single())));
        let cells: Vec<_> = cells.collect();
        if !cells.is_empty() {
            self.hides.push(RowWrite { row, cells });
        }
    }

    /// The heads that [`Self::finish`] must know.
    pub(super) fn head_rows(&self) -> Vec<Vec<u8>> {
        let mut rows: Vec<_> = self.messages.iter().map(|(_, row, _)| row.clone()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Leaves out what is archived already, by the offsets up to which conversations are, and recalls of messages that are recalled.
    pub(super) fn finish(self, mut archived: BTreeMap<Vec<u8>, Offset>, is_recalled: impl Fn(&[u8]) -> bool) -> Ready {
        let mut rows = self.hides;
        let mut heads = BTreeMap::new();
        let mut heads_at = Offset::START;
        for (offset, head, message) in self.messages {
            let next = archived.entry(head.clone()).or_default();
            if offset < *next {
                continue;
            }
            *next = offset.next();
            heads_at = heads_at.max(*next);
            heads.insert(head, Head { number: message.number, next: *next });
            let row = message_row::row(&message.subject, message.sent, message.uid);
            rows.push(RowWrite::put(row, message_row::COLUMN, message_row::write(&message)));
        }
        let recalls = self.recalls.into_iter().filter(|(row, _)| !is_recalled(row));
        rows.extend(recalls.map(|(row, cell)| RowWrite::put(row, recall::COLUMN, recall::write(&cell))));
        Ready { rows, hides_until: self.hides_until, heads, heads_at }
    }
}

#[cfg(test)]
mod tests {
    use anser_types::Subject;
    use bytes::Bytes;

    use super::*;
    use crate::format::tests::{bob, chat, uid};

    fn message(subject: Subject, offset: u64, number: u64) -> HistoryWrite {
        let sent = 100 + offset;
        let row =
            HistoryRow { subject, sent: Timestamp(sent), uid: uid(sent), number, record: Bytes::from_static(b"r") };
        HistoryWrite::Row { offset: Offset(offset), row }
    }

    fn heads(ready: &Ready) -> Vec<Head> {
        ready.heads.values().copied().collect()
    }

    #[test]
    fn a_head_counts_what_is_new_and_never_again() {
        let batch = || Plan::sort((5..8).map(|n| message(chat(), n, n - 4)).collect());
        let new = batch().finish(BTreeMap::new(), |_| false);
        assert_eq!((new.rows.len(), heads(&new)), (3, vec![Head { number: 3, next: Offset(8) }]));
        let archived = |next| BTreeMap::from([(head::row(&chat()), Offset(next))]);
        let some = batch().finish(archived(7), |_| false);
        assert_eq!((some.rows.len(), heads(&some), some.heads_at), (1, heads(&new), Offset(8)));
        let none = batch().finish(archived(8), |_| false);
        assert_eq!((none.rows, none.heads), (Vec::new(), BTreeMap::new()));
    }

    #[test]
    fn the_timestamp_of_heads_is_the_offset_behind_the_whole_batch() {
        let group = Subject::User(bob());
        let ready = Plan::sort(vec![message(chat(), 5, 1), message(group, 9, 4)]).finish(BTreeMap::new(), |_| false);
        assert_eq!((ready.heads.len(), ready.heads_at), (2, Offset(10)));
    }

    #[test]
    fn of_recalls_the_first_stays_and_of_hides_the_latest_time() {
        let recall = |by| HistoryWrite::Cell {
            subject: chat(),
            sent: Timestamp(5),
            uid: uid(5),
            cell: HistoryCell::Recalled { by: uid(by) },
        };
        let hide = |until| HistoryWrite::HideUntil { user: bob(), subject: chat(), until: Timestamp(until) };
        let writes = || Plan::sort(vec![recall(8), recall(9), hide(7), hide(3)]);
        let ready = writes().finish(BTreeMap::new(), |_| false);
        let row = message_row::row(&chat(), Timestamp(5), uid(5));
        let first = recall::write(&HistoryCell::Recalled { by: uid(8) });
        assert_eq!(ready.rows, [RowWrite::put(row, recall::COLUMN, first)]);
        assert_eq!(ready.hides_until.values().collect::<Vec<_>>(), [&Timestamp(7)]);
        assert!(writes().finish(BTreeMap::new(), |_| true).rows.is_empty());
    }
}
