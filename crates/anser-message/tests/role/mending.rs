//! Stores in which somebody has to mend something. What that is about waits, and says so; the rest of the node goes on: were it to end, so
//! would the next owner.

use std::sync::atomic::Ordering;

use anser_backend::MessageLog as _;
use anser_backend::memory::{Answers, SavedMailbox};
use anser_cluster::OwnerService as _;
use anser_message::Trouble;
use anser_types::{Claim, Mark, Offset, PartitionCount, PartitionId, Subject};

use crate::handover::{ME, owning};
use crate::replay::{KnowingNoGroup, all_mine};
use crate::world::World;
use crate::{HOUR_MS, P, PRIVATE, app, key};

/// The partition of what alice and somebody say.
pub(crate) fn partition_with(name: &str) -> PartitionId {
    Subject::private(app(), key("alice").user, key(name).user).partition(PartitionCount::EMBEDDED)
}

/// Somebody with whom alice talks in another partition.
fn another_than(name: &str) -> &'static str {
    ["carol", "dora", "erna"].into_iter().find(|other| partition_with(other) != partition_with(name)).unwrap()
}

/// One of several nodes, the log of which has let go of the first messages to bob and of the claim that they lie behind.
struct Trimmed {
    world: World,
    /// The mailbox as it was before all, and after the first of them.
    empty: SavedMailbox,
    old: SavedMailbox,
}

impl Trimmed {
    async fn serving() -> Self {
        let mut world = World::new();
        let empty = world.mailbox.save();
        world.start_as(ME);
        world.handle().owners_changed(all_mine(&world.log));
        world.says("bob", "1").await;
        let old = world.mailbox.save();
        world.says("bob", "and").await;
        world.start_again().await;
        world.says("bob", "2").await;
        world.until(async || world.history("bob", PRIVATE, "alice").await == ["2", "and", "1"]).await;
        world.log.trim(partition_with("bob"), Offset(3));
        Self { world, empty, old }
    }
}

/// One of several nodes that has heard "1" to bob, which is everywhere.
async fn heard_one() -> World {
    let world = owning().await;
    world.says("bob", "1").await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["1"]).await;
    world
}

impl World {
    /// Alice says something, which is in timelines on return, and noted as applied.
    async fn says(&self, to: &str, text: &str) {
        self.until(async || self.say("alice", PRIVATE, to, text).await.is_ok()).await;
        self.applied().await;
    }

