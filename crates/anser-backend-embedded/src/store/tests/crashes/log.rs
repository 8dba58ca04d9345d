//! A log that exists only as what its records do to the tables.

use anser_backend::{
    BucketBatch, Counted, HistoryCell, HistoryRow, HistoryWrite, Listed, MailboxRow, PartitionRows, RecalledEntry,
    Side, TimelineEntry,
};
use anser_types::{Claim, ConnectionId, ConversationType, MessageUid, Offset, PartitionId, Subject, Timestamp};
use bytes::Bytes;

use super::{PARTITIONS, Step, chat, user, with};

/// One record of the log, in the order of the log over all partitions, as what it does to the tables.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) partition: PartitionId,
    pub(super) offset: Offset,
    pub(super) rows: Vec<MailboxRow>,
    pub(super) writes: Vec<HistoryWrite>,
}

impl Record {
    /// What it does to the mailbox: a batch for each bucket.
    pub(super) fn batches(&self) -> Vec<BucketBatch> {
        let owner = |row: &MailboxRow| match row {
            MailboxRow::Entry(entry) => entry.user.bucket(),
            MailboxRow::Recall(recalled) => recalled.user.bucket(),
            MailboxRow::Read { user, .. } | MailboxRow::Remove { user, .. } => user.bucket(),
        };
        let mut batches: Vec<BucketBatch> = Vec::new();
        for row in &self.rows {
            let bucket = owner(row);
            let row = (self.offset, row.clone());
            match batches.iter_mut().find(|batch| batch.bucket == bucket) {
                Some(batch) => batch.parts[0].rows.push(row),
                None => {
                    let part = PartitionRows {
                        partition: self.partition,
                        claim: Claim(Offset(0)),
                        next: self.offset.next(),
                        rows: vec![row],
                    };
                    batches.push(BucketBatch { bucket, parts: vec![part] });
                }
            }
        }
        batches
    }
}

/// The log, and the numbers that an owner keeps.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) records: Vec<Record>,
    time: u64,
    number: u64,
}

impl Log {
    fn add(
        &mut self,
        subject: &Subject,
        rows: Vec<MailboxRow>,
        writes: impl FnOnce(Offset) -> Vec<HistoryWrite>,
    ) -> Record {
        let partition = subject.partition(anser_types::PartitionCount::new(u16::from(PARTITIONS)).unwrap());
        let offset = Offset(self.records.iter().filter(|record| record.partition == partition).count() as u64);
        let record = Record { partition, offset, rows, writes: writes(offset) };
        self.records.push(record.clone());
        record
    }

    /// The record that a step appends, if it appends one.
    pub(super) fn record_of(&mut self, step: &Step) -> Option<Record> {
        let uid = |sent| MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 1);
        Some(match *step {
            Step::Message { from, to, later, counted } => self.message(from, to, later, counted),
            Step::Read { user: by, peer, back } => {
                let until = Timestamp(self.time.saturating_sub(back));
                let row = MailboxRow::Read { user: user(by), conversation: with(peer), until };
                self.add(&Subject::User(user(by)), vec![row], |_| Vec::new())
            }
            Step::Remove { user: by, peer } => {
                let row = MailboxRow::Remove { user: user(by), conversation: with(peer) };
                self.add(&Subject::User(user(by)), vec![row], |_| Vec::new())
            }
            Step::Recall { from, to } => {
                let (subject, sent) = (chat(&user(from), to), self.time);
                let cell = HistoryCell::Recalled { by: uid(1) };
                let write =
                    HistoryWrite::Cell { subject: subject.clone(), sent: Timestamp(sent), uid: uid(sent), cell };
                self.time += 1;
                let by_sent = Timestamp(self.time);
                let row = |owner: usize, peer: usize| {
                    MailboxRow::Recall(RecalledEntry {
                        user: user(owner),
                        conversation: with(peer),
                        uid: uid(sent),
                        sent: Timestamp(sent),
                        by_sent,
                        by_side: Side::Inbox,
                        by_record: "recall".into(),
                    })
                };
                self.add(&subject, vec![row(from, to), row(to, from)], |_| vec![write])
            }
            Step::Hide { user: by, peer, back, all } => {
                let (user, sent) = (user(by), Timestamp(self.time.saturating_sub(back)));
                let subject = chat(&user, peer);
                let write = if all {
                    HistoryWrite::HideUntil { user: user.clone(), subject, until: sent }
                } else {
                    HistoryWrite::Hide { user: user.clone(), subject, messages: vec![(uid(sent.0), sent)] }
                };
                self.add(&Subject::User(user), Vec::new(), |_| vec![write])
            }
            Step::Lift { .. } | Step::Flush | Step::Crash { .. } | Step::Evict { .. } => {
                return None;
            }
        })
    }

    /// Sent times rise within a conversation, and may be behind those of others.
    fn message(&mut self, from: usize, to: usize, later: i64, counted: bool) -> Record {
        let subject = chat(&user(from), to);
        let last = self.records.iter().flat_map(|record| &record.writes).filter_map(|write| match write {
            HistoryWrite::Row { row, .. } if row.subject == subject => Some(row.sent.0),
            _ => None,
        });
        let last = last.max().unwrap_or(0);
        let sent = self.time.saturating_add_signed(later).max(last + 1).max(1000);
        self.time = self.time.max(sent);
        self.number += 1;
        let uid = MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 1);
        let bytes = Bytes::from(format!("message {}", self.number));
        let sides = [(to, from, Side::Inbox), (from, to, Side::Outbox(ConnectionId(3)))];
        let rows = sides.iter().take(if from == to { 1 } else { 2 }).map(|(owner, peer, side)| {
            let counted = if counted { Counted::Yes } else { Counted::No };
            let listed = Some(Listed { conversation: with(*peer), counted });
            let entry = TimelineEntry {
                user: user(*owner),
                sent: Timestamp(sent),
                uid,
                side: *side,
                record: bytes.clone(),
                listed,
            };
            MailboxRow::Entry(entry)
        });
        let rows = rows.collect();
        let row =
            HistoryRow { subject: subject.clone(), sent: Timestamp(sent), uid, number: self.number, record: bytes };
        self.add(&subject, rows, |offset| vec![HistoryWrite::Row { offset, row }])
    }
}
