//! A bucket of the mailbox that cannot be written, although the mailbox works.

use std::time::Duration;

use super::*;

/// A world with its mailbox, in which dora's bucket is not alice's or carol's.
async fn world() -> (World, MemoryMailbox) {
    let mailbox = MemoryMailbox::default();
    let kept = mailbox.clone();
    let world =
        World::of(MessageConfig::default(), move |backends| Backends { mailbox: Arc::new(mailbox), ..backends }).await;
    let bucket = |name| key(name).bucket();
    assert!(bucket("dora") != bucket("alice") && bucket("dora") != bucket("carol"));
    (world, kept)
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while !is_so().await {
        looks.tick().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_bucket_that_cannot_be_written_holds_up_nobody_else_and_gets_everything_later() {
    let (mut world, mailbox) = world().await;
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.arrived(1).await;
    mailbox.set_damaged(key("dora").bucket(), true);
    for n in 2..=20 {
        world.say("alice", PRIVATE, "dora", &n.to_string()).await.unwrap();
        world.say("dora", PRIVATE, "carol", &n.to_string()).await.unwrap();
    }
    world.applied().await;
    assert_eq!(world.timeline("carol").await.len(), 19, "others get theirs");
    assert_eq!(world.timeline("alice").await.len(), 20, "the sender, too");
    assert_eq!(world.timeline("dora").await, ["one"]);
    let parked = world.handle.parked();
    assert_eq!(parked, [(key("dora").bucket(), "a key of another kind".to_owned())]);

    mailbox.set_damaged(key("dora").bucket(), false);
    until(async || world.timeline("dora").await.len() == 39).await;
    assert!(world.handle.parked().is_empty());
    let expected: Vec<String> = (2..=20).map(|n| n.to_string()).collect();
    let texts = world.timeline("dora").await;
    let of = |texts: Vec<String>| texts.into_iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(of(texts), of(expected.into_iter().chain(["one".to_owned()]).collect()));
    world.say("alice", PRIVATE, "dora", "last").await.unwrap();
    until(async || world.timeline("dora").await.last().map(String::as_str) == Some("last")).await;
    assert_eq!(world.timeline("carol").await.len(), 19, "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_bucket_that_is_parked_over_a_restart_gets_everything_when_it_is_mended() {
    let (mut world, mailbox) = world().await;
    mailbox.set_damaged(key("dora").bucket(), true);
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.applied().await;
    world.restart().await;
    assert_eq!(world.handle.parked().len(), 1, "it serves, and says so");
    world.say("alice", PRIVATE, "dora", "two").await.unwrap();
    mailbox.set_damaged(key("dora").bucket(), false);
    until(async || world.timeline("dora").await == ["one", "two"]).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_bucket_that_waits_while_the_mailbox_forgets_gets_what_that_lost_before_what_waited() {
    let (mut world, mailbox) = world().await;
    let saved = mailbox.save();
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.arrived(1).await;
    mailbox.set_damaged(key("dora").bucket(), true);
    world.say("alice", PRIVATE, "dora", "two").await.unwrap();
    world.applied().await;
    assert_eq!(world.handle.parked().len(), 1);
    mailbox.roll_back(&saved);
    mailbox.set_damaged(key("dora").bucket(), true);
    until(async || world.timeline("alice").await == ["one", "two"]).await;
    mailbox.set_damaged(key("dora").bucket(), false);
    until(async || world.timeline("dora").await.last().map(String::as_str) == Some("two")).await;
    assert_eq!(world.timeline("dora").await, ["one", "two"]);
}
