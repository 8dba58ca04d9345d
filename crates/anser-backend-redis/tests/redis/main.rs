//! The Redis backends against real servers: those that `ANSER_TEST_REDIS`, `ANSER_TEST_REDIS_REPLICA` and
//! `ANSER_TEST_REDIS_CLUSTER` name, or servers of their own that the tests start.
//!
//! Without them the tests do nothing, and say so; with `ANSER_TEST_BACKENDS=required` they fail instead.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod branch;
mod cluster;
mod damage;
mod faults;
mod model;
mod primaries;
mod rebuild;
mod rollback;
mod server;
mod store;
mod suites;

use std::time::Duration;

use anser_backend::{BucketBatch, Counted, Listed, MailboxRow, PartitionRows, Placed, RangeQuery, Side, TimelineEntry};
use anser_backend::{Mailbox, StoreError};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisStore};
use anser_runtime::Clock;
use anser_types::{
    AppKey, Claim, Conversation, ConversationType, LogId, MessageUid, Offset, PartitionId, Position, TargetId,
    Timestamp, UserId, UserKey,
};
use bytes::Bytes;

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;

/// Settings under which positions are the sent times from 1 on, whatever the time is.
fn config(addresses: Vec<String>) -> RedisConfig {
    let prefix = format!("test-{:016x}:", random());
    RedisConfig { addresses, prefix, rollback_lead_ms: 0, forget_window_ms: 60, ..RedisConfig::default() }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_be_bytes(bytes)
}

/// A mailbox whose clock stands at zero.
async fn mailbox(config: &RedisConfig) -> std::sync::Arc<RedisMailbox> {
    let store = RedisStore::connect(config.clone()).await.unwrap();
    store.mailbox(LogId(7), WEEK_MS, Clock::manual(Timestamp::ZERO).0).await.unwrap()
}

fn user(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

fn with(name: &str) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::new(name).unwrap())
}

fn received(owner: &str, sent: u64) -> MailboxRow {
    MailboxRow::Entry(TimelineEntry {
        user: user(owner),
        sent: Timestamp(sent),
        uid: MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 7),
        side: Side::Inbox,
        record: Bytes::from(format!("record of {sent}")),
        listed: Some(Listed { conversation: with("al"), counted: Counted::Yes }),
    })
}

/// Entries for one user with these sent times, at offsets `first`, `first + 1` … of a partition.
fn entries(owner: &str, partition: PartitionId, claim: u64, first: u64, times: &[u64]) -> BucketBatch {
    let rows: Vec<_> = (first..).map(Offset).zip(times.iter().map(|time| received(owner, *time))).collect();
    let next = rows.last().map_or(Offset(first), |(offset, _)| offset.next());
    let part = PartitionRows { partition, claim: Claim(Offset(claim)), next, rows };
    BucketBatch { bucket: user(owner).bucket(), parts: vec![part] }
}

async fn apply(mailbox: &dyn Mailbox, batch: BucketBatch) -> Vec<Option<Placed>> {
    mailbox.apply(batch).await.unwrap().into_iter().flatten().collect()
}

async fn positions(mailbox: &dyn Mailbox, owner: &str) -> Vec<u64> {
    let query =
        RangeQuery { user: user(owner), after: Position::START, entries_max: usize::MAX, bytes_max: usize::MAX };
    mailbox.range(query).await.unwrap().entries.iter().map(|entry| entry.position.0).collect()
}

/// Calls again while Redis does not answer. Returns what it says in the end.
async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match call().await {
            Err(StoreError::Unavailable(error)) => {
                assert!(tokio::time::Instant::now() < deadline, "redis did not come back: {error}");
            }
            answer => return answer,
        }
        tick.tick().await;
    }
}
