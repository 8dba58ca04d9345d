//! What terminals are told.

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{AccessService as _, Arrival, Deliver, SignOut};
use anser_peer::PeerConfig;
use anser_types::{
    AppKey, ConnectionId, ConversationType, Message, MessageClass, MessageFlags, MessageUid, NodeId, Origin, Position,
    Timestamp, UserId,
};
use bytes::Bytes;

use crate::world::{Node, Plan, World, config, key, until};

fn arrival(number: u64, to: Vec<Deliver>) -> Arrival {
    let message = Message {
        app: AppKey::new("app").unwrap(),
        kind: ConversationType::Private,
        sender: UserId::new("x").unwrap(),
        target: UserId::new("y").unwrap().into(),
        sent: Timestamp(number),
        uid: MessageUid::from_bytes([0; 10]),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: vec![b'x'; 1_000].into(),
        origin: Origin::NONE,
        sender_copy: true,
        extras: None,
    };
    Arrival { app: message.app.clone(), message: Arc::new(message), to }
}

fn deliver(user: &str, position: u64, online: &[NodeId]) -> Deliver {
    Deliver {
        user: UserId::new(user).unwrap(),
        position: Some(Position(position)),
        previous: Position(position - 1),
        sent_on: None,
        online: Some(online.into()),
    }
}

/// The newest position that the terminals of a user have heard of.
fn heard(node: &Node, user: &str) -> Option<Position> {
    let arrivals = node.terminals.arrivals.lock();
    let to = arrivals.iter().flat_map(|arrival| &arrival.to).filter(|to| to.user.as_str() == user);
    let arrived = to.filter_map(|to| to.position).max();
    arrived.max(node.terminals.moved.lock().get(&key(user)).copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_go_to_the_nodes_where_users_are() {
    let world = World::new();
    let message = world.node(Plan::message("m1")).await;
    let (one, two) = (world.node(Plan::access("a1")).await, world.node(Plan::access("a2")).await);
    message.reaches(&[&one, &two]).await;
    let gone = NodeId(77 << 32);
    let to = vec![
        deliver("ann", 5, &[one.id]),
        deliver("bob", 6, &[two.id, gone]),
        deliver("cid", 7, &[one.id, two.id]),
        deliver("dan", 8, &[]),
    ];
    message.access.arrive(arrival(1, to));
    until("both are told", || !one.terminals.arrivals.lock().is_empty() && !two.terminals.arrivals.lock().is_empty())
        .await;
    let users = |node: &Node| -> Vec<String> {
        node.terminals.arrivals.lock()[0].to.iter().map(|to| to.user.to_string()).collect()
    };
    assert_eq!((users(&one), users(&two)), (vec!["ann".into(), "cid".into()], vec!["bob".into(), "cid".into()]));
    let mut typing = deliver("eve", 9, &[]);
    typing.online = None;
    message.access.arrive(arrival(2, vec![typing]));
    until("both are told, as nobody has looked where the user is", || {
        [&one, &two].iter().all(|node| heard(node, "eve") == Some(Position(9)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_have_to_know_is_told_to_all() {
    let world = World::new();
    let message = world.node(Plan::message("m1")).await;
    let (one, two) = (world.node(Plan::access("a1")).await, world.node(Plan::access("a2")).await);
    message.reaches(&[&one, &two]).await;
    message.access.sign_out(&key("ann"), SignOut::Blocked);
    message.access.settings_changed(&key("ann"), Timestamp(4), ConnectionId::NONE, None);
    message.access.settings_changed(&key("bob"), Timestamp(5), ConnectionId::NONE, Some(&[one.id]));
    message.access.moved(&key("bob"), Position(5), Some(&[two.id]));
    until("all are told", || {
        one.terminals.told.lock().len() == 3
            && two.terminals.told.lock().len() == 2
            && two.terminals.moved.lock().contains_key(&key("bob"))
    })
    .await;
    assert_eq!(*one.terminals.told.lock(), ["ann out", "settings of ann at 4", "settings of bob at 5"]);
    assert!(one.terminals.moved.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_is_alone_a_node_that_takes_nothing_is_told_positions_later() {
    let world = World::with_leases(600_000);
    let config = PeerConfig { hint_bytes_max: 100_000, suspect_after: Duration::from_secs(100), ..config() };
    let message = world.node(Plan::message("m1").with(config)).await;
    let (slow, quick) = (world.node(Plan::access("a1")).await, world.node(Plan::access("a2")).await);
    message.reaches(&[&slow, &quick]).await;
    slow.proxy.stop_up();
    let users: Vec<_> = (0..10).map(|number| format!("u{number}")).collect();
    for number in 1..=10_000u64 {
        let user = &users[usize::try_from(number % 10).unwrap()];
        message.access.arrive(arrival(number, vec![deliver(user, number, &[slow.id])]));
        if number % 100 == 0 {
            message.access.arrive(arrival(number, vec![deliver("zoe", number, &[quick.id])]));
            let told = usize::try_from(number / 100).unwrap();
            until("others hear everything", || quick.terminals.arrivals.lock().len() == told).await;
        }
    }
    slow.proxy.open();
    for (number, user) in users.iter().enumerate() {
        let newest = if number == 0 { 10_000 } else { 9_990 + u64::try_from(number).unwrap() };
        until("each has heard of the newest", || heard(&slow, user) == Some(Position(newest))).await;
    }
    assert!(slow.terminals.arrivals.lock().len() < 9_000, "most of it was never kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_every_terminal_hears_of_the_newest_over_breaks() {
    let world = World::new();
    let message = world.node(Plan::message("m1")).await;
    let access = world.node(Plan::access("a1")).await;
    message.reaches(&[&access]).await;
    for number in 1..=2_000u64 {
        let user = format!("u{}", number % 20);
        message.access.arrive(arrival(number, vec![deliver(&user, number, &[access.id])]));
        if number % 400 == 0 {
            access.proxy.cut();
            message.access.sign_out(&key("ann"), SignOut::Blocked);
        }
        tokio::task::yield_now().await;
    }
    for number in 1_981..=2_000u64 {
        let user = format!("u{}", number % 20);
        until("each has heard of the newest", || heard(&access, &user) >= Some(Position(number))).await;
    }
    until("and of what was told", || access.terminals.told.lock().len() >= 5).await;
}
