//! Take-overs of partitions whose log holds what does not count, or nothing of late; and mailboxes that forgot.

use anser_backend::memory::MemoryLog;
use anser_backend::{BucketBatch, Mailbox, PartitionRows};
use anser_cluster::{MessageService, Outcome};
use anser_message::{RoleError, Share};
use anser_types::{Claim, ClientMessageId, ConversationType, Mark, Offset, Origin, PartitionCount, Timestamp};

use crate::log::{claim_of_another, said};
use crate::world::{World, from_server};
use crate::{HOUR_MS, ID, P, PRIVATE, key, numbers};

async fn started() -> World {
    let mut world = World::one_partition();
    world.start().await;
    world
}

/// What alice says to bob, with an id of the client by which it is recognised.
async fn say(world: &World, number: i64) -> Outcome {
    let mut publish = world.publish("alice", PRIVATE, "bob", &number.to_string());
    publish.origin.client_id = Some(ClientMessageId(number));
    world.outcome(world.send(publish)).await
}

/// A log in which a dead owner's record landed behind the claim of its successor, and before what that wrote.
async fn with_a_zombie(world: &World) {
    let now = world.clock.now();
    world.lay_claim(0).await;
    world.lay(0, 1, said(1, now.minus(90))).await;
    world.lay_claim(2).await;
    world.lay(0, 2, said(7, now.minus(80))).await;
    world.lay(2, 1, said(2, now.minus(70))).await;
    world.lay_claim(5).await;
    world.lay(5, 1, said(3, now.minus(60))).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_by_itself_that_is_ready_has_all_of_its_share() {
    let share = started().await.handle().share();
    assert_eq!(share, Share { is_known: true, has_come: true, own: 1, served: 1, open: 1 });
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_take_over_knows_what_counts_wherever_the_tables_go_on() {
    for next in 0..=7 {
        let mut world = World::one_partition();
        with_a_zombie(&world).await;
        let claim = Claim(Offset([0, 0, 0, 2, 2, 2, 5, 5][next]));
        let mark = Mark { claim, next: Offset(next as u64) };
        world.backends.mailbox.applied(P, mark).await.unwrap();
        world.backends.history.write(P, mark, Vec::new()).await.unwrap();
        world.backends.directory.apply(P, mark, Vec::new()).await.unwrap();
        world.start().await;
        let expected: Vec<&str> =
            ["", "1", "", "", "2", "", "3"].into_iter().skip(next).filter(|t| !t.is_empty()).collect();
        assert_eq!(world.timeline("bob").await, expected, "from {next} on");
    }
}

#[tokio::test(start_paused = true)]
async fn acked_is_durable_a_resend_is_not_told_of_a_record_that_does_not_count() {
    // The log took the first records so long ago that the window for resends begins with the zombie.
    for long_ago in 0..=4 {
        let mut world = World::one_partition();
        world.clock.set_back(10 * HOUR_MS);
        world.lay_claim(0).await;
        let first = said(1, world.clock.now());
        for (at, (claim, sequence, body)) in [(0, 1, first), (2, 0, claim_of_another())].into_iter().enumerate() {
            world.clock.advance(if at == long_ago { 10 * HOUR_MS } else { 0 });
            world.lay(claim, sequence, body).await;
        }
        if long_ago >= 2 {
            world.clock.advance(10 * HOUR_MS);
        }
        let now = world.clock.now();
        world.lay(0, 2, said(7, now.minus(80))).await;
        world.lay(2, 1, said(2, now.minus(70))).await;
        world.start().await;
        world.restart().await;
        assert!(say(&world, 7).await.unwrap().sent >= now, "it was never accepted before");
        assert_eq!(say(&world, 2).await.unwrap().sent, now.minus(70), "this one was");
        assert_eq!(world.timeline("bob").await, ["1", "2", "7"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_order_the_newest_sent_time_is_found_however_long_ago_it_was() {
    // The log's clock says nothing that would be of use.
    let mut world = World::with_log(MemoryLog::new(ID, PartitionCount::new(1).unwrap(), || Timestamp(1)));
    world.start().await;
    let before = say(&world, 1).await.unwrap();
    for _ in 0..20 {
        world.restart().await;
    }
    world.clock.set_back(100 * HOUR_MS);
    world.restart().await;
    let after = say(&world, 2).await.unwrap();
    assert!(after.sent > before.sent, "{after:?} is not after {before:?}");
    assert!(after.sent.since(before.sent) < 1_000);
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_a_mailbox_forgot_is_replayed_before_anything_newer_is_written_over_the_hole() {
    let mut world = started().await;
    say(&world, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    let saved = world.mailbox.save();
    say(&world, 2).await.unwrap();
    say(&world, 3).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3"]).await;
    world.mailbox.roll_back(&saved);
    say(&world, 4).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3", "4"]).await;
    world.until_timeline("alice", &["1", "2", "3", "4"]).await;
    say(&world, 5).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3", "4", "5"]).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_mailbox_that_forgot_what_nobody_writes_to_again_is_found_by_looking() {
    let mut world = World::one_partition();
    let saved = world.mailbox.save();
    world.start().await;
    say(&world, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    world.mailbox.roll_back(&saved);
    assert!(world.timeline("bob").await.is_empty());
    world.until_timeline("bob", &["1"]).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_publish_of_the_server_waits_while_its_partition_is_taken_over_again() {
    let mut world = started().await;
    // Another claims, so that what is decided next does not count; and claims no more.
    world.lay_claim(1).await;
    let publish = from_server("alice", ConversationType::System, "bob", "news");
    let outcome = world.handle().publish_for_server(publish, Origin::NONE).await;
    assert!(outcome.is_ok(), "not refused for that moment");
    world.until_timeline("bob", &["news"]).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_a_newer_owner_was_to_apply_is_not_noted_as_applied() {
    let mut world = started().await;
    // The owner that claimed next has written to bob's bucket, and dies before it has come to the message.
    let newer = PartitionRows { partition: P, claim: Claim(Offset(1)), next: Offset(1), rows: Vec::new() };
    world.mailbox.apply(BucketBatch { bucket: key("bob").bucket(), parts: vec![newer] }).await.unwrap();
    say(&world, 1).await.unwrap();
    world.restart().await;
    world.until_timeline("bob", &["1"]).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_and_nothing_twice_a_mailbox_is_rebuilt_while_messages_come() {
    let mut world = started().await;
    for (asked, number) in (0..3).zip([1, 3, 5]) {
        say(&world, number).await.unwrap();
        world.until_timeline("bob", &numbers(1..=number)).await;
        let head = world.mailbox.head(&key("bob")).await.unwrap();
        world.mailbox.ask_rebuild();
        say(&world, number + 1).await.unwrap();
        let said = numbers(1..=number + 1);
        world.until_timeline("alice", &said).await;
        world.until_timeline("bob", &said).await;
        // What bob has now may be what was there before, and the newest.
        world.until_timeline_after("bob", head, &said).await;
        assert_eq!(world.mailbox.rebuilds().await.unwrap(), asked + 1);
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_mailbox_is_rebuilt_where_nobody_says_anything() {
    let mut world = started().await;
    say(&world, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    let head = world.mailbox.head(&key("bob")).await.unwrap();
    world.mailbox.ask_rebuild();
    world.until_timeline_after("bob", head, &["1"]).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_begins_where_timelines_do_and_is_what_a_trimmed_log_takes() {
    let mut world = World::one_partition();
    let week = 7 * 24 * HOUR_MS;
    world.clock.set_back(week + HOUR_MS);
    with_a_zombie(&world).await;
    world.clock.advance(2 * HOUR_MS);
    world.lay_claim(7).await;
    world.lay(7, 1, said(4, world.clock.now())).await;
    world.clock.advance(week - HOUR_MS);
    let mark = Mark { claim: Claim(Offset(5)), next: Offset(7) };
    world.backends.history.write(P, mark, Vec::new()).await.unwrap();
    world.backends.directory.apply(P, mark, Vec::new()).await.unwrap();
    world.log.trim(P, Offset(3));
    world.mailbox.applied(P, Mark { claim: Claim(Offset(0)), next: Offset(2) }).await.unwrap();
    let refused = world.refused().await;
    assert!(matches!(refused, RoleError::MailboxLost { start: Offset(3), applied: Offset(2), .. }), "{refused}");
    world.mailbox.ask_rebuild();
    world.start().await;
    world.until_timeline("bob", &["4"]).await;
    world.stop().await;
}
