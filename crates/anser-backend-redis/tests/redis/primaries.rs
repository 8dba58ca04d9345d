//! Two primaries at once: a replica that is promoted while the old primary lives, and an old primary that comes back as one.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Mailbox, StoreError};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisMode};

use crate::rollback::{follow, in_step};
use crate::server::{Server, can_start};
use crate::{P0, P1, config, entries, mailbox, positions, until_answered, user};

/// A primary and its replica, and settings of which both are part.
async fn pair() -> (Server, Server, RedisConfig) {
    let (one, other) = (Server::start(), Server::start());
    follow(&other, &one).await;
    let addresses = vec![one.address(), other.address()];
    (one, other, RedisConfig { mode: RedisMode::Replicated, rollback_lead_ms: 1_000, ..config(addresses) })
}

fn promote(server: &Server) {
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
}

/// How many entries of bob there are on one server, whatever it is.
fn kept(server: &Server, config: &RedisConfig) -> u64 {
    let key = format!("{}{{b:{:03}}}:app\0bob\0t", config.prefix, user("bob").bucket().0);
    server.ask(&["ZCARD", &key])
}

/// Applies until it is done, and replays when the mailbox asks for it. Returns the newest position.
async fn placed(mailbox: &Arc<RedisMailbox>, partition: anser_types::PartitionId, times: &[u64]) -> u64 {
    loop {
        let applied = until_answered(|| mailbox.apply(entries("bob", partition, 5, 1, times))).await;
        match applied {
            Err(StoreError::RolledBack) => {
                until_answered(|| mailbox.begin_replay(partition)).await.unwrap();
            }
            applied => return applied.unwrap()[0].last().unwrap().as_ref().map_or(0, |placed| placed.position.0),
        }
    }
}

/// The old primary lives on, and one process has not noticed anything: it cannot write there any more.
#[tokio::test]
async fn nobody_writes_to_the_old_primary_once_another_one_is_used() {
    if !can_start() {
        return;
    }
    let (old, new, config) = pair().await;
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, &[100]).await;
    placed(&other, P1, &[150]).await;
    in_step(&new, &old).await;
    let before = one.rollbacks().await.unwrap();
    promote(&new);
    // What goes to the old one until somebody looks is gone later, and is noticed as such.
    let shown = placed(&other, P1, &[150, 900]).await;
    assert!(one.rollbacks().await.unwrap() > before, "the look finds the new one");
    let was_there = kept(&old, &config);
    let next = placed(&one, P0, &[100, 160]).await;
    assert!(next > shown, "{next} is above all that the old one showed, {shown}");
    let last = placed(&other, P1, &[150, 900, 901]).await;
    assert!(last > next, "{last} > {next}");
    assert_eq!((kept(&old, &config), was_there), (3, 3), "nothing more went to the old one");
    assert_eq!(positions(&*one, "bob").await.len(), 5);
    assert_eq!(positions(&*other, "bob").await, positions(&*one, "bob").await);
}

/// The old primary dies and is there again at once, as a primary, with more than the new one has.
#[tokio::test]
async fn an_old_primary_that_comes_back_is_not_used() {
    if !can_start() {
        return;
    }
    let (mut old, new, config) = pair().await;
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, &[100]).await;
    in_step(&new, &old).await;
    promote(&new);
    let shown = placed(&other, P1, &[900]).await;
    old.kill();
    old.restart();
    let was_there = kept(&old, &config);
    let next = placed(&one, P0, &[100, 101]).await;
    assert!(next > shown, "{next} is above what the old one showed, {shown}");
    assert!(placed(&other, P1, &[900, 901]).await > next);
    assert_eq!((kept(&old, &config), kept(&new, &config)), (was_there, 4));
    // Whoever starts now finds the same.
    let third = mailbox(&config).await;
    assert_eq!(positions(&*third, "bob").await, positions(&*one, "bob").await);
    // It follows, and takes the place of the other one when that dies.
    follow(&old, &new).await;
    drop(new);
    promote(&old);
    assert!(placed(&one, P0, &[100, 101, 102]).await > next);
    until_answered(|| third.head(&user("bob"))).await.unwrap();
    assert_eq!(positions(&*third, "bob").await.len(), 5);
}

/// The only server that is left was started again: after a while it is used.
#[tokio::test]
async fn the_only_primary_is_used_though_its_replica_is_gone() {
    if !can_start() {
        return;
    }
    let (mut old, mut new, config) = pair().await;
    let mailbox = mailbox(&config).await;
    let shown = placed(&mailbox, P0, &[100]).await;
    new.kill();
    old.kill();
    old.restart();
    assert!(placed(&mailbox, P0, &[100, 101]).await > shown);
}

/// Wiped: nobody is chosen any more, and somebody is at once.
#[tokio::test]
async fn a_wiped_primary_is_chosen_again() {
    if !can_start() {
        return;
    }
    let (old, _new, config) = pair().await;
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    let shown = placed(&one, P0, &[100]).await;
    old.ask::<()>(&["FLUSHALL"]);
    let again = placed(&one, P0, &[100, 101]).await;
    assert!(again > shown, "{again} > {shown}");
    assert!(placed(&other, P1, &[100]).await > again);
}