    fn troubled(&self) -> Vec<(Trouble, PartitionId)> {
        self.handle().troubles().into_iter().map(|(trouble, partition, _)| (trouble, partition)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_partition_that_the_mailbox_lacks_too_much_of_takes_nothing_in_until_that_is_rebuilt() {
    let Trimmed { world, old, .. } = Trimmed::serving().await;
    world.mailbox.roll_back(&old);
    let partition = partition_with("bob");
    world.until(async || world.troubled() == [(Trouble::NotTakenOver, partition)]).await;
    assert!(world.handle().troubles()[0].2.contains("anser cluster rebuild mailbox"));
    let refused = world.say("alice", PRIVATE, "bob", "3").await.unwrap_err();
    assert!(refused.status.is_retryable(), "{refused:?}");
    let other = another_than("bob");
    world.says(other, "4").await;
    world.until_timeline(other, &["4"]).await;
    world.mailbox.ask_rebuild();
    world.says("bob", "3").await;
    world.until_timeline("bob", &["2", "3"]).await;
    assert!(world.troubled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_whoever_sent_what_was_on_its_way_to_such_a_partition_goes_on_elsewhere() {
    let Trimmed { world, old, .. } = Trimmed::serving().await;
    world.mailbox.roll_back(&old);
    world.loses_next.store(true, Ordering::Relaxed);
    let lost = world.send(world.publish("alice", PRIVATE, "bob", "3"));
    world.until(async || world.troubled() == [(Trouble::NotTakenOver, partition_with("bob"))]).await;
    assert!(world.outcome(lost).await.unwrap_err().status.is_retryable());
    world.says(another_than("bob"), "4").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_mailbox_that_was_wiped_gets_what_the_log_has() {
    let Trimmed { mut world, empty, .. } = Trimmed::serving().await;
    world.mailbox.roll_back(&empty);
    world.says("bob", "3").await;
    world.until_timeline("bob", &["2", "3"]).await;
    // The same while nobody serves.
    world.stop().await;
    world.mailbox.roll_back(&empty);
    world.start_as(ME);
    world.handle().owners_changed(all_mine(&world.log));
    world.until_timeline("bob", &["2", "3"]).await;
    assert!(world.troubled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_where_nothing_was_said_for_longer_than_the_log_keeps_it_goes_on_as_before() {
    let mut world = heard_one().await;
    let forgets = world.mailbox.save();
    world.log.trim(P, Offset(2));
    world.clock.advance(HOUR_MS);
    // A replay of what is served, and a take-over.
    world.mailbox.roll_back(&forgets);
    world.says("bob", "2").await;
    world.until_timeline("bob", &["1", "2"]).await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["2", "1"]).await;
    world.log.trim(P, world.log.bounds(P).await.unwrap().end);
    world.clock.advance(HOUR_MS);
    world.start_again().await;
    world.says("bob", "3").await;
    world.until_timeline("bob", &["1", "2", "3"]).await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["3", "2", "1"]).await;
    assert!(world.troubled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn never_skip_silently_a_record_that_the_log_keeps_without_its_claim_is_missed() {
    let world = heard_one().await;
    let forgets = world.mailbox.save();
    world.says("bob", "2").await;
    world.log.trim(P, Offset(1));
    world.mailbox.roll_back(&forgets);
    world.until(async || world.troubled() == [(Trouble::NotTakenOver, P)]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_damaged_bytes_hold_up_what_is_archived_and_nothing_else() {
    let world = owning().await;
    world.says("bob", "1").await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["1"]).await;
    world.directory.set_answers(Answers::Damaged);
    world.says("bob", "2").await;
    world.until(async || world.troubled() == [(Trouble::NotArchived, P)]).await;
    world.says("bob", "3").await;
    world.until_timeline("bob", &["1", "2", "3"]).await;
    world.directory.set_answers(Answers::Yes);
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["3", "2", "1"]).await;
    world.until(async || world.troubled().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn never_skip_silently_a_group_that_cannot_be_read_holds_up_the_replay_of_its_partition_and_says_so() {
    let world = KnowingNoGroup::forgot().await;
    world.directory.set_answers(Answers::Damaged);
    world.until(async || world.troubled().contains(&(Trouble::NotTakenOver, P))).await;
    world.directory.set_answers(Answers::Yes);
    world.both_have(3).await;
    world.until(async || world.troubled().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_is_said_after_the_log_lost_its_newest_records_is_not_taken_for_them() {
    let mut world = heard_one().await;
    for text in ["2", "3", "4"] {
        world.says("bob", text).await;
    }
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["4", "3", "2", "1"]).await;
    world.stop().await;
    world.log.lose(P, Offset(2));
    world.start_as(ME);
    world.handle().owners_changed(all_mine(&world.log));
    for text in ["5", "6"] {
        world.says("bob", text).await;
    }
    world.until_timeline("bob", &["1", "2", "3", "4", "5", "6"]).await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["6", "5", "4", "3", "2", "1"]).await;
    assert!(world.troubled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_partition_of_which_the_log_is_an_old_copy_takes_nothing_in() {
    let mut world = World::new();
    let partition = partition_with("bob");
    let far = Mark { claim: Claim(Offset(0)), next: Offset(5_000_000) };
    world.backends.history.write(partition, far, Vec::new()).await.unwrap();
    world.start_as(ME);
    world.handle().owners_changed(all_mine(&world.log));
    world.until(async || world.troubled() == [(Trouble::NotTakenOver, partition)]).await;
    assert!(world.handle().troubles()[0].2.contains("from one backup"));
    let other = another_than("bob");
    world.says(other, "1").await;
    world.until_timeline(other, &["1"]).await;
}
