//! Groups: who may say something, and who may read what.

use anser_cluster::{DirectoryService, HistoryRead};
use anser_types::record::RosterChange;
use anser_types::{Status, Timestamp};

use crate::world::{World, newest};
use crate::{GROUP, app, target, users};

#[tokio::test(start_paused = true)]
async fn a_group_and_who_may_read_what_of_it() {
    let world = World::started().await;
    assert_eq!(world.say("alice", GROUP, "g", "x").await.unwrap_err().status, Status::NOT_IN_GROUP);
    world.join(&["alice", "bob"]).await;
    world.say("alice", GROUP, "g", "one").await.unwrap();
    world.clock.advance(10);
    world.group(RosterChange::Join { name: String::new(), users: users(&["carol"]) }).await;
    world.group(RosterChange::Quit { users: users(&["bob"]) }).await;
    world.say("alice", GROUP, "g", "two").await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["one"]);
    assert_eq!(world.timeline("carol").await, ["two"]);
    assert_eq!(world.history("alice", GROUP, "g").await, ["two", "one"]);
    assert_eq!(world.history("carol", GROUP, "g").await, ["two"], "nothing of before the joining");
    assert!(world.history("bob", GROUP, "g").await.is_empty());
    let group = world.handle().group(&app(), &target("g")).await.unwrap().unwrap();
    assert_eq!((group.name.as_str(), group.members.len()), ("G", 2));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_joined_late_reads_from_the_joining_on_in_both_orders() {
    // More rows than one look at a history takes.
    let many = 130;
    let world = World::started().await;
    world.join(&["alice"]).await;
    for i in 0..many {
        world.say("alice", GROUP, "g", &i.to_string()).await.unwrap();
    }
    world.clock.advance(10);
    world.join(&["carol"]).await;
    world.say("alice", GROUP, "g", "first").await.unwrap();
    world.arrived(many + 1).await;
    let read = HistoryRead { count: Some(1), ..newest("carol", GROUP, "g") };
    assert_eq!(world.page(read.clone()).await, (vec!["first".to_owned()], false));
    let from_the_beginning = HistoryRead { ascending: true, time: Some(Timestamp(1)), ..read };
    assert_eq!(world.page(from_the_beginning).await, (vec!["first".to_owned()], false));
}
