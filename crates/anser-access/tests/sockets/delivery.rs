//! Messages on their way through two connections.

use anser_rmtp::body::{DownStreamMessage, NotifyMsg};
use anser_rmtp::frame::Qos;
use anser_rmtp::{ClientFrame, PublishTopic, ServerFrame};
use prost::Message as _;

use crate::client::Client;
use crate::world::World;

/// Pulls until there is no more; the texts and the cursor.
async fn pull_all(client: &mut Client, mut cursor: i64) -> (Vec<Vec<u8>>, i64) {
    let mut texts = Vec::new();
    loop {
        let (page, sync, finished) = client.pull(cursor).await;
        texts.extend(page.iter().map(|text| text.to_vec()));
        cursor = sync;
        if finished {
            return (texts, cursor);
        }
    }
}

#[tokio::test]
async fn a_synced_client_of_ours_gets_messages_directly() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.ours("bob", "web-1").await;
    pull_all(&mut bob, 0).await;
    bob.ping().await;
    for text in [&b"one"[..], b"two", b"three"] {
        assert_eq!(alice.text("bob", text).await, 0);
        let push = bob.push().await;
        assert_eq!((push.topic.as_str(), push.qos), ("s_msg", Qos::AtLeastOnce));
        assert_eq!(DownStreamMessage::decode(push.body).unwrap().content, text);
        bob.send(&ClientFrame::PubAck { message_id: push.message_id }).await;
        bob.ping().await;
    }
}

#[tokio::test]
async fn a_native_client_is_notified_once_and_pulls_everything_in_order() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.native("bob", "phone").await;
    let (_, cursor) = pull_all(&mut bob, 0).await;
    let texts: Vec<Vec<u8>> = (0..10).map(|n| format!("text {n}").into_bytes()).collect();
    for text in &texts {
        assert_eq!(alice.text("bob", text).await, 0);
    }
    let push = bob.push().await;
    assert_eq!(push.topic.as_str(), "s_ntf");
    assert!(NotifyMsg::decode(push.body).unwrap().time > Some(cursor));
    assert_eq!(pull_all(&mut bob, cursor).await.0, texts);
    bob.ping().await;
}

#[tokio::test]
async fn many_publishes_of_one_read_are_acknowledged_in_order() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    let mut bytes = Vec::new();
    for n in 0..200u16 {
        let frame = alice.message(PublishTopic::Private, "bob", n.to_string().as_bytes());
        alice.encode(&frame, &mut bytes);
    }
    tokio::io::AsyncWriteExt::write_all(&mut alice.stream, &bytes).await.unwrap();
    let mut last = 0;
    for expected in 1..=200 {
        match alice.next().await {
            Some(ServerFrame::PubAck(ack)) => {
                assert_eq!((ack.message_id, ack.status.0), (expected, 0));
                assert!(ack.sent.0 > last);
                last = ack.sent.0;
            }
            other => panic!("instead of an ack: {other:?}"),
        }
    }
    let order: Vec<_> = world.messages.published().iter().map(|p| p.origin.publish).collect();
    assert_eq!(order, (1..=200).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_one_terminal_sends_the_others_of_its_user_see_once() {
    let world = World::new();
    let mut web = world.ours("alice", "web-1").await;
    let mut phone = world.native("alice", "phone").await;
    let mut pc = world.ours("alice", "pc-1").await;
    pull_all(&mut phone, 0).await;
    pull_all(&mut pc, 0).await;
    pc.ping().await;
    assert_eq!(web.text("bob", b"hi").await, 0);
    assert_eq!(phone.push().await.topic.as_str(), "s_ntf");
    assert_eq!(pull_all(&mut phone, 1).await.0, [b"hi"]);
    let copy = pc.push().await;
    assert_eq!((copy.topic.as_str(), copy.dup, copy.target.as_str()), ("ppMsgP", true, "bob"));
    match pc.next().await {
        Some(ServerFrame::PubAck(ack)) => assert_eq!((ack.message_id, ack.uid.is_some()), (copy.message_id, true)),
        other => panic!("instead of the copy's ack: {other:?}"),
    }
    assert_eq!(pull_all(&mut web, 0).await.0, Vec::<Vec<u8>>::new(), "nobody gets back what it sent");
}

#[tokio::test]
async fn status_messages_reach_who_is_online_and_leave_nothing() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.ours("bob", "web-1").await;
    let frame = alice.message(PublishTopic::PrivateStatus, "bob", b"typing");
    alice.send(&frame).await;
    let push = bob.push().await;
    assert_eq!((push.topic.as_str(), push.qos), ("s_msg", Qos::AtMostOnce));
    assert_eq!(pull_all(&mut bob, 0).await.0, Vec::<Vec<u8>>::new());
    alice.ping().await;
}
