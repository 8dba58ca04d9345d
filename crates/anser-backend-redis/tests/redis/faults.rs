//! Redis that does not answer, answers too late, refuses, or is not set up as it has to be.

use std::time::Duration;

use anser_backend::{
    BucketBatch, Counted, ListQuery, Listed, Mailbox, MailboxRow, Member, Membership, PartitionRows, Role, StoreError,
    TimelineEntry,
};
use anser_backend_redis::{RedisConfig, RedisDurability, RedisMode, RedisOpenError, RedisStore};
use anser_runtime::Clock;
use anser_types::{Claim, LogId, NodeId, Offset, Timestamp};

use crate::rollback::follow;
use crate::server::{Server, can_start};
use crate::{P0, WEEK_MS, apply, config, entries, mailbox, positions, received, until_answered, user, with};

/// The write happened and its answer is lost: repeating it changes nothing.
#[tokio::test]
async fn a_lost_answer_makes_no_second_entry() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    apply(&*mailbox, entries("bob", P0, 5, 1, &[100])).await;
    // The server takes the command from its socket only when it goes on, after we have given up.
    server.signal("-STOP");
    let lost = mailbox.apply(entries("bob", P0, 5, 2, &[101])).await.unwrap_err();
    assert!(lost.is_retryable(), "{lost:?}");
    server.signal("-CONT");
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while positions(&*mailbox, "bob").await.len() < 2 {
        tick.tick().await;
    }
    let again = until_answered(|| mailbox.apply(entries("bob", P0, 5, 2, &[101, 102]))).await.unwrap();
    assert_eq!((again[0][0].is_none(), again[0][1].as_ref().unwrap().position.0), (true, 102));
    assert_eq!(positions(&*mailbox, "bob").await, [100, 101, 102]);
}

/// Connections that are cut are replaced, whatever was under way on them.
#[tokio::test]
async fn cut_connections_are_replaced() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    for round in 0..20 {
        server.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
        let call = || mailbox.apply(entries("bob", P0, 5, 1 + round, &[100 + round]));
        until_answered(call).await.unwrap();
    }
    assert_eq!(positions(&*mailbox, "bob").await, (100..120).collect::<Vec<_>>());
}

/// A zombie is refused, however many there are, and a script that the server forgot is sent again.
#[tokio::test]
async fn a_zombie_is_refused_by_a_server_that_forgot_the_script() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let (old, new) = (mailbox(&config).await, mailbox(&config).await);
    apply(&*old, entries("bob", P0, 5, 1, &[100])).await;
    apply(&*new, entries("bob", P0, u64::MAX, 2, &[101])).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    let refused = old.apply(entries("bob", P0, 5, 2, &[102])).await.unwrap_err();
    assert!(matches!(refused, StoreError::StaleClaim), "{refused:?}");
    assert_eq!(positions(&*new, "bob").await, [100, 101]);
}

/// A full server refuses as retryable, and nothing of the batch is there.
#[tokio::test]
async fn a_full_server_refuses_as_retryable() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    apply(&*mailbox, entries("bob", P0, 5, 1, &[100])).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = mailbox.apply(entries("bob", P0, 5, 2, &[101])).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(source) if source.to_string().contains("OOM")), "{refused:?}");
    assert_eq!(positions(&*mailbox, "bob").await, [100]);
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    apply(&*mailbox, entries("bob", P0, 5, 2, &[101])).await;
    assert_eq!(positions(&*mailbox, "bob").await, [100, 101]);
}

/// Otherwise nothing would be accepted any more, while it could.
#[tokio::test]
async fn members_stay_in_a_full_server() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let membership = RedisStore::connect(config(vec![server.address()])).await.unwrap().membership();
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    membership.announce(member()).await.unwrap();
    let again = Member { connections: 9, ..member() };
    membership.announce(again.clone()).await.unwrap();
    assert_eq!(membership.members().await.unwrap(), [again]);
}

/// Keys that somebody else wrote are no reason to guess.
#[tokio::test]
async fn strange_keys_are_reported() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let mailbox = mailbox(&config).await;
    let bob = user("bob");
    let key = format!("{}{{b:{:03}}}:app\0bob\0s", config.prefix, bob.bucket().0);
    server.ask::<()>(&["SET", &key, "x"]);
    let found = mailbox.apply(entries("bob", P0, 5, 1, &[100])).await.unwrap_err();
    assert!(matches!(found, StoreError::Damaged { .. }), "{found:?}");
    server.ask::<()>(&["DEL", &key]);
    server.ask::<()>(&["HSET", &key, "\x01al", "\x09"]);
    let found = mailbox.apply(entries("bob", P0, 5, 1, &[100])).await.unwrap_err();
    assert!(matches!(found, StoreError::Damaged { .. }), "{found:?}");
    assert_eq!(positions(&*mailbox, "bob").await, [0; 0], "everything is read before anything is written");
}