/// Many processes find a primary at the same time: all of them the same, and soon.
#[tokio::test]
async fn many_choose_at_once() {
    if !can_start() {
        return;
    }
    let (old, new, config) = pair().await;
    let opened = futures_util::future::join_all((0..12).map(|_| mailbox(&config))).await;
    promote(&new);
    drop(old);
    let began = tokio::time::Instant::now();
    let heads = opened.iter().map(|mailbox| async { until_answered(|| mailbox.head(&user("bob"))).await });
    assert!(futures_util::future::join_all(heads).await.into_iter().all(|head| head.is_ok()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let choice: (u64, String) = redis::cmd("HMGET")
        .arg(format!("{}choice", config.prefix))
        .arg(&["term", "life"])
        .query(&mut new.connection())
        .unwrap();
    assert!(choice.0 >= 2 && !choice.1.is_empty(), "{choice:?}");
}

/// All have waited for longer than anybody is waited for. It is one choice all the same, and not one of each against the others: each
/// takes positions further ahead of the time.
#[tokio::test]
async fn those_who_waited_for_long_make_one_choice() {
    if !can_start() {
        return;
    }
    let (mut old, mut new, config) = pair().await;
    let opened = futures_util::future::join_all((0..12).map(|_| mailbox(&config))).await;
    let term = |server: &Server| server.ask::<u64>(&["HGET", &format!("{}choice", config.prefix), "term"]);
    let before = term(&old);
    new.kill();
    old.kill();
    let killed = tokio::time::Instant::now();
    let long_after = opened.iter().map(|mailbox| async {
        while killed.elapsed() < Duration::from_secs(4) {
            assert!(mailbox.head(&user("bob")).await.is_err(), "nobody is there");
        }
    });
    futures_util::future::join_all(long_after).await;
    old.restart();
    let heads = opened.iter().map(|mailbox| async { until_answered(|| mailbox.head(&user("bob"))).await });
    assert!(futures_util::future::join_all(heads).await.into_iter().all(|head| head.is_ok()));
    assert_eq!(term(&old), before + 1);
}

/// The other server takes connections and does not answer, so that a look takes more than half the time that a call has: no call both begins
/// a choice and ends it.
#[tokio::test]
async fn a_primary_is_chosen_though_each_look_takes_long() {
    if !can_start() {
        return;
    }
    let (mut old, new, config) = pair().await;
    let mailbox = mailbox(&RedisConfig { connect_timeout_ms: 1_000, response_timeout_ms: 500, ..config }).await;
    let shown = placed(&mailbox, P0, &[100]).await;
    new.signal("-STOP");
    old.kill();
    old.restart();
    assert!(placed(&mailbox, P0, &[100, 101]).await > shown);
}

/// With `min-replicas-to-write` an old primary cannot even be told. It takes no writes then, and stands in nobody's way.
#[tokio::test]
async fn an_old_primary_that_takes_no_writes_is_left() {
    if !can_start() {
        return;
    }
    let (old, new, config) = pair().await;
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    let shown = placed(&one, P0, &[100]).await;
    in_step(&new, &old).await;
    old.ask::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    promote(&new);
    let last = until_answered(|| one.rollbacks()).await.unwrap();
    let next = placed(&one, P0, &[100, 101]).await;
    assert!(next > shown, "{next} > {shown}");
    assert!(placed(&other, P1, &[100]).await > next);
    assert!(until_answered(|| one.rollbacks()).await.unwrap() >= last);
    // It takes writes again, and is told at the next look.
    old.ask::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until_answered(|| one.rollbacks()).await.unwrap();
    let life: String = old.ask(&["HGET", &format!("{}choice", config.prefix), "life"]);
    assert_eq!(life, "");
    assert_eq!((kept(&old, &config), kept(&new, &config)), (1, 3));
}

/// The old primary stood still, and goes on with its old life and as one that says that it is used: whoever has not looked for long looks
/// before it writes, and the old one is told.
#[tokio::test]
async fn an_old_primary_that_stood_still_gets_nothing_more() {
    if !can_start() {
        return;
    }
    let (old, new, config) = pair().await;
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, &[100]).await;
    placed(&other, P1, &[100]).await;
    in_step(&new, &old).await;
    old.signal("-STOP");
    promote(&new);
    // This takes as long as a call may take, which is longer than anybody goes without a look.
    let next = placed(&one, P0, &[100, 101]).await;
    old.signal("-CONT");
    assert!(placed(&other, P1, &[100, 101]).await > next);
    until_answered(|| one.rollbacks()).await.unwrap();
    let life: String = old.ask(&["HGET", &format!("{}choice", config.prefix), "life"]);
    assert_eq!(life, "", "it was told");
    assert!(kept(&old, &config) <= 3, "no more than what was under way when it stood still");
    assert_eq!(kept(&new, &config), 4);
}
