//! Nodes that die, hang, do not belong here, or do not speak.

use std::time::Duration;

use anser_backend::Membership as _;
use anser_cluster::{MessageService as _, PullRequest};
use anser_peer::PeerConfig;
use anser_types::{LogId, Position};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Plan, World, check_once_and_in_order, config, key, until, user_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_died_is_passed_over_long_before_its_lease_ends() {
    let world = World::with_leases(600_000);
    let access = world.node(Plan::access("a1")).await;
    let (dies, lives) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&dies, &lives]).await;
    let user = user_at(&access, &dies);
    let connection = access.ids.next();
    dies.crash().await;
    access.publish(connection, &user, 1..=10);
    until("the other one decides", || access.settled().len() >= 10).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 10);
    let request = PullRequest { user: key(&user), device: None, after: Position(3) };
    access.routed.pull(request).await.unwrap();
    assert_eq!(lives.messages.calls.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_noticed_and_trusted_again_when_it_answers() {
    let world = World::with_leases(600_000);
    let config = PeerConfig {
        keepalive_every: Duration::from_millis(300),
        keepalive_timeout: Duration::from_millis(700),
        connect_timeout: Duration::from_secs(1),
        ..config()
    };
    let access = world.node(Plan::access("a1").with(config)).await;
    let (hangs, lives) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&hangs, &lives]).await;
    let user = key(&user_at(&access, &hangs));
    hangs.proxy.stop_up();
    until("it is passed over", || access.peer.routes().message_node(&user) == Some(lives.id)).await;
    hangs.proxy.open();
    until("it is trusted again", || access.peer.routes().message_node(&user) == Some(hangs.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drains_gets_nothing_new_and_leaves_at_once() {
    let world = World::with_leases(600_000);
    let access = world.node(Plan::access("a1")).await;
    let (leaves, stays) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&leaves, &stays]).await;
    let user = key(&user_at(&access, &leaves));
    leaves.peer.drain();
    until("it gets nothing new", || access.peer.routes().message_node(&user) == Some(stays.id)).await;
    assert!(access.peer.reaches(leaves.id), "what it has it may finish");
    leaves.peer.leave().await;
    until("it is forgotten", || access.peer.routes().member(leaves.id).is_none()).await;
    until("nobody dials it", || !access.peer.reaches(leaves.id)).await;
    assert_eq!(world.membership.missing().await.unwrap(), [], "it went with a word, and says nothing more");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_cluster_are_refused() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let stranger = world.node(Plan { cluster: LogId(0xBAD), ..Plan::message("m1") }).await;
    let friend = world.node(Plan::message("m2")).await;
    access.reaches(&[&friend]).await;
    let user = (0..100).map(|number| key(&format!("user{number}")));
    until("the stranger is passed over", || {
        user.clone().all(|user| access.peer.routes().message_node(&user) == Some(friend.id))
    })
    .await;
    assert!(!access.peer.reaches(stranger.id) && !stranger.peer.reaches(access.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_port_harms_nobody() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    for noise in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 5_000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut socket = TcpStream::connect(message.address).await.unwrap();
        socket.write_all(noise).await.unwrap();
    }
    let connection = access.ids.next();
    access.publish(connection, "alice", 1..=100);
    until("all are settled", || access.settled().len() >= 100).await;
    check_once_and_in_order(&world.log, &access.settled(), connection, 100);
}