/// Slow-is-alone: what does not answer fails in time, and does not hold up a call that comes after it.
#[tokio::test]
async fn a_server_that_hangs_fails_in_time() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = RedisConfig { calls_max: 4, ..config(vec![server.address()]) };
    let mailbox = mailbox(&config).await;
    server.signal("-STOP");
    let began = tokio::time::Instant::now();
    let bob = user("bob");
    let calls = (0..20).map(|_| mailbox.head(&bob));
    for answer in futures_util::future::join_all(calls).await {
        assert!(answer.unwrap_err().is_retryable());
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server.signal("-CONT");
    until_answered(|| mailbox.head(&bob)).await.unwrap();
}

/// Keys go by themselves when nobody writes to a user any more, and timelines are trimmed.
#[tokio::test]
async fn timelines_are_bounded_and_go_in_the_end() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = RedisConfig { timeline_entries_max: 100, ..config(vec![server.address()]) };
    let mailbox = mailbox(&config).await;
    let bob = user("bob");
    let base = format!("{}{{b:{:03}}}:app\0bob\0", config.prefix, bob.bucket().0);
    let left = |kind: &str| server.ask::<u64>(&["PTTL", &format!("{base}{kind}")]);
    apply(&*mailbox, entries("bob", P0, 5, 1, &[1])).await;
    let day = 24 * 3600 * 1000;
    for kind in ["s", "t", "l"] {
        assert!((WEEK_MS + day - 60_000..=WEEK_MS + day).contains(&left(kind)), "{kind}: {}", left(kind));
    }
    for first in 2..400 {
        apply(&*mailbox, entries("bob", P0, 5, first, &[first])).await;
    }
    let seen = positions(&*mailbox, "bob").await;
    assert!(seen.len() < 200 && seen.last() == Some(&399), "{seen:?}");
    // An hour later by its messages: those that expired go, and the others live on.
    mailbox.expire(Timestamp(395)).await.unwrap();
    server.ask::<()>(&["PEXPIRE", &format!("{base}t"), "60000"]);
    apply(&*mailbox, entries("bob", P0, 5, 400, &[4_000_000])).await;
    assert_eq!(server.ask::<u64>(&["ZCARD", &format!("{base}t")]), 6);
    assert!(left("t") > WEEK_MS);
}

/// Whoever writes to ever more others keeps a list of the newest.
#[tokio::test]
async fn lists_are_bounded() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let mailbox = mailbox(&config).await;
    let bob = user("bob");
    let sent = |time: u64| match received("bob", time) {
        MailboxRow::Entry(entry) => {
            let listed = Some(Listed { conversation: with(&format!("al{time}")), counted: Counted::Yes });
            MailboxRow::Entry(TimelineEntry { listed, ..entry })
        }
        row => row,
    };
    let batch = |first: u64, row: &dyn Fn(u64) -> MailboxRow| {
        let rows: Vec<_> = (first..first + 500).map(|number| (Offset(number), row(number))).collect();
        let part = PartitionRows { partition: P0, claim: Claim(Offset(5)), next: Offset(first + 500), rows };
        BucketBatch { bucket: bob.bucket(), parts: vec![part] }
    };
    for first in (1..12_000).step_by(500) {
        apply(&*mailbox, batch(first, &sent)).await;
    }
    let key = |kind: &str| format!("{}{{b:{:03}}}:app\0bob\0{kind}", config.prefix, bob.bucket().0);
    let query = ListQuery { user: bob.clone(), kind: None, before: Timestamp::ZERO, count: 20_000 };
    let list = mailbox.list(query).await.unwrap();
    assert_eq!((list.len(), &list[0].conversation), (10_000, &with("al12000")));
    let fields = server.ask::<u64>(&["HLEN", &key("s")]);
    assert!((10_000..10_100).contains(&fields), "{fields}");
    // Nor is it kept of any number of others that they are read.
    let read = |number: u64| MailboxRow::Read {
        user: bob.clone(),
        conversation: with(&format!("nobody{number}")),
        until: Timestamp(number),
    };
    for first in (12_001..24_000).step_by(500) {
        apply(&*mailbox, batch(first, &read)).await;
    }
    let fields = server.ask::<u64>(&["HLEN", &key("s")]);
    assert!((20_000..=20_500).contains(&fields), "{fields}");
}

async fn open(config: &RedisConfig) -> Result<(), RedisOpenError> {
    let store = RedisStore::connect(config.clone()).await?;
    store.mailbox(LogId(7), WEEK_MS, Clock::system()).await.map(drop)
}

