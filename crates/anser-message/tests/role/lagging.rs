//! History and the directory are so far behind that the log would lose what they do not have.

use anser_backend::MessageLog as _;
use anser_backend::memory::Answers;
use anser_cluster::{Command, MessageService as _, Refusal};
use anser_message::MessageConfig;
use anser_types::record::UserChange;
use anser_types::{Offset, Timestamp};

use crate::mending::partition_with;
use crate::world::World;
use crate::{HOUR_MS, PRIVATE, key};

impl World {
    /// Whether all tables have all that is in the log, and need none of it: not even the claims.
    async fn keeps_nothing(&self) -> bool {
        for (partition, first) in self.handle().expire().await.unwrap().keep_from {
            if first < self.log.bounds(partition).await.unwrap().end {
                return false;
            }
        }
        true
    }

    fn takes_nothing_in(&self) -> bool {
        self.handle().partitions().iter().any(|partition| partition.is_stopped)
    }

    async fn unblock_bob(&self) -> Result<Timestamp, Refusal> {
        self.handle().command(Command::User { user: key("bob"), change: UserChange::Unblocked }).await
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_in_which_nothing_is_said_any_more_keep_nothing_of_the_log() {
    let world = World::started().await;
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    world.until(async || world.keeps_nothing().await).await;
    world.directory.set_answers(Answers::Refuses);
    world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    world.directory.set_answers(Answers::Yes);
    let kept = world.handle().expire().await.unwrap().keep_from;
    assert!(kept.contains(&(partition_with("bob"), Offset(0))), "by the claim it is known that it counts: {kept:?}");
}

#[tokio::test(start_paused = true)]
async fn never_skip_silently_intake_stops_before_the_log_would_lose_what_is_not_archived_and_goes_on_when_it_is() {
    let mut world = World::one_partition();
    world.config = MessageConfig { archive_lag_hours_max: 1, ..world.config };
    world.start().await;
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["one"]).await;
    world.directory.set_answers(Answers::Refuses);
    world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    world.clock.advance(HOUR_MS - 60_000);
    world.arrived(2).await;
    assert!(!world.takes_nothing_in(), "it may be an hour behind");

    world.clock.advance(60_000);
    world.until(async || world.takes_nothing_in()).await;
    // Each command is tried for five seconds.
    assert!(world.unblock_bob().await.unwrap_err().status.is_retryable());
    let waits = world.send(world.publish("alice", PRIVATE, "bob", "three"));
    assert!(world.unblock_bob().await.unwrap_err().status.is_retryable());
    assert_eq!(world.around.outcome(waits), None, "it is decided when there is room");

    world.directory.set_answers(Answers::Yes);
    world.outcome(waits).await.unwrap();
    assert!(!world.takes_nothing_in());
    assert_eq!(world.timeline("bob").await, ["one", "two", "three"]);
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["three", "two", "one"]).await;
}
