//! Golden bytes of every frame, as published SDKs send and take them, and what is broken.

use anser_types::{MessageUid, Position, Status, Timestamp};

use super::super::*;
use super::{hex, id};
use crate::status::{ConnAckStatus, DisconnectStatus};
use crate::tcp::ObfuscationKey;
use crate::topic::{PublishTopic, PushTopic, QueryTopic, ServerTopic};

fn client(bytes: &str) -> ClientFrame {
    ClientFrame::decode(RawFrame::from_message(&hex(bytes)).unwrap()).unwrap()
}

fn server(bytes: &str, form: ConnAckForm) -> ServerFrame {
    ServerFrame::decode(RawFrame::from_message(&hex(bytes)).unwrap(), form).unwrap()
}

/// A frame as it is between the heads of WebSocket messages.
fn plain(frame: &ServerFrameRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_server_frame(frame, ServerTransport::WebSocket, &mut out).unwrap();
    let head = if out[1] == 126 { 4 } else { 2 };
    out.split_off(head)
}

#[test]
fn golden_publishes_of_web_sdks() {
    let frame = client(
        "32 0006 70704d736750 0003 626f62 0005 | 0803 1209 52433a5478744d7367 1a26 7b22636f6e74656e74223a\
         2268656c6c6f20626f6220c3a920e4bda0e5a5bd20f09f9880227d 4800",
    );
    let ClientFrame::Publish(publish) = frame else { panic!("{frame:?}") };
    assert_eq!((publish.topic, publish.target, publish.message_id), (PublishTopic::Private, id("bob"), 5));
    assert_eq!((publish.dup, publish.qos), (false, Qos::AtLeastOnce));
    let body: crate::body::UpStreamMessage = crate::body::decode(publish.body).unwrap();
    assert_eq!((body.session_id, body.classname.as_ref()), (3, &b"RC:TxtMsg"[..]));
    assert_eq!(body.content, "{\"content\":\"hello bob é 你好 😀\"}");
    assert_eq!((body.config_flag, body.client_unique_id), (Some(0), None));

    let frame = client(
        "32000670704d7367500003626f6200090803120952433a5478744d73671a1d7b22636f6e74656e74223a226e6578742068656c6c6f20\
         f09f9880227d480250d080e0c8cfed01b00100",
    );
    let ClientFrame::Publish(publish) = frame else { panic!("{frame:?}") };
    let body: crate::body::UpStreamMessage = crate::body::decode(publish.body).unwrap();
    assert_eq!((body.config_flag, body.option_bits), (Some(2), Some(0)));
    assert_eq!(body.client_unique_id, Some(8_164_616_962_128));

    for (bytes, topic, target) in [
        ("32000670674d73675000026731000a", PublishTopic::Group, "g1"),
        ("320007636861744d73670005726f6f6d31001c", PublishTopic::Chatroom, "room1"),
    ] {
        let ClientFrame::Publish(publish) = client(bytes) else { panic!("no publish") };
        assert_eq!((publish.topic, publish.target), (topic, id(target)));
    }
}

#[test]
fn golden_queries_and_small_frames_of_clients() {
    let ClientFrame::Query(query) = client("50000770756c6c4d73670005616c696365000308001000200130003801") else {
        panic!("no query")
    };
    assert_eq!((query.topic, query.target, query.message_id), (QueryTopic::Pull, id("alice"), 3));
    assert_eq!(query.qos, Qos::AtMostOnce);
    let body: crate::body::SyncRequestMsg = crate::body::decode(query.body).unwrap();
    assert_eq!((body.sync_time, body.ispolling, body.is_pull_send), (0, false, Some(true)));
    assert_eq!((body.send_box_sync_time, body.broadcast_sync_time), (Some(0), Some(1)));

    let ClientFrame::Query(query) = client("500007717279504d73670005616c69636500070a03626f621000181420002a00") else {
        panic!("no query")
    };
    let body: crate::body::HistoryMsgInput = crate::body::decode(query.body).unwrap();
    assert_eq!((query.topic, body.target_id.as_deref()), (QueryTopic::HistoryPrivate, Some("bob")));
    assert_eq!(
        (body.time, body.count, body.order, body.bus_channel.as_deref()),
        (Some(0), Some(20), Some(0), Some(""))
    );

    // A native query, its covering taken off: the target is empty.
    let ClientFrame::Query(query) = client("52 0007 71417070426f74 0000 0001") else { panic!("no query") };
    assert_eq!((query.qos, query.topic, query.target), (Qos::AtLeastOnce, QueryTopic::AppBots, Target::Myself));

    assert_eq!(client("407001"), ClientFrame::PubAck { message_id: 0x7001 });
    assert_eq!(client("700003"), ClientFrame::QueryCon { message_id: 3 });
    assert_eq!(client("c0"), ClientFrame::PingReq);
    assert_eq!(client("e00004"), ClientFrame::Disconnect { status: 4 });
}

#[test]
fn golden_connacks() {
    let accepted = |form, first_message_id, time| {
        ServerFrameRef::ConnAck(ConnAckRef::Accepted {
            form,
            user_id: "alice",
            session_id: "sess1",
            time: Timestamp(time),
            first_message_id,
        })
    };
    let v3 = hex("20 00 00 | 0005 616c696365 | 0005 7365737331 | 000001a200ca7130");
    let v4 = hex("20 00 00 | 0f | 0005 616c696365 | 0005 7365737331 | 000001a200d02cfb | 0064");
    assert_eq!(plain(&accepted(ConnAckForm::V3, Some(100), 0x01a2_00ca_7130)), v3);
    assert_eq!(plain(&accepted(ConnAckForm::V4, Some(100), 0x01a2_00d0_2cfb)), v4);
    assert_eq!(plain(&accepted(ConnAckForm::V4, None, 0))[3], 0x07);
    let refused = ServerFrameRef::ConnAck(ConnAckRef::Refused(ConnAckStatus::TokenIncorrect));
    assert_eq!(plain(&refused), hex("200004"));
    assert_eq!(server("200004", ConnAckForm::V4), ServerFrame::ConnAck(ConnAck::Refused { code: 4 }));
}

