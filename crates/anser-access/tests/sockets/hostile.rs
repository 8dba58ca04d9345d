//! Input that no honest client sends, over both transports: out of state, in drops, again, and in another's name.

use std::time::Duration;

use anser_access::AccessConfig;
use anser_cluster::{AccessService as _, SignInView};
use anser_rmtp::frame::{Connect, Publish, Qos, Target};
use anser_rmtp::{
    ClientFrame, ClientTransport, ObfuscationKey, PublishTopic, QueryTopic, ServerFrame, encode_client_frame,
};
use anser_runtime::Clock;
use anser_types::TargetId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE};
use crate::world::{World, config};

/// One client of each transport; of different users, so that they do not hear of each other.
async fn both(world: &World) -> [Client; 2] {
    [world.ours("alice", "web-1").await, world.native("carol", "phone").await]
}

async fn is_over(client: &mut Client, what: &str) {
    assert_eq!(client.next().await, Some(ServerFrame::Disconnect { code: 8 }), "{what}");
    assert_eq!(client.next().await, None, "{what}");
}

/// Everything until the server closes; a reset is as good as an end.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time").ok();
    rest
}

#[tokio::test]
async fn frames_that_only_a_server_sends_end_the_connection() {
    let world = World::new();
    // CONNACK, QUERYACK, PINGRESP; and frames that end within a field.
    for (header, payload) in [(0x20, &[0, 0][..]), (0x60, &[0, 1, 0, 0, 0, 0, 0, 0]), (0xd0, &[])] {
        for mut client in both(&world).await {
            client.send_raw(header, payload).await;
            is_over(&mut client, &format!("{header:#x}")).await;
        }
    }
    for (header, payload) in [(0x40, &[0][..]), (0x70, &[]), (0x36, &[0, 0, 0, 0, 0, 1])] {
        for mut client in both(&world).await {
            client.send_raw(header, payload).await;
            is_over(&mut client, &format!("{header:#x}")).await;
        }
    }
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let world = World::new();
    for mut client in both(&world).await {
        let connect = Connect {
            version: 3,
            client_id: String::new(),
            will: String::new(),
            app_key: "app".into(),
            token: world.token("bob"),
        };
        client.send(&ClientFrame::Connect(Box::new(connect))).await;
        is_over(&mut client, "a second CONNECT").await;
    }
}

#[tokio::test]
async fn confirmations_of_nothing_and_kinds_that_nobody_uses_are_passed_over() {
    let world = World::new();
    for mut client in both(&world).await {
        for message_id in [0, 1, 0x8000, u16::MAX] {
            client.send(&ClientFrame::PubAck { message_id }).await;
            client.send(&ClientFrame::QueryCon { message_id }).await;
        }
        for header in [0x00, 0x80, 0x90, 0xa0, 0xb0, 0xf0] {
            client.send_raw(header, &[0, 1]).await;
        }
        client.ping().await;
        assert_eq!(client.text("bob", b"still here").await, 0);
    }
}

#[tokio::test]
async fn one_way_in_nothing_is_heard_of_whoever_has_not_signed_in() {
    let world = World::new();
    let body = bytes::Bytes::new();
    let publish = ClientFrame::Publish(Publish {
        dup: false,
        qos: Qos::AtLeastOnce,
        topic: PublishTopic::Private,
        target: Target::Id(TargetId::new("bob").unwrap()),
        message_id: 1,
        body,
    });
    for frame in [publish, ClientFrame::PingReq, ClientFrame::PubAck { message_id: 1 }] {
        let mut stream = TcpStream::connect(world.tcp()).await.unwrap();
        let mut bytes = Vec::new();
        encode_client_frame(&frame, ClientTransport::Tcp(ObfuscationKey::V3), &mut bytes).unwrap();
        stream.write_all(&bytes).await.unwrap();
        assert!(rest(stream).await.is_empty(), "a stranger is told nothing");
    }
    // Over WebSocket there is no way to say anything before the sign-in: what comes first is a request.
    let mut stream = TcpStream::connect(world.websocket()).await.unwrap();
    stream.write_all(b"\x82\x81\x01\x02\x03\x04\xc1\r\n\r\n").await.unwrap();
    assert!(rest(stream).await.starts_with(b"HTTP/1.1 400"));
    assert!(world.messages.published().is_empty() && world.registry.is_empty());
}

#[tokio::test]
async fn too_many_frames_at_once_with_the_sign_in_are_given_up() {
    let world = World::new();
    let connect = Connect {
        version: 3,
        client_id: "d".into(),
        will: String::new(),
        app_key: "app".into(),
        token: world.token("bob"),
    };
    let mut bytes = Vec::new();
    let mut add = |frame| encode_client_frame(&frame, ClientTransport::Tcp(ObfuscationKey::V3), &mut bytes).unwrap();
    add(ClientFrame::Connect(Box::new(connect)));
    for _ in 0..1_000 {
        add(ClientFrame::PingReq);
    }
    let mut stream = TcpStream::connect(world.tcp()).await.unwrap();
    stream.write_all(&bytes).await.ok();
    assert!(rest(stream).await.is_empty());
    assert!(world.registry.is_empty());
}

