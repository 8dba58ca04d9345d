//! A mailbox that forgot something: partitions that are served are replayed, and whoever sends notices nothing; others are taken over anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anser_backend::memory::{Answers, MemoryLog, SavedMailbox};
use anser_backend::{Mailbox as _, MessageLog as _};
use anser_cluster::{Command, MessageService as _, OwnerService as _, Owners};
use anser_types::record::RosterChange;
use anser_types::{Claim, ConversationType, Offset, PartitionCount, PartitionId, Subject};

use crate::handover::{ME, OTHER, owners, owning};
use crate::log::Reads;
use crate::world::World;
use crate::{GROUP, P, PRIVATE, app, key, numbers, target, users};

/// The node owns the one partition, and is in touch with the directory until a test says otherwise.
async fn serving() -> World {
    let world = owning().await;
    world.join(&["alice", "bob"]).await;
    world
}

/// The same node after another start: what was said before it is applied, and the group is not known to it. When the mailbox forgets
/// what was said to the group, that has to be known for the replay; and the directory is away.
pub(crate) struct KnowingNoGroup {
    world: World,
    /// The mailbox as it was before all, and after the first message.
    empty: SavedMailbox,
    first: SavedMailbox,
}

impl KnowingNoGroup {
    async fn started() -> Self {
        let mut world = serving().await;
        let empty = world.mailbox.save();
        world.said(PRIVATE, "bob", "1").await;
        world.until_timeline("bob", &["1"]).await;
        let first = world.mailbox.save();
        world.said(GROUP, "g", "2").await;
        world.until_timeline("bob", &["1", "2"]).await;
        world.start_again().await;
        world.until(async || world.say("alice", PRIVATE, "bob", "3").await.is_ok()).await;
        world.both_have(3).await;
        // The archiver has read what it has to.
        world.until(async || world.history("bob", PRIVATE, "alice").await == ["3", "1"]).await;
        world.directory.set_answers(Answers::Refuses);
        Self { world, empty, first }
    }

    /// Forgets all but the first message.
    pub(crate) async fn forgot() -> World {
        let Self { world, first, .. } = Self::started().await;
        world.mailbox.roll_back(&first);
        world
    }
}

/// All partitions are and stay this node's.
pub(crate) fn all_mine(log: &MemoryLog) -> Owners {
    let mine: Arc<[_]> = log.partitions().all().map(|_| Some(ME)).collect();
    Owners { present: Arc::clone(&mine), next: mine }
}

impl World {
    async fn said(&self, kind: ConversationType, to: &str, text: &str) {
        self.say("alice", kind, to, text).await.unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.stop().await;
        self.start_as(ME);
        self.handle().owners_changed(all_mine(&self.log));
    }

    pub(crate) async fn both_have(&self, count: i64) {
        let all = numbers(1..=count);
        self.until_timeline("bob", &all).await;
        self.until_timeline("alice", &all).await;
    }
}

