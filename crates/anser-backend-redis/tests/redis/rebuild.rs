//! A rebuild on a real Redis: damaged by hand, wiped, rolled back in the middle.

use std::sync::Arc;

use anser_backend::{Mailbox, ReplayFrom, StoreError};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisStore};
use anser_runtime::Clock;
use anser_types::{Claim, LogId, Mark, Offset, Timestamp};

use crate::server::{Server, can_start};
use crate::{P0, P1, WEEK_MS, apply, config, entries, mailbox, positions, user};

const ASKED: Timestamp = Timestamp(5_000);

/// A mailbox by whose clock rebuilds are asked for.
async fn operator(config: &RedisConfig) -> Arc<RedisMailbox> {
    let store = RedisStore::connect(config.clone()).await.unwrap();
    store.mailbox(LogId(7), WEEK_MS, Clock::manual(ASKED).0).await.unwrap()
}

async fn begin(mailbox: &RedisMailbox) {
    assert_eq!(mailbox.begin_replay(P0).await.unwrap(), ReplayFrom::Anew);
}

fn mark(next: u64) -> Mark {
    Mark { claim: Claim(Offset(5)), next: Offset(next) }
}

/// Keys that somebody removed, or wrote nonsense to, come from the log again, above all that was shown.
#[tokio::test]
async fn what_was_damaged_by_hand_is_made_anew() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let mailbox = mailbox(&config).await;
    for name in ["bob", "al"] {
        apply(&*mailbox, entries(name, P0, 5, 1, &[100, 101])).await;
    }
    let of_bob: Vec<String> = server.ask(&["KEYS", &format!("{}*bob*", config.prefix)]);
    for key in &of_bob {
        server.ask::<u64>(&["DEL", key]);
    }
    let of_al: Vec<String> = server.ask(&["KEYS", &format!("{}*al*t", config.prefix)]);
    server.ask::<()>(&["SET", &of_al[0], "nonsense"]);
    assert_eq!(positions(&*mailbox, "bob").await, [0; 0]);
    assert_eq!(operator(&config).await.ask_rebuild().await.unwrap(), ASKED);
    assert_eq!(mailbox.rebuilds().await.unwrap(), 1);
    begin(&mailbox).await;
    for name in ["bob", "al"] {
        let placed = apply(&*mailbox, entries(name, P0, 5, 1, &[100, 101])).await;
        let placed: Vec<u64> = placed.into_iter().flatten().map(|placed| placed.position.0).collect();
        assert!(placed[0] > 101, "{placed:?}");
        assert_eq!(positions(&*mailbox, name).await, placed);
    }
}

/// What the log says nothing of any more stays until the rebuild ends, and then goes; where users are stays.
#[tokio::test]
async fn what_the_log_has_lost_goes_at_the_end() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let (mailbox, operator) = (mailbox(&config).await, operator(&config).await);
    apply(&*mailbox, entries("bob", P0, 5, 1, &[100])).await;
    let head = mailbox.head(&user("bob")).await.unwrap();
    let rebuild = operator.ask_rebuild().await.unwrap();
    begin(&mailbox).await;
    mailbox.applied(P0, mark(7)).await.unwrap();
    mailbox.settle().await.unwrap();
    assert_eq!(operator.rebuild_places().await.unwrap(), Some((rebuild, [(P0, mark(7))].into())));
    assert_eq!(positions(&*mailbox, "bob").await, [100]);
    operator.end_rebuild(rebuild).await.unwrap();
    operator.end_rebuild(rebuild).await.unwrap();
    assert_eq!(positions(&*mailbox, "bob").await, [0; 0]);
    assert!(mailbox.head(&user("bob")).await.unwrap() > head);
    // Who had not begun it is refused there as well.
    let refused = mailbox.apply(entries("bob", P1, 5, 1, &[110])).await;
    assert!(matches!(refused, Err(StoreError::RolledBack)), "{refused:?}");
    apply(&*mailbox, entries("bob", P0, 5, 7, &[120])).await;
    assert_eq!(positions(&*mailbox, "bob").await.len(), 1);
}

/// A rebuild that Redis forgot in one part is asked for again by whoever knows of it, by itself or from what other parts say.
#[tokio::test]
async fn a_rebuild_that_redis_forgot_is_asked_for_again() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let first = mailbox(&config).await;
    apply(&*first, entries("bob", P0, 5, 1, &[100])).await;
    first.applied(P0, mark(2)).await.unwrap();
    first.settle().await.unwrap();
    let places = format!("{}commits", config.prefix);
    let kept: Vec<u8> = server.ask(&["DUMP", &places]);
    let put_back = || {
        let connection = &mut server.connection();
        redis::cmd("RESTORE").arg(&places).arg(0).arg(&kept).arg("REPLACE").exec(connection).unwrap();
    };
    operator(&config).await.ask_rebuild().await.unwrap();
    begin(&first).await;
    apply(&*first, entries("bob", P0, 5, 1, &[100])).await;
    put_back();
    begin(&first).await;

    // This one was started after the loss.
    put_back();
    let second = mailbox(&config).await;
    assert_eq!(second.begin_replay(P0).await.unwrap(), ReplayFrom::Mark(mark(2)));
    let refused = second.apply(entries("bob", P0, 6, 2, &[101])).await;
    assert!(matches!(refused, Err(StoreError::RolledBack)), "{refused:?}");
    begin(&second).await;
    assert_eq!(second.rebuilds().await.unwrap(), 1, "its other partitions learn of it");
    apply(&*second, entries("bob", P0, 6, 2, &[101])).await;
    assert_eq!(positions(&*second, "bob").await.len(), 2);
}

/// After a wipe, whatever was there.
#[tokio::test]
async fn a_wiped_redis_is_rebuilt() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let config = config(vec![server.address()]);
    let mailbox = mailbox(&config).await;
    apply(&*mailbox, entries("bob", P0, 5, 1, &[100, 101])).await;
    server.ask::<()>(&["FLUSHALL"]);
    let operator = operator(&config).await;
    operator.ask_rebuild().await.unwrap();
    assert_eq!(mailbox.rebuilds().await.unwrap(), 1);
    begin(&mailbox).await;
    let placed = apply(&*mailbox, entries("bob", P0, 5, 1, &[100, 101])).await;
    assert!(placed[0].as_ref().unwrap().position.0 > 101, "{placed:?}");
    assert_eq!(operator.ask_rebuild().await.unwrap(), Timestamp(ASKED.0 + 1), "another one, by the same clock");
}
