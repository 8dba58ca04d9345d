//! Publishes on their way to the node of their user, and outcomes on their way back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anser_cluster::Refusal;
use anser_peer::PeerConfig;

use crate::world::{Plan, World, check_once_and_in_order, config, until, user_at};

#[tokio::test(flavor = "multi_thread")]
async fn in_order_publishes_reach_the_node_of_their_user_and_outcomes_come_back() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    let connections: Vec<_> = (0..20).map(|_| access.ids.next()).collect();
    for round in 0..50 {
        for (number, connection) in connections.iter().enumerate() {
            access.publish(*connection, &format!("u{number}"), round * 10 + 1..=round * 10 + 10);
        }
    }
    until("all are settled", || access.settled().len() >= 10_000).await;
    let settled = access.settled();
    for connection in connections {
        check_once_and_in_order(&world.log, &settled, connection, 500);
    }
    assert_eq!(access.peer.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_twice_and_in_order_over_breaks_of_the_stream() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    let connection = access.ids.next();
    for round in 0..100 {
        access.publish(connection, "alice", round * 50 + 1..=round * 50 + 50);
        if round % 10 == 5 {
            message.proxy.cut();
        }
        tokio::task::yield_now().await;
    }
    until("all are settled", || access.settled().len() >= 5_000).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_outcomes_that_a_break_took_with_it_come_again() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    let connection = access.ids.next();
    message.messages.holds.store(true, Ordering::Relaxed);
    access.publish(connection, "alice", 1..=20);
    until("they have arrived", || message.messages.held.lock().len() == 20).await;
    message.proxy.cut();
    until("they have come again", || message.messages.held.lock().len() == 40).await;
    message.messages.release();
    until("all are settled", || access.settled().len() >= 20).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 20);
    assert_eq!(world.log.repeats(), 20, "the owner knew them again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_gets_what_its_last_run_left_open() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let first = world.node(Plan::message("m1")).await;
    access.reaches(&[&first]).await;
    let connection = access.ids.next();
    first.messages.holds.store(true, Ordering::Relaxed);
    access.publish(connection, "alice", 1..=20);
    until("they have arrived", || first.messages.held.lock().len() == 20).await;
    first.crash().await;
    access.publish(connection, "alice", 21..=30);
    let second = world.node(Plan::message("m1")).await;
    assert_ne!(first.id, second.id);
    until("all are settled", || access.settled().len() >= 30).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_when_users_get_another_node_while_publishes_are_open() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let first = world.node(Plan::message("m1")).await;
    access.reaches(&[&first]).await;
    first.messages.holds.store(true, Ordering::Relaxed);
    let users: Vec<_> = (0..30).map(|number| (access.ids.next(), format!("u{number}"))).collect();
    for (connection, user) in &users {
        access.publish(*connection, user, 1..=10);
    }
    until("they have arrived", || first.messages.held.lock().len() == 300).await;
    let second = world.node(Plan::message("m2")).await;
    let moved = |user: &str| access.peer.routes().message_node(&crate::world::key(user)) == Some(second.id);
    until("some users have another node", || users.iter().any(|(_, user)| moved(user))).await;
    for (connection, user) in &users {
        access.publish(*connection, user, 11..=20);
    }
    assert!(world.log.order().is_empty(), "what is newer waits for what the first node has");
    first.messages.release();
    until("all are settled", || access.settled().len() >= 600).await;
    for (connection, _) in users {
        check_once_and_in_order(&world.log, &access.settled(), connection, 20);
    }
    assert_eq!(second.peer.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_all_roles_keeps_order_between_its_own_queue_and_another() {
    let world = World::new();
    let all = world.node(Plan::new("n1", &anser_backend::Role::ALL)).await;
    until("it is its own node", || all.peer.routes().message_node(&crate::world::key("u0")) == Some(all.id)).await;
    all.messages.holds.store(true, Ordering::Relaxed);
    let users: Vec<_> = (0..30).map(|number| (all.ids.next(), format!("u{number}"))).collect();
    for (connection, user) in &users {
        all.publish(*connection, user, 1..=5);
    }
    assert_eq!(all.messages.held.lock().len(), 150, "a call, and nothing else");
    let other = world.node(Plan::message("n2")).await;
    let moved = |user: &str| all.peer.routes().message_node(&crate::world::key(user)) == Some(other.id);
    until("some users have another node", || users.iter().any(|(_, user)| moved(user))).await;
    for (connection, user) in &users {
        all.publish(*connection, user, 6..=10);
    }
    all.messages.release();
    until("all are settled", || all.settled().len() >= 300).await;
    for (connection, _) in users {
        check_once_and_in_order(&world.log, &all.settled(), connection, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_is_alone_a_node_that_takes_nothing_costs_only_its_own_users() {
    let world = World::with_leases(600_000);
    let config = PeerConfig { kept_max: 2_000, suspect_after: Duration::from_secs(100), ..config() };
    let access = world.node(Plan::access("a1").with(config)).await;
    let (slow, quick) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&slow, &quick]).await;
    let (of_slow, of_quick) = (user_at(&access, &slow), user_at(&access, &quick));
    let (waiting, served) = (access.ids.next(), access.ids.next());
    slow.proxy.stop_up();
    access.publish(waiting, &of_slow, 1..=3_000);
    until("the rest is refused", || access.settled().len() >= 1_000).await;
    let refused = access.settled();
    assert!(refused.iter().all(|one| one.publish > 2_000 && one.outcome == Err(Refusal::UNAVAILABLE)));
    access.publish(served, &of_quick, 1..=1_500);
    let of = |connection| move |one: &anser_cluster::Settled| one.connection == connection && one.outcome.is_ok();
    until("others are served", || access.settled().into_iter().filter(of(served)).count() >= 1_500).await;
    assert_eq!(access.peer.unsettled(), 2_000);
    slow.proxy.open();
    until("the slow node caught up", || access.settled().into_iter().filter(of(waiting)).count() >= 2_000).await;
    assert_eq!(access.settled().len(), 4_500, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_why_publishes_without_an_outcome_are_refused_in_time() {
    let world = World::new();
    let config = PeerConfig { publish_timeout: Duration::from_millis(300), ..config() };
    let access = world.node(Plan::access("a1").with(config)).await;
    let connection = access.ids.next();
    access.publish(connection, "alice", 1..=10);
    until("nobody is there", || access.settled().len() >= 10).await;
    assert!(access.settled().iter().all(|one| one.outcome == Err(Refusal::UNAVAILABLE)));
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    message.messages.holds.store(true, Ordering::Relaxed);
    access.publish(connection, "alice", 11..=20);
    until("nobody decides", || access.settled().len() >= 20).await;
    message.messages.release();
    access.publish(connection, "alice", 21..=21);
    until("somebody decides", || access.settled().len() >= 21).await;
    let numbers: Vec<_> = access.settled().iter().map(|one| one.publish).collect();
    assert_eq!(numbers, (1..=21).collect::<Vec<_>>(), "each told once, whatever comes late");
}