/// A Redis that would lose or drop what it holds is refused, unless that was asked for in words.
#[tokio::test]
async fn a_server_that_is_set_up_wrongly_is_refused() {
    if !can_start() {
        return;
    }
    let server = Server::with(&["--appendonly", "no"]);
    let config = config(vec![server.address()]);
    assert!(matches!(open(&config).await, Err(RedisOpenError::Forgets { .. })));
    let forgetful = RedisConfig { durability: RedisDurability::MemoryOnly, ..config.clone() };
    open(&forgetful).await.unwrap();
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    assert!(matches!(open(&forgetful).await, Err(RedisOpenError::Evicts { .. })));
    let nowhere = RedisConfig { addresses: vec!["127.0.0.1:1".into()], ..config };
    assert!(matches!(open(&nowhere).await, Err(RedisOpenError::Call(_))));
}

/// It would be the primary one day.
#[tokio::test]
async fn a_replica_that_is_set_up_wrongly_is_refused() {
    if !can_start() {
        return;
    }
    let (primary, mut replica) = (Server::start(), Server::with(&["--appendonly", "no"]));
    follow(&replica, &primary).await;
    let config = RedisConfig { mode: RedisMode::Replicated, ..config(vec![primary.address(), replica.address()]) };
    let refused = open(&config).await.unwrap_err();
    assert!(matches!(&refused, RedisOpenError::Forgets { place, .. } if *place == replica.address()), "{refused}");
    replica.ask::<()>(&["CONFIG", "SET", "appendonly", "yes"]);
    open(&config).await.unwrap();
    replica.kill();
    open(&config).await.unwrap();
}

/// Two clusters never share keys.
#[tokio::test]
async fn keys_belong_to_one_log() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let store = RedisStore::connect(config.clone()).await.unwrap();
    for _ in 0..2 {
        store.mailbox(LogId(7), WEEK_MS, Clock::system()).await.unwrap();
    }
    let refused = store.mailbox(LogId(8), WEEK_MS, Clock::system()).await.unwrap_err();
    assert!(refused.to_string().contains("two clusters on one redis"), "{refused}");
    let other = RedisStore::connect(RedisConfig { prefix: "other:".into(), ..config }).await.unwrap();
    other.mailbox(LogId(8), WEEK_MS, Clock::system()).await.unwrap();
}

/// A restart of Redis, during which nobody can renew a lease, removes no member.
#[tokio::test]
async fn a_restart_of_redis_ends_no_lease() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = RedisConfig { lease_ms: 30_000, ..config(vec![server.address()]) };
    let membership = RedisStore::connect(config.clone()).await.unwrap().membership();
    membership.announce(member()).await.unwrap();
    // As after a long outage: the lease ended long ago by the server's clock.
    let key = format!("{}members", config.prefix);
    let field = NodeId(1).to_string();
    let value: Vec<u8> = server.ask(&["HGET", &key, &field]);
    let ended = [format!("{:020}", 1).as_bytes(), &value[20..]].concat();
    redis::cmd("HSET").arg(&key).arg(&field).arg(ended).exec(&mut server.connection()).unwrap();
    server.kill();
    server.restart();
    assert_eq!(until_answered(|| membership.members()).await.unwrap(), [member()]);
    assert_eq!(membership.members().await.unwrap(), [member()]);
}

pub(crate) fn member() -> Member {
    Member {
        id: NodeId(1),
        name: "one".into(),
        roles: [Role::Message].into_iter().collect(),
        address: "127.0.0.1:1".into(),
        clients: anser_backend::ClientAddresses::default(),
        draining: false,
        connections: 0,
        weight: 100,
        version: "0.1.0".into(),
        admin: String::new(),
        speaks: anser_backend::Spoken::FIRST,
        clock: Timestamp(1),
    }
}

/// A list of members that was wiped has for as long as a lease runs all who were there, and then those who came back.
#[tokio::test]
async fn a_wiped_redis_removes_no_member_that_is_there() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = RedisConfig { lease_ms: 60_000, ..config(vec![server.address()]) };
    let store = RedisStore::connect(config.clone()).await.unwrap();
    let (one, fresh) = (store.membership(), store.membership());
    // As if that had been long ago.
    let age = || server.ask::<()>(&["HSET", &format!("{}members", config.prefix), "since", "1"]);
    let both = [member(), Member { id: NodeId(2), ..member() }];
    for member in &both {
        one.announce(member.clone()).await.unwrap();
    }
    age();
    assert_eq!(one.members().await.unwrap(), both);
    server.ask::<()>(&["FLUSHALL"]);
    one.announce(both[1].clone()).await.unwrap();
    assert_eq!(one.members().await.unwrap(), both, "one of them has said nothing yet");
    assert_eq!(fresh.members().await.unwrap(), both[1..], "who has just come knows no more than the list");
    age();
    assert_eq!(one.members().await.unwrap(), both[1..], "it is silent for good");
}
