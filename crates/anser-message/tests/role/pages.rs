//! What is longer than one answer: histories and lists, page by page.

use anser_cluster::{Command, HistoryRead, LIST_BYTES_MAX, MessageService};
use anser_message::MessageConfig;
use anser_types::Timestamp;
use anser_types::record::UserChange;

use crate::world::{World, newest};
use crate::{PRIVATE, key, private};

/// More rows than one look at a history takes.
const MANY: usize = 130;

/// The newest that bob has of alice, in a page of this size.
fn of_bob(count: usize) -> HistoryRead {
    HistoryRead { count: Some(count), ..newest("bob", PRIVATE, "alice") }
}

async fn change_bob(world: &World, change: UserChange) {
    world.handle().command(Command::User { user: key("bob"), change }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pages_lead_back_to_the_beginning_without_gap_or_repeat() {
    let world = World::started().await;
    for i in 0..45 {
        world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap();
    }
    world.arrived(45).await;
    let (mut seen, mut read, mut sizes) = (Vec::new(), of_bob(20), Vec::new());
    loop {
        let reply = world.handle().history(read.clone()).await.unwrap();
        sizes.push(reply.items.len());
        read.time = reply.items.last().map(|item| item.message.sent);
        seen.extend(reply.items.iter().map(|item| item.number));
        if !reply.more {
            break;
        }
    }
    assert_eq!(sizes, [20, 20, 5]);
    assert_eq!(seen, (1..=45).rev().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_history_that_was_cleaned_is_empty_and_says_so_however_long_it_was() {
    let world = World::started().await;
    let mut last = Timestamp::ZERO;
    for i in 0..MANY {
        last = world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap().sent;
    }
    world.arrived(MANY).await;
    change_bob(&world, UserChange::HideUntil { conversation: private("alice"), until: last }).await;
    let read = of_bob(1);
    assert_eq!(world.page(read.clone()).await, (vec![], false));
    assert_eq!(world.page(HistoryRead { ascending: true, ..read.clone() }).await, (vec![], false));
    world.say("alice", PRIVATE, "bob", "new").await.unwrap();
    world.arrived(MANY + 1).await;
    assert_eq!(world.page(read.clone()).await, (vec!["new".to_owned()], false));
    let ascending = HistoryRead { ascending: true, ..read.clone() };
    assert_eq!(world.page(ascending).await, (vec!["new".to_owned()], false));
    assert_eq!(world.page(HistoryRead { time: Some(last), ..read }).await, (vec![], false));
}

#[tokio::test(start_paused = true)]
async fn what_lies_behind_many_deleted_messages_is_found() {
    let world = World::started().await;
    world.say("alice", PRIVATE, "bob", "oldest").await.unwrap();
    let mut messages = Vec::new();
    for i in 0..MANY {
        let accepted = world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap();
        messages.push((accepted.uid, accepted.sent));
    }
    world.arrived(MANY + 1).await;
    change_bob(&world, UserChange::HideMessages { conversation: private("alice"), messages }).await;
    assert_eq!(world.page(of_bob(1)).await, (vec!["oldest".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn slow_is_alone_a_page_of_history_has_no_more_bytes_than_a_pull() {
    let mut world = World::new();
    world.config = MessageConfig { pull_bytes_max: 10_000, ..MessageConfig::default() };
    world.start().await;
    for i in 0..8 {
        world.say("alice", PRIVATE, "bob", &format!("{i}{}", "x".repeat(3_000))).await.unwrap();
    }
    world.arrived(8).await;
    let (mut sizes, mut read) = (Vec::new(), of_bob(20));
    loop {
        let reply = world.handle().history(read.clone()).await.unwrap();
        sizes.push(reply.items.len());
        read.time = reply.items.last().map(|item| item.message.sent);
        if !reply.more {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 2]);
    let mut world = World::new();
    world.config.pull_bytes_max = 1;
    world.start().await;
    assert_eq!(world.page(of_bob(1)).await, (vec![], false));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_list_is_read_in_parts_and_ends_where_it_grows_too_large() {
    let world = World::started().await;
    let peers: Vec<String> = (0..250).map(|i| format!("peer{i}")).collect();
    for peer in &peers {
        world.say("alice", PRIVATE, peer, "hi").await.unwrap();
    }
    world.arrived(250).await;
    let list = async |before, count| {
        let list = world.list("alice", before, count).await;
        list.into_iter().map(|item| (item.conversation.target.to_string(), item.last.sent)).collect::<Vec<_>>()
    };
    let newest_first: Vec<String> = peers.iter().rev().cloned().collect();
    let all = list(Timestamp::ZERO, 1_000).await;
    assert_eq!(all.iter().map(|(peer, _)| peer.clone()).collect::<Vec<_>>(), newest_first);
    assert_eq!(list(Timestamp::ZERO, 150).await, all[..150]);
    assert_eq!(list(all[149].1, 1_000).await, all[150..]);

    let text = "x".repeat(LIST_BYTES_MAX / 64);
    for peer in peers.iter().take(70) {
        world.say("alice", PRIVATE, peer, &text).await.unwrap();
    }
    world.arrived(320).await;
    let first = list(Timestamp::ZERO, 1_000).await;
    assert_eq!(first.len(), 64);
    assert_eq!(list(first[63].1, 1_000).await.len(), 250 - 64);
}