#[test]
fn golden_server_frames() {
    let uid: MessageUid = "D203-MKTG-G004-2VDL".parse().unwrap();
    let ack = PubAck { message_id: 5, sent: Timestamp(1_795_311_881_922), status: Status::OK, uid: Some(uid) };
    let bytes = "40 0005 6b024909 0000 039a 0013 443230332d4d4b54472d473030342d3256444c";
    assert_eq!(plain(&ServerFrameRef::PubAck(ack)), hex(bytes));
    assert_eq!(server(bytes, ConnAckForm::V3), ServerFrame::PubAck(ack));

    let mut body = Vec::new();
    crate::body::put_notify(1, Position(1_795_311_881_944), &mut body);
    let notify = ServerFrameRef::Publish(ServerPublishRef {
        qos: Qos::AtLeastOnce,
        dup: false,
        seconds: 0x6b02_4909,
        topic: ServerTopic::Push(PushTopic::Notify),
        target: "alice",
        message_id: 0x7002,
        body: Body::One(&body),
    });
    let bytes = "32 6b024909 0005 735f6e7466 0005 616c696365 7002 | 0801 10d89db587a034";
    assert_eq!(plain(&notify), hex(bytes));

    let ServerFrame::Publish(copy) = server("3a 6b02490a 0006 70704d736750 0003 626f62 7009", ConnAckForm::V3) else {
        panic!("no publish")
    };
    assert!(copy.dup);
    assert_eq!((copy.topic, copy.target.as_str()), (ServerTopic::Copy(PublishTopic::Private), "bob"));
}

#[test]
fn golden_answers_and_endings() {
    fn answer(qos: Qos, message_id: u16, seconds: u32, status: Status, body: Body<'_>) -> Vec<u8> {
        plain(&ServerFrameRef::QueryAck(QueryAckRef { qos, message_id, seconds, status, body }))
    }
    let mut body = Vec::new();
    crate::body::put_pull_answer(std::iter::empty(), Position(1_795_311_881_597), true, &mut body);
    assert_eq!(
        answer(Qos::AtMostOnce, 3, 0x6b02_4909, Status::OK, Body::Parts(&[&body[..2], &body[2..]])),
        hex("60 0003 6b024909 0000 | 10fd9ab587a034 1801 2000"),
    );
    let failed = answer(Qos::AtMostOnce, 2, 0x6b02_490a, Status(1), Body::EMPTY);
    assert_eq!(failed, hex("60 0002 6b02490a 0001"));
    assert_eq!(answer(Qos::AtLeastOnce, 2, 0, Status::OK, Body::EMPTY)[0], 0x62);
    assert_eq!(plain(&ServerFrameRef::Disconnect(DisconnectStatus::Kicked)), hex("e00001"));
    assert_eq!(plain(&ServerFrameRef::PingResp), hex("d0"));
}

#[test]
fn broken_frames_are_errors_that_say_whether_the_connection_can_go_on() {
    let decode = |bytes: &str| ClientFrame::decode(RawFrame::from_message(&hex(bytes))?);
    for (bytes, error) in [
        ("", FrameError::Empty),
        ("32 0006 7070", FrameError::Truncated(FrameKind::Publish)),
        ("32 0000 ffff 61", FrameError::Truncated(FrameKind::Publish)),
        ("40 70", FrameError::Truncated(FrameKind::PubAck)),
        ("36 0000 0000 0001", FrameError::ReservedQos(FrameKind::Publish)),
        ("20 0000", FrameError::WrongSide(FrameKind::ConnAck)),
        ("14 0006 52436c6f7565", FrameError::NotRmtp),
        ("14 0006 52436c6f7564 03c4", FrameError::Truncated(FrameKind::Connect)),
    ] {
        assert_eq!(decode(bytes), Err(error), "{bytes}");
        assert!(error.is_fatal(), "{error}");
    }
    assert_eq!(decode("80 0000"), Err(FrameError::Unused(FrameKind::Subscribe)));
    assert!(!FrameError::Unused(FrameKind::Subscribe).is_fatal());
}

#[test]
fn a_target_that_is_no_id_and_a_topic_that_nobody_knows_are_data() {
    let ClientFrame::Publish(publish) = client("32 0003 787878 0001 0a 0001") else { panic!("no publish") };
    assert_eq!((publish.topic, publish.target), (PublishTopic::Unknown, Target::Invalid));
    // The surrogates of 😀, as web SDKs write it.
    let ClientFrame::Publish(publish) = client("32 0006 70704d736750 0006 eda0bdedb880 0001") else {
        panic!("no publish")
    };
    assert_eq!(publish.target, id("😀"));
}

#[test]
fn a_text_that_no_length_can_say_is_refused_and_leaves_the_buffer_alone() {
    let long = "x".repeat(70_000);
    let frame = ServerFrameRef::ConnAck(ConnAckRef::Accepted {
        form: ConnAckForm::V3,
        user_id: &long,
        session_id: "",
        time: Timestamp(0),
        first_message_id: None,
    });
    let mut out = vec![1];
    for transport in [ServerTransport::WebSocket, ServerTransport::Tcp(ObfuscationKey::V3)] {
        assert_eq!(encode_server_frame(&frame, transport, &mut out), Err(EncodeError::TextTooLong(70_000)));
    }
    assert_eq!(out, [1]);
}
