//! Stores in which somebody has to mend something. What that is about waits, and says so; the rest of the node goes on: were it to end, so
//! would the next owner.

use anser_backend::memory::{Answers, SavedMailbox};
use anser_cluster::OwnerService as _;
use anser_message::Trouble;
use anser_types::{Offset, PartitionCount, PartitionId, Subject};

use crate::handover::{ME, owning};
use crate::replay::{KnowingNoGroup, all_mine};
use crate::world::World;
use crate::{P, PRIVATE, app, key};

/// The partition of what alice and somebody say.
fn partition_with(name: &str) -> PartitionId {
    Subject::private(app(), key("alice").user, key(name).user).partition(PartitionCount::EMBEDDED)
}

/// One of several nodes, the log of which has let go of the first message to bob and of the claim that it lies behind.
struct Trimmed {
    world: World,
    /// The mailbox as it was before all, and after that message.
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
        world.start_again().await;
        world.says("bob", "2").await;
        world.until(async || world.history("bob", PRIVATE, "alice").await == ["2", "1"]).await;
        world.log.trim(partition_with("bob"), Offset(2));
        Self { world, empty, old }
    }
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
    let is_elsewhere = |name: &&&str| partition_with(name) != partition;
    let other = ["carol", "dora", "erna"].iter().find(is_elsewhere).unwrap();
    world.says(other, "4").await;
    world.until_timeline(other, &["4"]).await;
    world.mailbox.ask_rebuild();
    world.says("bob", "3").await;
    world.until_timeline("bob", &["2", "3"]).await;
    assert!(world.troubled().is_empty());
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
