//! A real HBase and its gateway are killed and stand still while history and the directory are written.
//!
//! Whoever writes does as the roles do: what may have been written is written again, until it is answered, and nothing before that.
//! A program of its own, as whatever else uses that HBase would be disturbed.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anser_backend::{
    Directory, DirectoryChange, Head, History, HistoryQuery, HistoryRow, HistoryWrite, Order, StoreError,
};
use anser_backend_hbase::{Compression, HbaseConfig, HbaseStore, init};
use anser_sandbox::{Stack, wanted};
use anser_types::record::{UserChange, UserRecord};
use anser_types::{
    AppKey, Claim, ConversationType, LogId, Mark, MessageUid, Offset, PartitionId, Subject, Timestamp, UserId, UserKey,
};

const PARTITION: PartitionId = PartitionId(0);
/// How many messages a write has.
const TOGETHER: u64 = 7;
/// Between two accidents so many writes come through.
const BETWEEN: u64 = 20;
/// HBase takes its time to start on a busy machine, and whoever writes has to see it.
const OUTAGE_MAX: Duration = Duration::from_secs(240);

fn user(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

fn chat() -> Subject {
    Subject::private(user("al").app, user("al").user, user("bob").user)
}

fn mark(next: u64) -> Mark {
    Mark { claim: Claim(Offset(0)), next: Offset(next) }
}

/// Messages from a number on, at the offsets of the same numbers.
fn messages(first: u64) -> Vec<HistoryWrite> {
    let row = |n| {
        let uid = MessageUid::new(Timestamp(n), 0, ConversationType::Private, 7);
        let row =
            HistoryRow { subject: chat(), sent: Timestamp(n), uid, number: n, record: n.to_be_bytes().to_vec().into() };
        HistoryWrite::Row { offset: Offset(n), row }
    };
    (first..first + TOGETHER).map(row).collect()
}

/// What bob is called from an offset on.
fn renamed(offset: u64) -> Vec<(Offset, DirectoryChange)> {
    let change = UserChange::Profile { name: Some(format!("bob {offset}")), portrait: None };
    vec![(Offset(offset), DirectoryChange::User(UserRecord { user: user("bob"), time: Timestamp(5), change }))]
}

/// What goes on beside the accidents.
#[derive(Default)]
struct Progress {
    written: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Writes until it is answered.
    async fn until_written<F: Future<Output = Result<(), StoreError>>>(&self, mut write: impl FnMut() -> F) {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while let Err(error) = write().await {
            assert!(error.is_retryable(), "{error:?}");
            self.failed.fetch_add(1, Ordering::Relaxed);
            tick.tick().await;
        }
    }

    /// Writes one after the other until it is to stop. Returns the number of the last message.
    async fn write_all(&self, store: &HbaseStore) -> u64 {
        let mut next = 1;
        while !self.stop.load(Ordering::Relaxed) {
            self.until_written(|| store.write(PARTITION, mark(next + TOGETHER), messages(next))).await;
            self.until_written(|| store.apply(PARTITION, mark(next + 1), renamed(next))).await;
            next += TOGETHER;
            self.written.fetch_add(1, Ordering::Relaxed);
        }
        next - 1
    }

    /// Waits until more is written.
    async fn more(&self) {
        let wanted = self.written.load(Ordering::Relaxed) + BETWEEN;
        let come = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while self.written.load(Ordering::Relaxed) < wanted {
                tick.tick().await;
            }
        };
        assert!(tokio::time::timeout(OUTAGE_MAX, come).await.is_ok(), "nothing is written any more");
    }
}

/// Does to the servers what takes its time.
async fn on(stack: &Arc<Stack>, work: impl FnOnce(&Stack) + Send + 'static) {
    let stack = Arc::clone(stack);
    tokio::task::spawn_blocking(move || work(&stack)).await.unwrap();
}

/// Kills a server, and starts it again.
fn restart(stack: &Stack, name: &str) {
    stack.kill(name).unwrap();
    stack.start(name).unwrap();
}

/// Everything that was answered is there, once, and nothing else: over a gateway that dies, an HBase that stands still longer than a call
/// may take, and one that dies.
#[tokio::test]
async fn nothing_lost_and_nothing_twice_while_hbase_and_its_gateway_die_and_stand_still() {
    let (Some(folder), Some(gateway)) = (wanted("ANSER_TEST_STACK"), wanted("ANSER_TEST_HBASE")) else {
        return;
    };
    let stack = Arc::new(Stack::open(Path::new(&folder), |text| eprintln!("{text}")).unwrap().unwrap());
    let patient = HbaseConfig {
        gateways: vec![gateway],
        table_prefix: format!("accidents_{}", std::process::id()),
        call_timeout_ms: 60_000,
        compression: Compression::None,
        history_ttl_days: 0,
        ..HbaseConfig::default()
    };
    init(&patient).await.unwrap();
    let config = HbaseConfig { call_timeout_ms: 2_000, queue_timeout_ms: 2_000, ..patient.clone() };
    let store = HbaseStore::open(&config, LogId(7)).await.unwrap();
    let progress = Progress::default();
    let accidents = async {
        progress.more().await;
        on(&stack, |stack| restart(stack, "thrift")).await;
        progress.more().await;
        on(&stack, |stack| stack.pause("hbase").unwrap()).await;
        let failed = progress.failed.load(Ordering::Relaxed);
        let noticed = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while progress.failed.load(Ordering::Relaxed) < failed + 2 {
                tick.tick().await;
            }
        };
        assert!(tokio::time::timeout(OUTAGE_MAX, noticed).await.is_ok(), "calls have a deadline");
        on(&stack, |stack| stack.resume("hbase").unwrap()).await;
        progress.more().await;
        on(&stack, |stack| restart(stack, "hbase")).await;
        progress.more().await;
        progress.stop.store(true, Ordering::Relaxed);
    };
    let (last, ()) = futures_util::future::join(progress.write_all(&store), accidents).await;
    drop(store);

    let store = HbaseStore::open(&patient, LogId(7)).await.unwrap();
    assert_eq!(numbers(&store, last).await, (1..=last).collect::<Vec<_>>());
    assert_eq!(store.head(&chat()).await.unwrap(), Head { number: last, next: Offset(last + 1) });
    assert_eq!(History::replay_from(&*store, PARTITION).await.unwrap(), mark(last + 1));
    let first_of_last = last + 1 - TOGETHER;
    assert_eq!(Directory::replay_from(&*store, PARTITION).await.unwrap(), mark(first_of_last + 1));
    assert_eq!(store.user(&user("bob")).await.unwrap().unwrap().name, format!("bob {first_of_last}"));
}

/// The numbers of all messages, oldest first.
async fn numbers(store: &HbaseStore, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut time = Timestamp::ZERO;
    while time.0 < last {
        let query = HistoryQuery { subject: chat(), time: Some(time), order: Order::After, count: 100 };
        let rows = store.page(query).await.unwrap().rows;
        assert!(!rows.is_empty(), "nothing after {time:?} of {last}");
        for stored in rows {
            assert_eq!(*stored.row.record, stored.row.number.to_be_bytes());
            time = stored.row.sent;
            numbers.push(stored.row.number);
        }
    }
    numbers
}
