//! Clients that break rules, stall, or vanish.

use std::sync::atomic::Ordering;

use anser_access::AccessConfig;
use anser_rmtp::frame::{ConnAck, Qos};
use anser_rmtp::{ClientFrame, PublishTopic, ServerFrame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE};
use crate::world::{World, config};

#[tokio::test]
async fn told_why_content_over_the_limit_is_refused_and_the_connection_goes_on() {
    let world = World::with(AccessConfig { message_bytes_max: 1000, ..config() });
    let mut alice = world.ours("alice", "web-1").await;
    assert_eq!(alice.text("bob", &[b'x'; 1000]).await, 0);
    assert_eq!(alice.text("bob", &[b'x'; 1001]).await, 20_115);
    alice.ping().await;
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_connection_with_a_word() {
    let world = World::with(AccessConfig { frame_bytes_max: 4000, ..config() });
    for mut client in [world.ours("alice", "web-1").await, world.native("bob", "phone").await] {
        let frame = client.message(PublishTopic::Private, "carol", &[b'x'; 5000]);
        client.send(&frame).await;
        assert_eq!(client.next().await, Some(ServerFrame::Disconnect { code: 8 }));
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_is_closed_in_time() {
    let world = World::with(AccessConfig { handshake_timeout_seconds: 1, ..config() });
    for address in [world.tcp(), world.websocket()] {
        for bytes in [&b""[..], b"\x14\x00", b"GET /web", &[0xff; 9000]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            // A reset is as good as an end.
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time").ok();
        }
    }
    assert!(world.registry.is_empty());
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let world = World::with(AccessConfig { idle_timeout_seconds: 1, ..config() });
    let mut alice = world.ours("alice", "web-1").await;
    let mut patient = world.native("alice", "phone").await;
    assert_eq!(alice.next().await, None);
    patient.ping().await;
}

#[tokio::test]
async fn a_pull_that_hangs_holds_up_nothing_else() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    world.messages.hold_pulls.store(true, Ordering::Relaxed);
    let pull = alice.pull_frame(0, Qos::AtMostOnce);
    alice.send(&pull).await;
    alice.ping().await;
    assert_eq!(alice.text("bob", b"still here").await, 0);
}

#[tokio::test]
async fn slow_is_alone_of_many_lists_few_are_read_at_once_and_other_questions_do_not_wait_for_them() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    for _ in 0..7 {
        let list = alice.list_frame();
        alice.send(&list).await;
    }
    assert_eq!(alice.pull(0).await.0.len(), 0);
    let begun = || world.messages.lists_begun.load(Ordering::Relaxed);
    assert_eq!(begun(), 4);
    for answered in 1..=7 {
        world.messages.lists.add_permits(1);
        assert!(matches!(alice.next().await, Some(ServerFrame::QueryAck(ack)) if ack.status.0 == 0));
        alice.ping().await;
        assert_eq!(begun(), 7.min(4 + answered));
    }
}

#[tokio::test]
async fn slow_is_alone_a_client_that_reads_nothing_is_cut_off_and_nobody_waits() {
    let world = World::with(AccessConfig { write_timeout_seconds: 1, publish_rate: 0, ..config() });
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.ours("bob", "web-1").await;
    // A client that asks for ever more and takes nothing of it.
    let slow = world.ours("slow", "web-1").await;
    for _ in 0..20 {
        assert_eq!(alice.text("slow", &[b'x'; 100_000]).await, 0);
    }
    let mut slow = slow;
    let mut bytes = Vec::new();
    for _ in 0..500 {
        let pull = slow.pull_frame(0, Qos::AtMostOnce);
        slow.encode(&pull, &mut bytes);
    }
    let flooding = tokio::time::timeout(PATIENCE, async {
        while world.registry.len() == 3 {
            // Once it is cut off the writing fails.
            if slow.stream.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let others = async {
        for _ in 0..20 {
            assert_eq!(alice.text("bob", b"hi").await, 0);
            bob.send(&ClientFrame::PingReq).await;
            while !matches!(bob.next().await, Some(ServerFrame::PingResp)) {}
        }
    };
    let (flooded, ()) = tokio::join!(flooding, others);
    flooded.expect("the slow client is cut off");
}

#[tokio::test]
async fn frames_before_the_acceptance_are_handled_after_it() {
    let world = World::new();
    let mut bob = Client::tcp(world.tcp(), "app", &world.token("bob"), "d", "PC--5.46.1", 3).await;
    bob.send(&ClientFrame::PingReq).await;
    assert!(matches!(bob.next().await, Some(ServerFrame::ConnAck(ConnAck::Accepted { .. }))));
    assert!(matches!(bob.next().await, Some(ServerFrame::PingResp)));
}
