//! How much memory the store takes, and that it forgets nothing for it.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{BucketBatch, Mailbox, MailboxRow, PartitionRows, RangeQuery, Side, TimelineEntry};
use anser_types::{
    AppKey, Claim, ConversationType, LogId, MessageUid, Offset, PartitionId, Position, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::store::{EmbeddedStore, StoreOptions};

const RECORD: usize = 1000;

fn open(folder: &TempDir, options: StoreOptions) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(folder.path(), options, LogId(7)).unwrap()
}

fn user(n: u64) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(&format!("user{n}")).unwrap())
}

async fn entry(store: &EmbeddedStore, owner: &UserKey, n: u64) {
    let entry = TimelineEntry {
        user: owner.clone(),
        sent: Timestamp(n),
        uid: MessageUid::new(Timestamp(n), 0, ConversationType::Private, 1),
        side: Side::Inbox,
        record: Bytes::from(vec![1; RECORD]),
        listed: None,
    };
    let rows = vec![(Offset(n), MailboxRow::Entry(entry))];
    let part = PartitionRows { partition: PartitionId(0), claim: Claim(Offset(0)), next: Offset(n + 1), rows };
    store.apply(BucketBatch { bucket: owner.bucket(), parts: vec![part] }).await.unwrap();
}

async fn count(store: &EmbeddedStore, user: &UserKey) -> usize {
    let query =
        RangeQuery { user: user.clone(), after: Position::START, entries_max: usize::MAX, bytes_max: usize::MAX };
    store.range(query).await.unwrap().entries.len()
}

#[tokio::test]
async fn what_is_on_disk_is_let_go_when_memory_runs_out() {
    let folder = TempDir::new().unwrap();
    let most = 200 * RECORD;
    let options =
        StoreOptions { memory_bytes_max: most, flush_interval: Duration::from_secs(3600), ..StoreOptions::default() };
    let store = open(&folder, options);
    for n in 1..=500 {
        entry(&store, &user(n % 3), n).await;
    }
    store.inner.fit_into_memory();
    assert!(store.inner.mailbox.held() > 500 * RECORD, "what is not on disk stays");
    store.flush().unwrap();
    store.inner.fit_into_memory();
    assert!(store.inner.mailbox.held() <= most);
    let mut all = 0;
    for n in 0..3 {
        all += count(&store, &user(n)).await;
    }
    assert_eq!(all, 500);
}

#[tokio::test]
async fn idle_users_cost_no_memory() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder, StoreOptions { flush_interval: Duration::from_secs(3600), ..StoreOptions::default() });
    for n in 1..=50 {
        entry(&store, &user(n), n).await;
    }
    store.flush().unwrap();
    let sweep = || (0..=u8::MAX).map(|bucket| store.inner.mailbox.sweep(bucket, None)).sum::<usize>();
    assert!(sweep() > 0, "they were used just now");
    assert_eq!(sweep(), 0);
    assert_eq!(Mailbox::head(&*store, &user(9)).await.unwrap(), Position(9));
}

/// Whoever brings changes waits for the disk, and nothing is dropped.
#[tokio::test]
async fn changes_wait_when_too_many_are_not_on_disk() {
    let folder = TempDir::new().unwrap();
    let options = StoreOptions {
        flush_bytes: 10 * RECORD,
        dirty_bytes_max: 20 * RECORD,
        flush_interval: Duration::from_secs(3600),
        ..StoreOptions::default()
    };
    let store = open(&folder, options);
    for n in 1..=200 {
        entry(&store, &user(1), n).await;
        assert!(store.inner.room.dirty() <= 22 * RECORD);
    }
    assert_eq!(count(&store, &user(1)).await, 200);
}
