//! A bucket of the mailbox that cannot be written, although the mailbox works.

use std::collections::BTreeSet;

use crate::world::World;
use crate::{PRIVATE, key, numbers};

/// A world in which dora's bucket is not alice's or carol's.
async fn started() -> World {
    let bucket = |name| key(name).bucket();
    assert!(bucket("dora") != bucket("alice") && bucket("dora") != bucket("carol"));
    World::started().await
}

fn damage(world: &World, is_damaged: bool) {
    world.mailbox.set_damaged(key("dora").bucket(), is_damaged);
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_bucket_that_cannot_be_written_holds_up_nobody_else_and_gets_everything_later() {
    let world = started().await;
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.arrived(1).await;
    damage(&world, true);
    for number in numbers(2..=20) {
        world.say("alice", PRIVATE, "dora", &number).await.unwrap();
        world.say("dora", PRIVATE, "carol", &number).await.unwrap();
    }
    world.applied().await;
    assert_eq!(world.timeline("carol").await.len(), 19, "others get theirs");
    assert_eq!(world.timeline("alice").await.len(), 20, "the sender, too");
    assert_eq!(world.timeline("dora").await, ["one"]);
    assert_eq!(world.handle().parked(), [(key("dora").bucket(), "a key of another kind".to_owned())]);

    damage(&world, false);
    world.until(async || world.timeline("dora").await.len() == 39).await;
    assert!(world.handle().parked().is_empty());
    let texts: BTreeSet<_> = world.timeline("dora").await.into_iter().collect();
    assert_eq!(texts, numbers(2..=20).into_iter().chain(["one".to_owned()]).collect());
    world.say("alice", PRIVATE, "dora", "last").await.unwrap();
    world.until(async || world.timeline("dora").await.last().is_some_and(|text| text == "last")).await;
    assert_eq!(world.timeline("carol").await.len(), 19, "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_bucket_that_is_parked_over_a_restart_gets_everything_when_it_is_mended() {
    let mut world = started().await;
    damage(&world, true);
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.applied().await;
    world.restart().await;
    assert_eq!(world.handle().parked().len(), 1, "it serves, and says so");
    world.say("alice", PRIVATE, "dora", "two").await.unwrap();
    damage(&world, false);
    world.until_timeline("dora", &["one", "two"]).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_bucket_that_waits_while_the_mailbox_forgets_gets_what_that_lost_before_what_waited() {
    let world = started().await;
    let saved = world.mailbox.save();
    world.say("alice", PRIVATE, "dora", "one").await.unwrap();
    world.arrived(1).await;
    damage(&world, true);
    world.say("alice", PRIVATE, "dora", "two").await.unwrap();
    world.applied().await;
    assert_eq!(world.handle().parked().len(), 1);
    world.mailbox.roll_back(&saved);
    damage(&world, true);
    world.until_timeline("alice", &["one", "two"]).await;
    damage(&world, false);
    world.until(async || world.timeline("dora").await.last().is_some_and(|text| text == "two")).await;
    assert_eq!(world.timeline("dora").await, ["one", "two"]);
}
