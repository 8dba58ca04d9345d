//! Messages from one user to another: acked, in both timelines and lists, in history, and once.

use std::time::Duration;

use anser_backend::memory::MemoryLog;
use anser_cluster::{Command, MessageService};
use anser_types::record::UserChange;
use anser_types::{PartitionCount, Position, Subject, Timestamp};

use crate::world::World;
use crate::{HOUR_MS, ID, PRIVATE, app, key, text};

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_message_reaches_both_timelines_both_lists_and_history() {
    let world = World::started().await;
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    world.say("bob", PRIVATE, "alice", "two").await.unwrap();
    world.arrived(2).await;
    for (me, peer) in [("alice", "bob"), ("bob", "alice")] {
        assert_eq!(world.timeline(me).await, ["one", "two"]);
        assert_eq!(world.history(me, PRIVATE, peer).await, ["two", "one"]);
        let list = world.list(me, Timestamp::ZERO, 10).await;
        assert_eq!((list.len(), list[0].conversation.target.as_str(), list[0].unread), (1, peer, 1));
    }
    assert!(world.history("carol", PRIVATE, "bob").await.is_empty(), "one-way-in");
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_nothing_and_recognises_resends() {
    let mut world = World::started().await;
    let mut publish = world.publish("alice", PRIVATE, "bob", "one");
    let first = world.outcome(world.send(publish.clone())).await.unwrap();
    world.restart().await;
    publish.origin.publish = 77;
    assert_eq!(world.outcome(world.send(publish)).await, Ok(first));
    assert_eq!(world.timeline("bob").await, ["one"]);
    assert_eq!(world.history("bob", PRIVATE, "alice").await, ["one"]);
    world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    world.arrived(2).await;
    let subject = Subject::private(app(), key("alice").user, key("bob").user);
    assert_eq!(world.backends.history.head(&subject).await.unwrap().number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_log_refuses_nothing_for_good_and_service_resumes_by_itself() {
    let world = World::started().await;
    world.say("alice", PRIVATE, "bob", "before").await.unwrap();
    world.log.set_full(true);
    let number = world.send(world.publish("alice", PRIVATE, "bob", "during"));
    let command = Command::User { user: key("bob"), change: UserChange::Unblocked };
    let refused = world.handle().command(command.clone()).await.unwrap_err();
    assert!(refused.status.is_retryable());
    world.log.set_full(false);
    world.outcome(number).await.unwrap();
    world.handle().command(command).await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["before", "during"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_twice_a_cursor_from_an_ack_counts_though_nothing_is_applied_and_the_clock_went_back() {
    let mut world = World::with_log(MemoryLog::new(ID, PartitionCount::EMBEDDED, || Timestamp(0)));
    let (tasks, is_ready) = world.role();
    world.tasks.spawn(tasks.deciding);
    world.tasks.spawn(tasks.archiving);
    let mut applying = tasks.applying;
    tokio::select! {
        _ = &mut applying => panic!("it goes on"),
        ready = is_ready => ready.unwrap(),
    }
    // From here on nothing is applied.
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    world.clock.set_back(HOUR_MS);
    let newest = world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    let reply = tokio::select! {
        biased;
        reply = world.pull("alice", Position(newest.sent.0)) => reply,
        _ = &mut applying => panic!("it goes on"),
    };
    assert_eq!(reply.after, Position(newest.sent.0));
    assert!(reply.items.is_empty(), "{:?}", reply.items);
    let (applied, ()) = tokio::join!(applying, world.stop());
    applied.unwrap();
}

#[tokio::test(start_paused = true)]
async fn acked_is_durable_though_the_mailbox_is_away_and_everything_arrives_when_it_is_back() {
    const MANY: usize = 1_000;
    let world = World::started().await;
    world.say("alice", PRIVATE, "bob", "0").await.unwrap();
    world.arrived(1).await;
    world.mailbox.set_away(true);
    for number in 1..MANY {
        world.say("alice", PRIVATE, "bob", &number.to_string()).await.unwrap();
    }
    assert_eq!(world.around.arrivals(), 1, "nothing is delivered meanwhile");
    world.mailbox.set_away(false);
    world.arrived(MANY).await;
    let mut seen = Vec::new();
    let mut after = Position::START;
    while seen.len() < MANY {
        let page = world.pull("bob", after).await;
        after = page.items.last().expect("more").position;
        seen.extend(page.items.iter().map(|item| text(&item.message)));
    }
    assert_eq!(seen, (0..MANY).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn intake_stops_when_too_much_waits_for_the_mailbox_and_goes_on_when_it_is_back() {
    let world = World::started().await;
    world.mailbox.set_away(true);
    let large = "x".repeat(120 * 1024);
    let mut accepted = 0;
    let refusal = loop {
        match world.say("alice", PRIVATE, "bob", &large).await {
            Ok(_) => accepted += 1,
            Err(refusal) => break refusal,
        }
        assert!(accepted < 600, "it stops at 64 MiB");
        // So that time passes for the role.
        tokio::time::advance(Duration::from_millis(100)).await;
    };
    assert!(accepted > 500 && refusal.status.is_retryable(), "{accepted}, {refusal:?}");
    world.mailbox.set_away(false);
    world.arrived(accepted).await;
    world.say("alice", PRIVATE, "bob", "goes on").await.unwrap();
    world.arrived(accepted + 1).await;
}