#[tokio::test]
async fn a_replayed_connect_is_worth_what_its_token_is_worth() {
    let world = World::new();
    let connect = Connect {
        version: 3,
        client_id: "phone".into(),
        will: "iOS--5.46.1".into(),
        app_key: "app".into(),
        token: world.token("bob"),
    };
    let mut bytes = Vec::new();
    let transport = ClientTransport::Tcp(ObfuscationKey::V3);
    encode_client_frame(&ClientFrame::Connect(Box::new(connect)), transport, &mut bytes).unwrap();
    let mut first = TcpStream::connect(world.tcp()).await.unwrap();
    first.write_all(&bytes).await.unwrap();
    first.read_u8().await.unwrap();
    // The same installation comes back: there is one of it.
    let mut again = TcpStream::connect(world.tcp()).await.unwrap();
    again.write_all(&bytes).await.unwrap();
    rest(first).await;
    assert!(world.registry.is_online(&world.key("bob")).await.unwrap());
    // On the same connection it breaks the protocol.
    again.write_all(&bytes).await.unwrap();
    rest(again).await;
    let void = SignInView { tokens_from: Clock::system().now().plus(60_000), ..SignInView::default() };
    world.directory.views.lock().insert(world.key("bob"), void);
    let mut late = TcpStream::connect(world.tcp()).await.unwrap();
    late.write_all(&bytes).await.unwrap();
    let refused = rest(late).await;
    assert_eq!(refused.first(), Some(&0x20), "a CONNACK");
    assert!(world.registry.is_empty());
}

#[tokio::test]
async fn slow_is_alone_a_beginning_in_drops_has_no_more_time_than_none() {
    let world = World::with(AccessConfig { handshake_timeout_seconds: 1, ..config() });
    let mut connect = Vec::new();
    let frame = Connect {
        version: 3,
        client_id: "x".repeat(3_000),
        will: String::new(),
        app_key: "app".into(),
        token: world.token("bob"),
    };
    let transport = ClientTransport::Tcp(ObfuscationKey::V3);
    encode_client_frame(&ClientFrame::Connect(Box::new(frame)), transport, &mut connect).unwrap();
    let request = format!("GET /websocket?appId=app&token={} HTTP/1.1\r\nX: {}", world.token("bob"), "x".repeat(3_000));
    for (address, beginning) in [(world.tcp(), connect), (world.websocket(), request.into_bytes())] {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let dripping = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for byte in beginning {
                pace.tick().await;
                // Writing fails once the server has closed.
                if to.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
            panic!("there was time for everything");
        };
        let mut nothing = [0; 1];
        let closed = async { from.read(&mut nothing).await.unwrap_or(0) };
        tokio::select! {
            count = closed => assert_eq!(count, 0),
            () = dripping => {}
        }
    }
    assert!(world.registry.is_empty());
}

#[tokio::test]
async fn a_frame_in_drops_is_one_frame_and_half_of_one_is_none() {
    let world = World::new();
    for mut client in both(&world).await {
        let frame = client.message(PublishTopic::Private, "bob", b"drop by drop");
        let mut bytes = Vec::new();
        client.encode(&frame, &mut bytes);
        for byte in &bytes {
            client.stream.write_all(&[*byte]).await.unwrap();
        }
        match client.next().await {
            Some(ServerFrame::PubAck(ack)) => assert!(ack.status.is_ok()),
            other => panic!("instead of an ack: {other:?}"),
        }
        let half = bytes.len() / 2;
        client.stream.write_all(&bytes[..half]).await.unwrap();
        drop(client);
    }
    let gone = async {
        while !world.registry.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("whoever is gone is offline");
    assert_eq!(world.messages.published().len(), 2);
}

#[tokio::test]
async fn one_way_in_nobody_asks_for_another_user() {
    let world = World::new();
    let other = || Target::Id(TargetId::new("bob").unwrap());
    for mut client in both(&world).await {
        for topic in
            [QueryTopic::Pull, QueryTopic::HistoryPrivate, QueryTopic::Conversations, QueryTopic::ConversationStates]
        {
            let ClientFrame::Query(mut query) = client.pull_frame(0, Qos::AtMostOnce) else { unreachable!() };
            query.topic = topic;
            query.target = other();
            client.send(&ClientFrame::Query(query)).await;
            match client.next().await {
                Some(ServerFrame::QueryAck(answer)) => assert_eq!(answer.status.0, 20_605, "{topic:?}"),
                answer => panic!("instead of a refusal: {answer:?}"),
            }
        }
        let frame = client.message(PublishTopic::Recall, "bob", b"{}");
        client.send(&frame).await;
        match client.next().await {
            Some(ServerFrame::PubAck(ack)) => assert_eq!(ack.status.0, 25_101, "a recall in another's name"),
            answer => panic!("instead of a refusal: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn one_way_in_targets_that_are_no_ids_are_refused_and_the_connection_goes_on() {
    let world = World::new();
    // Bytes that are no text, a control character, nobody.
    for target in [&b"\xff\xfe"[..], b"a\0b", b""] {
        for mut client in both(&world).await {
            let length = u16::try_from(target.len()).unwrap().to_be_bytes();
            let publish = [&b"\0\x06ppMsgP"[..], &length, target, b"\0\x01\x08\x03\x12\x01x\x1a\x01y"].concat();
            client.send_raw(0x32, &publish).await;
            match client.next().await {
                Some(ServerFrame::PubAck(ack)) => assert_eq!(ack.status.0, 20_605, "{target:?}"),
                other => panic!("instead of a refusal: {other:?}"),
            }
            client.ping().await;
        }
    }
    assert!(world.messages.published().is_empty());
}