#[tokio::test(start_paused = true)]
async fn acked_is_durable_acks_go_on_while_what_the_mailbox_forgot_is_replayed() {
    let world = serving().await;
    let saved = world.mailbox.save();
    world.said(PRIVATE, "bob", "1").await;
    world.said(GROUP, "g", "2").await;
    world.both_have(2).await;
    // From here on nothing could be taken over: neither log nor directory can be read.
    world.reads.send_replace(Reads::Late);
    world.directory.set_answers(Answers::Refuses);
    world.mailbox.roll_back(&saved);
    world.said(PRIVATE, "bob", "3").await;
    world.said(GROUP, "g", "4").await;
    world.reads.send_replace(Reads::All);
    world.both_have(4).await;
    world.said(GROUP, "g", "5").await;
    world.both_have(5).await;
    assert_eq!(world.around.claims_told().get(&P), Some(&Claim(Offset(0))), "it was never given up");
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_replay_waits_for_a_group_that_is_not_known_and_nobody_who_sends_does() {
    let world = KnowingNoGroup::forgot().await;
    world.said(PRIVATE, "bob", "4").await;
    world.said(PRIVATE, "bob", "5").await;
    assert_eq!(world.timeline("bob").await, ["1"], "what comes later is not written over the hole");
    world.directory.set_answers(Answers::Yes);
    world.both_have(5).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_mailbox_forgets_more_while_it_is_replayed() {
    let world = KnowingNoGroup::forgot().await;
    let saved = world.mailbox.save();
    world.said(PRIVATE, "bob", "4").await;
    world.mailbox.roll_back(&saved);
    world.said(PRIVATE, "bob", "5").await;
    world.directory.set_answers(Answers::Yes);
    world.both_have(5).await;
    world.said(GROUP, "g", "6").await;
    world.both_have(6).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_comes_at_the_end_of_a_replay_follows_on_it() {
    let KnowingNoGroup { world, first, .. } = KnowingNoGroup::started().await;
    let readers = world.reads.receiver_count();
    world.mailbox.roll_back(&first);
    world.until(async || world.reads.receiver_count() == readers + 1).await;
    // It waits for the group, and knows nothing of what comes now.
    world.said(PRIVATE, "bob", "4").await;
    world.reads.send_replace(Reads::Late);
    world.directory.set_answers(Answers::Yes);
    world.until_timeline("bob", &["1", "2", "3"]).await;
    // There is no more to read than that; so this is kept.
    world.said(PRIVATE, "bob", "5").await;
    world.reads.send_replace(Reads::All);
    world.both_have(5).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_an_older_replay_writes_nothing_over_what_a_newer_one_brings() {
    let KnowingNoGroup { world, empty, first } = KnowingNoGroup::started().await;
    let readers = world.reads.receiver_count();
    world.mailbox.roll_back(&first);
    // It has read everything, and waits for the group.
    world.until(async || world.reads.receiver_count() == readers + 1).await;
    world.reads.send_replace(Reads::Late);
    world.mailbox.roll_back(&empty);
    world.until(async || world.reads.receiver_count() == readers + 2).await;
    world.directory.set_answers(Answers::Yes);
    world.said(GROUP, "g", "4").await;
    world.reads.send_replace(Reads::All);
    world.both_have(4).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_partition_leaves_while_it_is_replayed_and_comes_back() {
    let world = KnowingNoGroup::forgot().await;
    world.said(PRIVATE, "bob", "4").await;
    world.handle().owners_changed(owners(OTHER, OTHER));
    world.until(async || world.handle().partitions().is_empty()).await;
    world.directory.set_answers(Answers::Yes);
    world.handle().owners_changed(owners(OTHER, ME));
    world.both_have(4).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_the_claim_is_lost_while_a_partition_is_replayed() {
    let world = KnowingNoGroup::forgot().await;
    // Another claims, and dies.
    world.lay_claim(world.end().await.0).await;
    let number = world.send(world.publish("alice", PRIVATE, "bob", "4"));
    world.directory.set_answers(Answers::Yes);
    world.outcome(number).await.unwrap();
    world.both_have(4).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_log_that_cannot_be_read_at_first_is_read_again() {
    let world = serving().await;
    let saved = world.mailbox.save();
    world.said(PRIVATE, "bob", "1").await;
    world.both_have(1).await;
    world.reads.send_replace(Reads::Fail);
    world.mailbox.roll_back(&saved);
    world.said(PRIVATE, "bob", "2").await;
    world.until(async || world.read_failures.load(Ordering::Relaxed) > 1).await;
    world.reads.send_replace(Reads::All);
    world.both_have(2).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_mailbox_forgets_while_a_partition_is_taken_over() {
    let mut world = serving().await;
    let empty = world.mailbox.save();
    world.said(PRIVATE, "bob", "1").await;
    world.both_have(1).await;
    world.stop().await;
    world.reads.send_replace(Reads::Late);
    world.start_as(ME);
    world.handle().owners_changed(owners(ME, ME));
    let readers = world.reads.receiver_count();
    // It was looked from where to read, and nothing was to be applied.
    world.until(async || world.reads.receiver_count() == readers + 1).await;
    world.mailbox.roll_back(&empty);
    world.until(async || world.reads.receiver_count() == readers + 2).await;
    world.reads.send_replace(Reads::All);
    world.both_have(1).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_bucket_is_mended_while_the_mailbox_is_rebuilt() {
    let bucket = key("dora").bucket();
    assert!(bucket != key("alice").bucket() && bucket != key("bob").bucket());
    let mut world = serving().await;
    world.said(PRIVATE, "dora", "1").await;
    world.said(GROUP, "g", "2").await;
    world.until_timeline("bob", &["2"]).await;
    world.start_again().await;
    world.until(async || world.say("alice", PRIVATE, "bob", "3").await.is_ok()).await;
    world.until_timeline("bob", &["2", "3"]).await;
    world.until(async || world.history("bob", PRIVATE, "alice").await == ["3"]).await;
    world.directory.set_answers(Answers::Refuses);
    world.mailbox.set_damaged(bucket, true);
    world.mailbox.ask_rebuild();
    // The replay has come to the first message, and waits for the group of the second.
    world.until(async || !world.handle().parked().is_empty()).await;
    world.mailbox.set_damaged(bucket, false);
    world.until(async || world.handle().parked().is_empty()).await;
    world.directory.set_answers(Answers::Yes);
    world.until_timeline("alice", &["1", "2", "3"]).await;
    world.until_timeline("bob", &["2", "3"]).await;
    world.until_timeline("dora", &["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_rebuild_goes_on_beside_partitions_that_wait_for_their_groups() {
    let mut world = World::new();
    world.start_as(ME);
    world.handle().owners_changed(all_mine(&world.log));
    let partition = |subject: &Subject| subject.partition(PartitionCount::EMBEDDED);
    let with = |name: &str| partition(&Subject::private(app(), key("alice").user, key(name).user));
    let other = ["bob", "carol", "dora", "erna", "finn", "gina"].into_iter().max_by_key(|name| with(name)).unwrap();
    let group = |name: &str| Subject::group(app(), target(name));
    // More than are replayed at a time, and all of them before the other one.
    let groups = (0..100).map(|number| format!("g{number}"));
    let groups = groups.map(|name| (partition(&group(&name)), name)).filter(|(partition, _)| *partition < with(other));
    let groups: BTreeMap<PartitionId, String> = groups.collect();
    assert!(groups.len() >= 4, "{groups:?}");
    for name in groups.values() {
        let change = RosterChange::Join { name: "G".into(), users: users(&["alice", "bob"]) };
        let join = || Command::Roster { subject: group(name), change: change.clone() };
        world.until(async || world.handle().command(join()).await.is_ok()).await;
        world.said(GROUP, name, "x").await;
    }
    world.applied().await;
    world.start_again().await;
    world.until(async || world.say("alice", PRIVATE, other, "1").await.is_ok()).await;
    world.until(async || world.history(other, PRIVATE, "alice").await == ["1"]).await;
    world.directory.set_answers(Answers::Refuses);
    let head = world.mailbox.head(&key(other)).await.unwrap();
    world.mailbox.ask_rebuild();
    world.said(PRIVATE, other, "2").await;
    world.until_timeline_after(other, head, &["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_what_is_replayed_with_a_partition_that_waits_goes_on() {
    let mut world = World::new();
    world.start_as(ME);
    world.handle().owners_changed(all_mine(&world.log));
    world.until(async || world.say("alice", PRIVATE, "alice", "are we here?").await.is_ok()).await;
    world.join(&["alice", "bob"]).await;
    let partition = |subject: Subject| subject.partition(PartitionCount::EMBEDDED);
    let of_group = partition(Subject::group(app(), target("g")));
    // What is read of the group is read before this.
    let is_behind = |name: &&&str| partition(Subject::private(app(), key("alice").user, key(name).user)) > of_group;
    let names = ["carol", "dora", "erna", "finn", "gina", "hugo", "ines", "jens"];
    let other = names.iter().find(is_behind).unwrap();
    let saved = world.mailbox.save();
    let much = "x".repeat(100_000);
    for _ in 0..80 {
        world.said(GROUP, "g", &much).await;
    }
    world.applied().await;
    world.start_again().await;
    world.until(async || world.say("alice", PRIVATE, other, "1").await.is_ok()).await;
    world.until_timeline(other, &["1"]).await;
    world.until(async || world.history(other, PRIVATE, "alice").await == ["1"]).await;
    world.directory.set_answers(Answers::Refuses);
    world.mailbox.roll_back(&saved);
    world.said(PRIVATE, other, "2").await;
    world.until_timeline(other, &["1", "2"]).await;
    assert!(world.timeline("bob").await.is_empty());
    world.directory.set_answers(Answers::Yes);
    world.until(async || !world.timeline("bob").await.is_empty()).await;
}
