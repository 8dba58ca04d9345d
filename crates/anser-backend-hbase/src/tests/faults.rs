//! Gateways that die, fall silent or are of another kind, and writes that come late or half.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{
    Directory, DirectoryChange, Head, History, HistoryQuery, HistoryRow, HistoryWrite, Order, StoreError,
};
use anser_types::record::{UserChange, UserRecord};
use anser_types::{Claim, LogId, Mark, Offset, PartitionId, Timestamp};

use super::gateway::FakeGateway;
use super::hbase::{FakeHbase, Fate};
use crate::format::tests::{bob, chat, uid};
use crate::{HbaseConfig, HbaseStore, OpenError, Protocol, SchemaError, Transport, init};

const PARTITION: PartitionId = PartitionId(0);

async fn open(config: &HbaseConfig) -> Arc<HbaseStore> {
    init(config).await.unwrap();
    HbaseStore::open(config, LogId(7)).await.unwrap()
}

fn mark(next: u64) -> Mark {
    Mark { claim: Claim(Offset(0)), next: Offset(next) }
}

/// Messages number `from` to `to` of one chat, at the offsets of the same numbers.
fn messages(from: u64, to: u64) -> Vec<HistoryWrite> {
    let row = |n| HistoryWrite::Row {
        offset: Offset(n),
        row: HistoryRow { subject: chat(), sent: Timestamp(n), uid: uid(n), number: n, record: vec![1; 64].into() },
    };
    (from..=to).map(row).collect()
}

async fn write(store: &HbaseStore, from: u64, to: u64) -> Result<(), StoreError> {
    store.write(PARTITION, mark(to + 1), messages(from, to)).await
}

async fn numbers(store: &HbaseStore) -> Result<Vec<u64>, StoreError> {
    let query = HistoryQuery { subject: chat(), time: None, order: Order::After, count: 1000 };
    Ok(store.page(query).await?.rows.into_iter().map(|stored| stored.row.number).collect())
}

/// What the error is about, down to its source.
fn text(error: &StoreError) -> String {
    assert!(error.is_retryable());
    std::error::Error::source(error).unwrap().to_string()
}

#[tokio::test]
async fn what_is_asked_of_hbase_is_counted() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    let store = open(&FakeGateway::config(&[&gateway])).await;
    let before = store.calls();
    write(&store, 1, 4).await.unwrap();
    numbers(&store).await.unwrap();
    let after = store.calls();
    // Whether the head is known is asked first; messages, their head and the mark are written one after the other.
    assert_eq!(after.rows_written - before.rows_written, 4 + 1 + 1);
    assert_eq!((after.reads - before.reads, after.writes - before.writes), (1 + 1, 3));
}

