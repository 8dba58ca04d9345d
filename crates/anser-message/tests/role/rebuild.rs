//! Tables that lost what they had while the role serves, and are made anew from the log.

use std::time::Duration;

use anser_backend::memory::MemoryRebuilds;
use anser_backend::{RebuildAsked, Rebuilds};
use anser_types::Offset;

use super::*;

struct Lossy {
    world: World,
    history: MemoryHistory,
    directory: MemoryDirectory,
    rebuilds: MemoryRebuilds,
}

impl Lossy {
    async fn new() -> Self {
        let (history, directory) = (MemoryHistory::default(), MemoryDirectory::default());
        let rebuilds = MemoryRebuilds::new(history.clone(), directory.clone());
        let world = World::of(MessageConfig::default(), |backends| Backends {
            history: Arc::new(history.clone()),
            directory: Arc::new(directory.clone()),
            rebuilds: Some(Arc::new(rebuilds.clone())),
            ..backends
        });
        Self { world: world.await, history, directory, rebuilds }
    }

    fn lose_all(&self) {
        self.history.forget();
        self.directory.forget();
    }

    /// Has all that is missing brought, and waits until it is there.
    async fn rebuild(&self, since: Timestamp) -> RebuildAsked {
        let now = Timestamp(self.world.clock.load(Ordering::Relaxed));
        let asked = self.rebuilds.ask(since, now).await.unwrap();
        let all: Vec<_> = PartitionCount::EMBEDDED.all().collect();
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            let states = self.rebuilds.states(asked, all.clone()).await.unwrap();
            if states.iter().filter(|(_, state)| state.is_done).count() == all.len() {
                return asked;
            }
        }
    }

    async fn numbers(&self, from: &str, to: &str) -> Vec<u64> {
        let subject = Subject::private(app(), key(from).user, key(to).user);
        let query = anser_backend::HistoryQuery {
            subject,
            time: Some(Timestamp::ZERO),
            order: anser_backend::Order::After,
            count: 100,
        };
        let page = self.world.backends.history.page(query).await.unwrap();
        page.rows.iter().map(|stored| stored.row.number).collect()
    }

    async fn members(&self) -> Vec<String> {
        let group = self.world.backends.directory.group(&app(), &TargetId::new("g").unwrap()).await.unwrap();
        group.unwrap_or_default().present().map(|member| member.user.as_str().to_owned()).collect()
    }

    async fn join(&self, names: &[&str]) {
        let users = names.iter().map(|name| key(name).user).collect();
        self.world.group(RosterChange::Join { name: "G".into(), users }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_tables_lost_while_they_were_written_comes_back() {
    let mut lossy = Lossy::new().await;
    lossy.join(&["alice", "bob"]).await;
    for text in ["one", "two"] {
        lossy.world.say("alice", PRIVATE, "bob", text).await.unwrap();
        lossy.world.say("bob", GROUP, "g", text).await.unwrap();
    }
    lossy.world.applied().await;
    lossy.lose_all();
    // All of this is written over what is missing.
    lossy.join(&["carol"]).await;
    lossy.world.say("alice", PRIVATE, "bob", "three").await.unwrap();
    lossy.world.say("alice", GROUP, "g", "three").await.unwrap();
    lossy.world.applied().await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["three"]);
    assert_eq!(lossy.members().await, ["carol"]);

    lossy.rebuild(Timestamp::ZERO).await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["three", "two", "one"]);
    assert_eq!(lossy.world.history("alice", GROUP, "g").await, ["three", "two", "one"]);
    assert_eq!(lossy.numbers("alice", "bob").await, [1, 2, 3]);
    assert_eq!(lossy.members().await, ["alice", "bob", "carol"]);
    // It goes on from there, and owners know who is in the group.
    lossy.world.say("bob", PRIVATE, "alice", "four").await.unwrap();
    lossy.world.applied().await;
    assert_eq!(lossy.numbers("alice", "bob").await, [1, 2, 3, 4]);
    lossy.world.restart().await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["four", "three", "two", "one"]);
    lossy.world.say("bob", GROUP, "g", "four").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_knew_a_group_from_a_directory_with_holes_learns_who_is_in_it() {
    let mut lossy = Lossy::new().await;
    lossy.join(&["alice", "bob"]).await;
    lossy.world.applied().await;
    lossy.world.restart().await;
    lossy.lose_all();
    // Nothing was known of it yet, and now it is not there.
    assert_eq!(lossy.world.say("alice", GROUP, "g", "x").await.unwrap_err().status, Status::NOT_IN_GROUP);
    lossy.rebuild(Timestamp::ZERO).await;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while lossy.world.say("alice", GROUP, "g", "x").await.is_err() {
        looks.tick().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_since_a_time_brings_what_the_tables_lack_by_their_own_word_as_well() {
    let mut lossy = Lossy::new().await;
    lossy.world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    lossy.world.applied().await;
    lossy.lose_all();
    let late = Timestamp(lossy.world.clock.load(Ordering::Relaxed) + 1_000_000);
    lossy.rebuild(late).await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_has_let_go_of_what_tables_lack_is_gone_on_with_when_somebody_asks_for_it() {
    let mut lossy = Lossy::new().await;
    lossy.world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    lossy.world.applied().await;
    lossy.world.restart().await;
    let partitions: Vec<_> = PartitionCount::EMBEDDED.all().collect();
    for partition in &partitions {
        // The newest claim is what is left.
        let end = lossy.world.backends.log.bounds(*partition).await.unwrap().end;
        lossy.world.log.trim(*partition, Offset(end.0 - 1));
    }
    lossy.world.stop().await;
    lossy.lose_all();
    let refused = lossy.world.refused().await;
    assert!(matches!(refused, RoleError::Lost { .. }), "{refused}");
    assert!(refused.to_string().contains("anser cluster rebuild directory"), "{refused}");
    let now = Timestamp(lossy.world.clock.load(Ordering::Relaxed));
    lossy.rebuilds.ask(Timestamp::ZERO, now).await.unwrap();
    lossy.world.start().await;
    lossy.world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    lossy.world.applied().await;
    assert_eq!(lossy.world.history("bob", PRIVATE, "alice").await, ["two"]);
}
