//! From a record that counts to the rows of the mailbox.
//!
//! Pure: the same record gives the same rows, however often it is read. What makes each effect happen once is the mark that
//! the mailbox writes with its rows. Promise kept here: **nothing-lost** (every recipient and the sender get the message).

use std::collections::BTreeMap;

use anser_backend::{
    BucketBatch, Counted, Listed, MailboxRow, PartitionRows, Placed, RecalledEntry, Side, TimelineEntry,
};
use anser_cluster::Deliver;
use anser_types::record::{Body, UserChange, UserRecord};
use anser_types::{
    BucketId, Claim, Conversation, ConversationType, Effect, Mark, Message, MessageFlags, MessageUid, Offset,
    PartitionId, Timestamp, UserId, UserKey,
};

use crate::owner::Committed;

/// What committed records, in the order of the log, change in the mailbox.
#[derive(Debug, Default)]
pub struct Derived {
    mailbox: BTreeMap<BucketId, Vec<PartitionRows>>,
    claims: BTreeMap<PartitionId, Claim>,
    marks: BTreeMap<PartitionId, Mark>,
}

impl Derived {
    /// Adds what a record changes.
    pub fn add(&mut self, committed: &Committed) {
        self.claims.insert(committed.partition, committed.claim);
        self.marks.insert(committed.partition, committed.mark());
        match &*committed.body {
            Body::Claim { .. } | Body::Roster(_) => {}
            Body::Message(message) => self.add_message(message, committed),
            Body::User(user) => self.add_user(user, committed),
        }
    }

    /// The mailbox writes, one per bucket, each with its parts in the order of the log. A bucket in which nothing changes is
    /// not written; its mark lags behind, which is harmless because the place to replay from does not.
    ///
    /// A partition is written under its newest claim alone. Were the rows before a renewal written under the older one, a batch
    /// that is tried again because its answer was lost would look like that of a dethroned owner.
    pub fn take_mailbox(&mut self) -> Vec<BucketBatch> {
        let claims = std::mem::take(&mut self.claims);
        let batch = |(bucket, mut parts): (BucketId, Vec<PartitionRows>)| {
            for part in &mut parts {
                part.claim = claims.get(&part.partition).copied().unwrap_or(part.claim);
            }
            BucketBatch { bucket, parts }
        };
        std::mem::take(&mut self.mailbox).into_iter().map(batch).collect()
    }

    /// How far a mailbox has come in each partition that contains all of it.
    pub fn into_marks(self) -> BTreeMap<PartitionId, Mark> {
        self.marks
    }

    /// Adds a row behind all rows of its bucket: in the order of the log, whatever the partition.
    fn push(&mut self, committed: &Committed, user: &UserKey, row: MailboxRow) {
        let parts = self.mailbox.entry(user.bucket()).or_default();
        let next = committed.offset.next();
        match parts.last_mut() {
            Some(last) if last.partition == committed.partition => {
                last.next = next;
                last.rows.push((committed.offset, row));
            }
            _ => parts.push(PartitionRows {
                partition: committed.partition,
                claim: committed.claim,
                next,
                rows: vec![(committed.offset, row)],
            }),
        }
    }

    fn add_message(&mut self, message: &Message, committed: &Committed) {
        for (user, side) in readers(message, &committed.recipients) {
            let conversation = seen_by(message, side);
            let entry = TimelineEntry {
                user: user.clone(),
                sent: message.sent,
                uid: message.uid,
                side,
                record: committed.record.clone(),
                listed: listed(message, conversation, side),
            };
            self.push(committed, &user, MailboxRow::Entry(entry));
        }
        match message.effect() {
            Some(Effect::Read { until }) => {
                let user = UserKey::new(message.app.clone(), message.sender.clone());
                let conversation = Conversation::new(message.kind, message.target.clone());
                // Nobody has read what was not sent yet.
                let until = until.min(message.sent);
                self.push(committed, &user.clone(), MailboxRow::Read { user, conversation, until });
            }
            Some(Effect::Recall { uid, sent }) => self.add_recall(message, (uid, sent), committed),
            None => {}
        }
    }