#[tokio::test]
async fn a_gateway_that_was_restarted_costs_no_error() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    let store = open(&FakeGateway::config(&[&gateway])).await;
    for n in 1..=4 {
        write(&store, n, n).await.unwrap();
    }
    let address = gateway.address;
    drop(gateway);
    let _gateway = FakeGateway::start_at(&hbase, address, Transport::Buffered, Protocol::Binary);
    write(&store, 5, 5).await.unwrap();
    assert_eq!(numbers(&store).await.unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_gateway_that_is_away_is_named_and_then_another_one_serves() {
    let hbase = FakeHbase::default();
    let (one, other) = (FakeGateway::start(&hbase), FakeGateway::start(&hbase));
    let only = HbaseConfig { reconnect_ms_max: 60_000, ..FakeGateway::config(&[&one]) };
    let both = open(&FakeGateway::config(&[&one, &other])).await;
    let alone = HbaseStore::open(&only, LogId(7)).await.unwrap();
    write(&both, 1, 3).await.unwrap();
    let address = one.address.to_string();
    drop(one);
    for n in 4..=20 {
        write(&both, n, n).await.unwrap();
        assert_eq!(u64::try_from(numbers(&both).await.unwrap().len()).unwrap(), n);
    }
    // The first error names the gateway, later ones come without a try and say why.
    for _ in 0..4 {
        let error = text(&numbers(&alone).await.unwrap_err());
        assert!(error.contains(&format!("cannot connect to the gateway {address}")), "{error}");
    }
}

#[tokio::test]
async fn every_kind_of_gateway_is_spoken_to() {
    for transport in [Transport::Buffered, Transport::Framed] {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            let hbase = FakeHbase::default();
            let gateway = FakeGateway::start_at(&hbase, "127.0.0.1:0".parse().unwrap(), transport, protocol);
            let config = HbaseConfig { transport, protocol, ..FakeGateway::config(&[&gateway]) };
            let store = open(&config).await;
            write(&store, 1, 700).await.unwrap();
            assert_eq!(numbers(&store).await.unwrap(), (1..=700).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_gateway_of_another_kind_is_told_from_a_dead_one() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    for (transport, protocol) in [(Transport::Framed, Protocol::Binary), (Transport::Buffered, Protocol::Compact)] {
        let config = HbaseConfig { transport, protocol, call_timeout_ms: 100, ..FakeGateway::config(&[&gateway]) };
        let Err(OpenError::Schema(SchemaError::Unavailable(error))) = HbaseStore::open(&config, LogId(7)).await else {
            panic!("a gateway of another kind cannot be opened");
        };
        let error = error.to_string();
        assert!(error.contains("It may be of another kind: this node speaks hbase.transport"), "{error}");
    }
}

/// A call that its caller gave up on is applied when newer ones were: heads, marks and views stay with the newer ones.
#[tokio::test]
async fn a_late_write_changes_nothing() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    // One connection, which is in use: a call that it loses is tried a second time.
    let store = open(&HbaseConfig { workers: 1, ..FakeGateway::config(&[&gateway]) }).await;
    // Messages, head and mark; each may be the late one.
    for late in 0..3 {
        let first = 10 * late + 1;
        let mut fates = vec![Fate::Fine; usize::try_from(late).unwrap()];
        fates.extend([Fate::Late, Fate::Fine]);
        hbase.plan(fates);
        write(&store, first, first + 4).await.unwrap();
        write(&store, first + 5, first + 9).await.unwrap();
        assert!(hbase.apply_late());
        assert_eq!(store.head(&chat()).await.unwrap(), Head { number: first + 9, next: Offset(first + 10) });
        assert_eq!(History::replay_from(&*store, PARTITION).await.unwrap(), mark(first + 10));
        assert_eq!(numbers(&store).await.unwrap(), (1..=first + 9).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_late_change_of_a_user_changes_nothing() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    // One connection, which is in use: a call that it loses is tried a second time.
    let store = open(&HbaseConfig { workers: 1, ..FakeGateway::config(&[&gateway]) }).await;
    let change = |change| UserRecord { user: bob(), time: Timestamp(5), change };
    let blocked = change(UserChange::Blocked { until: Timestamp(99) });
    // The index and the view, both once more.
    hbase.plan([Fate::Late, Fate::Fine, Fate::Late, Fate::Fine]);
    for (offset, record) in [(1, blocked), (2, change(UserChange::Unblocked))] {
        let changes = vec![(Offset(offset), DirectoryChange::User(record))];
        store.apply(PARTITION, mark(offset + 1), changes).await.unwrap();
    }
    assert!(hbase.apply_late() && hbase.apply_late());
    assert_eq!(store.user(&bob()).await.unwrap().unwrap().blocked_until, Timestamp::ZERO);
    assert!(store.blocked_users(&bob().app, Timestamp::ZERO).await.unwrap().is_empty());
}

/// The numbers of a batch of which half was written are given again, whichever call failed.
#[tokio::test]
async fn half_a_batch_is_completed_by_the_replay() {
    for failing in 0..8 {
        let hbase = FakeHbase::default();
        let gateway = FakeGateway::start(&hbase);
        let config = HbaseConfig { batch_rows_max: 4, workers: 1, ..FakeGateway::config(&[&gateway]) };
        let store = open(&config).await;
        write(&store, 1, 5).await.unwrap();
        let mut fates = vec![Fate::Fine; failing];
        fates.push(Fate::Half);
        hbase.plan(fates);
        // Five calls with messages, one with the head, one with the mark.
        assert_eq!(write(&store, 6, 25).await.is_err(), failing < 7);
        let store = HbaseStore::open(&config, LogId(7)).await.unwrap();
        let from = History::replay_from(&*store, PARTITION).await.unwrap().next.0;
        let head = store.head(&chat()).await.unwrap();
        assert_eq!((head.number + 1, head.next.0), if failing < 6 { (6, 6) } else { (26, 26) });
        if from == 6 {
            write(&store, 6, 25).await.unwrap();
        }
        assert_eq!(numbers(&store).await.unwrap(), (1..=25).collect::<Vec<_>>());
        assert_eq!(store.head(&chat()).await.unwrap(), Head { number: 25, next: Offset(26) });
    }
}

/// Slow-is-alone: what HBase does not answer fills its own queue, is given up on in time, and keeps nothing else.
#[tokio::test]
async fn a_silent_hbase_is_given_up_on_and_its_queue_is_bounded() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    let config = HbaseConfig {
        workers: 2,
        queue_bytes_max: 1 << 16,
        queue_timeout_ms: 50,
        call_timeout_ms: 400,
        ..FakeGateway::config(&[&gateway])
    };
    let store = open(&config).await;
    hbase.plan([Fate::Silent, Fate::Silent]);
    let writes: Vec<_> = (0..200_u64).map(|n| store.write(PARTITION, mark(n), Vec::new())).collect();
    let results = futures_util::future::join_all(writes).await;
    let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err().map(text)).collect();
    let count = |what: &str| errors.iter().filter(|error| error.starts_with(what)).count();
    // Two are under way for longer than others may wait; each counts more than a KiB in a queue of 64.
    assert_eq!(count("the gateway"), 2, "{errors:?}");
    assert!(count("too many calls wait") > 50, "{errors:?}");
    hbase.speak();
    write(&store, 1, 3).await.unwrap();
    assert_eq!(numbers(&store).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn slow_is_alone_a_read_that_gets_no_turn_is_refused_and_never_begun() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    let config = HbaseConfig { workers: 1, queue_timeout_ms: 50, ..FakeGateway::config(&[&gateway]) };
    let store = open(&config).await;
    write(&store, 1, 3).await.unwrap();
    hbase.plan([Fate::Silent]);
    let occupied = write(&store, 4, 5);
    let refused = async {
        while hbase.silent() == 0 {
            tokio::task::yield_now().await;
        }
        let refused = numbers(&store).await.unwrap_err();
        hbase.speak();
        refused
    };
    let (occupied, refused) = tokio::join!(occupied, refused);
    assert!(text(&refused).starts_with("too many calls wait"), "{refused:?}");
    occupied.unwrap();
    assert_eq!(numbers(&store).await.unwrap(), [1, 2, 3, 4, 5]);
}

/// Whoever closes waits for what was asked before, and nothing is taken afterwards.
#[tokio::test]
async fn closing_waits_for_writes_under_way() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    let store = open(&FakeGateway::config(&[&gateway])).await;
    hbase.plan([Fate::Silent]);
    let (speaker, closer) = (hbase.clone(), Arc::clone(&store));
    let writing = write(&store, 1, 3);
    let closing = async move {
        while speaker.silent() == 0 {
            tokio::task::yield_now().await;
        }
        let closed = closer.close();
        tokio::pin!(closed);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut closed).await.is_err(), "a write is under way");
        speaker.speak();
        closed.await;
    };
    let (written, ()) = tokio::join!(writing, closing);
    // The messages got through, the head was not asked for any more.
    assert_eq!(text(&written.unwrap_err()), "the adapter is closed");
    assert_eq!(text(&numbers(&store).await.unwrap_err()), "the adapter is closed");
    let store = HbaseStore::open(&FakeGateway::config(&[&gateway]), LogId(7)).await.unwrap();
    assert_eq!(numbers(&store).await.unwrap(), [1, 2, 3]);
}
