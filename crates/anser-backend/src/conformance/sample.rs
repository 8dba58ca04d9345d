//! Small values for the suites: apps, users, entries.

use anser_types::{
    AppKey, BucketId, Claim, ConnectionId, Conversation, ConversationType, Mark, MessageUid, Offset, PartitionId,
    TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;

use crate::{BucketBatch, Counted, Listed, MailboxRow, PartitionRows, RecalledEntry, Side, TimelineEntry};

pub(super) const P0: PartitionId = PartitionId(0);
pub(super) const P1: PartitionId = PartitionId(1);

/// Everything below `next` is applied, under a claim at offset 2.
pub(super) fn mark(next: u64) -> Mark {
    Mark { claim: Claim(Offset(2)), next: Offset(next) }
}

pub(super) fn app() -> AppKey {
    AppKey::new("app").expect("an app key")
}

pub(super) fn user_id(name: &str) -> UserId {
    UserId::new(name).expect("a user id")
}

pub(super) fn user(name: &str) -> UserKey {
    UserKey::new(app(), user_id(name))
}

pub(super) fn target(name: &str) -> TargetId {
    TargetId::new(name).expect("a target id")
}

pub(super) fn with(name: &str) -> Conversation {
    Conversation::new(ConversationType::Private, target(name))
}

pub(super) fn group(name: &str) -> Conversation {
    Conversation::new(ConversationType::Group, target(name))
}

pub(super) fn uid(sent: u64) -> MessageUid {
    MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 7)
}

pub(super) fn record(sent: u64) -> Bytes {
    Bytes::from(format!("record of {sent}"))
}

/// A received entry that counts in the private chat with `from`.
pub(super) fn received(owner: &str, from: &str, sent: u64) -> MailboxRow {
    entry(owner, sent, Side::Inbox, Some(Listed { conversation: with(from), counted: Counted::Yes }))
}

/// An entry that was sent on connection 9, in the private chat with `to`, and is said to count.
pub(super) fn sent(owner: &str, to: &str, sent: u64) -> MailboxRow {
    let listed = Listed { conversation: with(to), counted: Counted::Yes };
    entry(owner, sent, Side::Outbox(ConnectionId(9)), Some(listed))
}

pub(super) fn entry(owner: &str, sent: u64, side: Side, listed: Option<Listed>) -> MailboxRow {
    MailboxRow::Entry(TimelineEntry {
        user: user(owner),
        sent: Timestamp(sent),
        uid: uid(sent),
        side,
        record: record(sent),
        listed,
    })
}

/// The message of a sent time is taken back from a user by that of another.
pub(super) fn recall(owner: &str, conversation: Conversation, sent: u64, by: u64) -> MailboxRow {
    MailboxRow::Recall(RecalledEntry {
        user: user(owner),
        conversation,
        uid: uid(sent),
        sent: Timestamp(sent),
        by_sent: Timestamp(by),
        by_side: Side::Inbox,
        by_record: record(by),
    })
}

/// Rows at offsets `first`, `first + 1` … of a partition.
pub(super) fn part(partition: PartitionId, claim: u64, first: u64, rows: Vec<MailboxRow>) -> PartitionRows {
    let rows: Vec<_> = (first..).map(Offset).zip(rows).collect();
    let next = rows.last().map_or(Offset(first), |(offset, _)| offset.next());
    PartitionRows { partition, claim: Claim(Offset(claim)), next, rows }
}

/// A batch for the bucket of `owner`.
pub(super) fn batch(owner: &str, parts: Vec<PartitionRows>) -> BucketBatch {
    BucketBatch { bucket: bucket(owner), parts }
}

pub(super) fn bucket(owner: &str) -> BucketId {
    user(owner).bucket()
}