    /// A message is taken back from whoever is told so, and from its sender.
    fn add_recall(&mut self, message: &Message, (uid, sent): (MessageUid, Timestamp), committed: &Committed) {
        let sender = UserKey::new(message.app.clone(), message.sender.clone());
        let unseen = (!message.sender_copy).then_some((sender, Side::Outbox(message.origin.connection)));
        for (user, side) in readers(message, &committed.recipients).chain(unseen) {
            let row = RecalledEntry {
                user: user.clone(),
                conversation: seen_by(message, side),
                uid,
                sent,
                by_sent: message.sent,
                by_side: side,
                by_record: committed.record.clone(),
            };
            self.push(committed, &user, MailboxRow::Recall(row));
        }
    }

    fn add_user(&mut self, record: &UserRecord, committed: &Committed) {
        let user = record.user.clone();
        match &record.change {
            UserChange::RemoveConversation { conversation } => {
                self.push(committed, &record.user, MailboxRow::Remove { user, conversation: conversation.clone() });
            }
            UserChange::Read { conversation, until } => {
                let row = MailboxRow::Read { user, conversation: conversation.clone(), until: *until };
                self.push(committed, &record.user, row);
            }
            UserChange::HideMessages { .. }
            | UserChange::HideUntil { .. }
            | UserChange::Profile { .. }
            | UserChange::Blocked { .. }
            | UserChange::Unblocked
            | UserChange::TokensVoid { .. }
            | UserChange::Setting { .. } => {}
        }
    }
}

/// Whose timelines a message goes to: the recipients' and, if it is to have a copy, the sender's.
fn readers<'a>(message: &'a Message, recipients: &'a [UserId]) -> impl Iterator<Item = (UserKey, Side)> + 'a {
    let key = |user: &UserId| UserKey::new(message.app.clone(), user.clone());
    let own = message.sender_copy.then(|| (key(&message.sender), Side::Outbox(message.origin.connection)));
    own.into_iter().chain(recipients.iter().map(move |user| (key(user), Side::Inbox)))
}

/// The conversation as a reader sees it.
fn seen_by(message: &Message, side: Side) -> Conversation {
    let target = match (message.kind, side) {
        (ConversationType::Private | ConversationType::System, Side::Inbox) => message.sender.clone().into(),
        _ => message.target.clone(),
    };
    Conversation::new(message.kind, target)
}

fn listed(message: &Message, conversation: Conversation, side: Side) -> Option<Listed> {
    // A recall is shown where it takes the place of the last message, and moves no conversation.
    if !message.is_kept_in_history() || matches!(message.effect(), Some(Effect::Recall { .. })) {
        return None;
    }
    let counted =
        if side == Side::Inbox && message.flags.has(MessageFlags::COUNT) { Counted::Yes } else { Counted::No };
    Some(Listed { conversation, counted })
}

/// Whom messages concern, from where the mailbox has placed their entries.
#[derive(Debug, Default)]
pub struct Placements {
    by_record: BTreeMap<(PartitionId, Offset), Vec<Deliver>>,
}

impl Placements {
    /// Notes where the entries of a part went; `placed` is in the order of its rows.
    pub fn note(&mut self, part: &PartitionRows, placed: &[Option<Placed>]) {
        for ((offset, row), placed) in part.rows.iter().zip(placed) {
            let (MailboxRow::Entry(entry), Some(placed)) = (row, placed) else {
                continue;
            };
            self.by_record.entry((part.partition, *offset)).or_default().push(Deliver {
                user: entry.user.user.clone(),
                position: Some(placed.position),
                previous: placed.previous,
                sent_on: entry.side.sent_on(),
                online: Some(placed.online.clone()),
            });
        }
    }

    /// Takes out whom a record concerns.
    pub fn take(&mut self, committed: &Committed) -> Vec<Deliver> {
        self.by_record.remove(&(committed.partition, committed.offset)).unwrap_or_default()
    }
}
