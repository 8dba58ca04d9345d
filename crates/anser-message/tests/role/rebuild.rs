//! Tables that lost what they had while the role serves, and are made anew from the log.

use std::sync::Arc;

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryRebuilds};
use anser_backend::{HistoryQuery, Order, RebuildAsked, Rebuilds};
use anser_message::{Backends, RoleError};
use anser_types::{Offset, PartitionCount, Status, Subject, Timestamp};

use crate::world::World;
use crate::{GROUP, PRIVATE, app, key, target};

struct Lossy {
    world: World,
    history: MemoryHistory,
    directory: MemoryDirectory,
    rebuilds: MemoryRebuilds,
}

impl Lossy {
    async fn started() -> Self {
        let (history, directory) = (MemoryHistory::default(), MemoryDirectory::default());
        let rebuilds = MemoryRebuilds::new(history.clone(), directory.clone());
        let mut world = World::new();
        world.backends = Backends {
            history: Arc::new(history.clone()),
            directory: Arc::new(directory.clone()),
            rebuilds: Some(Arc::new(rebuilds.clone())),
            ..world.backends
        };
        world.start().await;
        Self { world, history, directory, rebuilds }
    }

    fn lose_all(&self) {
        self.history.forget();
        self.directory.forget();
    }

    async fn ask(&self, since: Timestamp) -> RebuildAsked {
        self.rebuilds.ask(since, self.world.clock.now()).await.unwrap()
    }

    /// Has all that is missing brought, and waits until it is there.
    async fn rebuild(&self, since: Timestamp) {
        let asked = self.ask(since).await;
        let all: Vec<_> = PartitionCount::EMBEDDED.all().collect();
        let is_done = async || {
            let states = self.rebuilds.states(asked, all.clone()).await.unwrap();
            states.iter().filter(|(_, state)| state.is_done).count() == all.len()
        };
        self.world.until(is_done).await;
    }

    async fn numbers(&self, from: &str, to: &str) -> Vec<u64> {
        let subject = Subject::private(app(), key(from).user, key(to).user);
        let query = HistoryQuery { subject, time: Some(Timestamp::ZERO), order: Order::After, count: 100 };
        let page = self.world.backends.history.page(query).await.unwrap();
        page.rows.iter().map(|stored| stored.row.number).collect()
    }

    async fn members(&self) -> Vec<String> {
        let group = self.world.backends.directory.group(&app(), &target("g")).await.unwrap();
        group.unwrap_or_default().present().map(|member| member.user.as_str().to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_tables_lost_while_they_were_written_comes_back() {
    let mut lossy = Lossy::started().await;
    let world = &lossy.world;
    world.join(&["alice", "bob"]).await;
    for text in ["one", "two"] {
        world.say("alice", PRIVATE, "bob", text).await.unwrap();
        world.say("bob", GROUP, "g", text).await.unwrap();
    }
    world.applied().await;
    lossy.lose_all();
    // All of this is written over what is missing.
    world.join(&["carol"]).await;
    world.say("alice", PRIVATE, "bob", "three").await.unwrap();
    world.say("alice", GROUP, "g", "three").await.unwrap();
    world.applied().await;
    assert_eq!(world.history("bob", PRIVATE, "alice").await, ["three"]);
    assert_eq!(lossy.members().await, ["carol"]);

    lossy.rebuild(Timestamp::ZERO).await;
    assert_eq!(world.history("bob", PRIVATE, "alice").await, ["three", "two", "one"]);
    assert_eq!(world.history("alice", GROUP, "g").await, ["three", "two", "one"]);
    assert_eq!(lossy.numbers("alice", "bob").await, [1, 2, 3]);
    assert_eq!(lossy.members().await, ["alice", "bob", "carol"]);
    // It goes on from there, and owners know who is in the group.
    world.say("bob", PRIVATE, "alice", "four").await.unwrap();
    world.applied().await;
    assert_eq!(lossy.numbers("alice", "bob").await, [1, 2, 3, 4]);
    lossy.world.restart().await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["four", "three", "two", "one"]);
    lossy.world.say("bob", GROUP, "g", "four").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_knew_a_group_from_a_directory_with_holes_learns_who_is_in_it() {
    let mut lossy = Lossy::started().await;
    lossy.world.join(&["alice", "bob"]).await;
    lossy.world.applied().await;
    lossy.world.restart().await;
    lossy.lose_all();
    // Nothing was known of it yet, and now it is not there.
    assert_eq!(lossy.world.say("alice", GROUP, "g", "x").await.unwrap_err().status, Status::NOT_IN_GROUP);
    lossy.rebuild(Timestamp::ZERO).await;
    lossy.world.until(async || lossy.world.say("alice", GROUP, "g", "x").await.is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_since_a_time_brings_what_the_tables_lack_by_their_own_word_as_well() {
    let lossy = Lossy::started().await;
    lossy.world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    lossy.world.applied().await;
    lossy.lose_all();
    lossy.rebuild(lossy.world.clock.now().plus(1_000_000)).await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_has_let_go_of_what_tables_lack_is_gone_on_with_when_somebody_asks_for_it() {
    let mut lossy = Lossy::started().await;
    lossy.world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    lossy.world.applied().await;
    lossy.world.restart().await;
    for partition in PartitionCount::EMBEDDED.all() {
        // The newest claim is what is left.
        let end = lossy.world.backends.log.bounds(partition).await.unwrap().end;
        lossy.world.log.trim(partition, Offset(end.0 - 1));
    }
    lossy.world.stop().await;
    lossy.lose_all();
    let refused = lossy.world.refused().await;
    assert!(matches!(refused, RoleError::Lost { .. }), "{refused}");
    assert!(refused.to_string().contains("anser cluster rebuild directory"), "{refused}");
    lossy.ask(Timestamp::ZERO).await;
    lossy.world.start().await;
    lossy.world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    lossy.world.applied().await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["two"]);
}
