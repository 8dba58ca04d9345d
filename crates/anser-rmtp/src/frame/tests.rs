//! Round trips of all frames over both transports.

mod golden;

use anser_types::{MessageUid, Status, TargetId, Timestamp};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::status::{ConnAckStatus, DisconnectStatus};
use crate::tcp::{ObfuscationKey, TcpDecoder, TcpLimits};
use crate::topic::{PublishTopic, PushTopic, QueryTopic, ServerTopic};
use crate::websocket::{WebSocketDecoder, WebSocketEvent};

/// Bytes from hex; spaces and bars are for the reader.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn id(text: &str) -> Target {
    Target::Id(TargetId::new(text).unwrap())
}

fn arb_target() -> impl Strategy<Value = Target> {
    prop_oneof![Just(Target::Myself), "[a-z😀]{1,20}".prop_map(|text| id(&text))]
}

fn arb_qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce)]
}

fn arb_body() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => (100usize..70_000, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ]
    .prop_map(Bytes::from)
}

pub(crate) fn arb_client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        (any::<bool>(), arb_qos(), proptest::sample::select(PublishTopic::ALL), arb_target(), any::<u16>(), arb_body())
            .prop_map(|(dup, qos, topic, target, message_id, body)| {
                ClientFrame::Publish(Publish { dup, qos, topic, target, message_id, body })
            }),
        (arb_qos(), proptest::sample::select(QueryTopic::ALL), arb_target(), any::<u16>(), arb_body()).prop_map(
            |(qos, topic, target, message_id, body)| {
                ClientFrame::Query(Query { qos, topic, target, message_id, body })
            }
        ),
        any::<u16>().prop_map(|message_id| ClientFrame::PubAck { message_id }),
        any::<u16>().prop_map(|message_id| ClientFrame::QueryCon { message_id }),
        Just(ClientFrame::PingReq),
        any::<u8>().prop_map(|status| ClientFrame::Disconnect { status }),
    ]
}

pub(crate) fn connect(version: u8) -> ClientFrame {
    ClientFrame::Connect(Box::new(Connect {
        version,
        client_id: "device".into(),
        will: "PC--5.46.1".into(),
        app_key: "app".into(),
        token: "token@".into(),
    }))
}

fn borrowed(frame: &ServerFrame) -> ServerFrameRef<'_> {
    match frame {
        ServerFrame::ConnAck(ConnAck::Accepted { user_id, session_id, time, first_message_id }) => {
            let (time, first_message_id) = (*time, *first_message_id);
            let form = ConnAckForm::V4;
            ServerFrameRef::ConnAck(ConnAckRef::Accepted { form, user_id, session_id, time, first_message_id })
        }
        ServerFrame::ConnAck(ConnAck::Refused { code }) => {
            ServerFrameRef::ConnAck(ConnAckRef::Refused(ConnAckStatus::from_code(*code).unwrap()))
        }
        ServerFrame::Publish(p) => ServerFrameRef::Publish(ServerPublishRef {
            qos: p.qos,
            dup: p.dup,
            seconds: p.seconds,
            topic: p.topic,
            target: &p.target,
            message_id: p.message_id,
            body: Body::One(&p.body),
        }),
        ServerFrame::PubAck(ack) => ServerFrameRef::PubAck(*ack),
        ServerFrame::QueryAck(a) => ServerFrameRef::QueryAck(QueryAckRef {
            qos: a.qos,
            message_id: a.message_id,
            seconds: a.seconds,
            status: a.status,
            body: Body::One(&a.body),
        }),
        ServerFrame::PingResp => ServerFrameRef::PingResp,
        ServerFrame::Disconnect { code } => ServerFrameRef::Disconnect(DisconnectStatus::from_code(*code).unwrap()),
    }
}

fn arb_connack() -> impl Strategy<Value = ServerFrame> {
    ("[a-z]{1,9}", "[a-z]{0,9}", any::<u64>(), any::<Option<u16>>()).prop_map(
        |(user_id, session_id, time, first_message_id)| {
            let time = Timestamp(time);
            ServerFrame::ConnAck(ConnAck::Accepted { user_id, session_id, time, first_message_id })
        },
    )
}

fn arb_server_publish() -> impl Strategy<Value = ServerFrame> {
    let topic = prop_oneof![
        proptest::sample::select(PushTopic::ALL).prop_map(ServerTopic::Push),
        proptest::sample::select(PublishTopic::ALL).prop_map(ServerTopic::Copy),
    ];
    let fields = (arb_qos(), any::<bool>(), any::<u32>(), topic, "[a-z😀]{0,9}", any::<u16>(), arb_body());
    fields.prop_map(|(qos, dup, seconds, topic, target, message_id, body)| {
        ServerFrame::Publish(ServerPublish { qos, dup, seconds, topic, target, message_id, body })
    })
}

fn arb_acks() -> impl Strategy<Value = ServerFrame> {
    let puback = (any::<u16>(), 0..4_000_000_000_000u64, any::<u16>(), any::<Option<[u8; 10]>>());
    let query_ack = (arb_qos(), any::<u16>(), any::<u32>(), any::<u16>(), arb_body());
    prop_oneof![
        puback.prop_map(|(message_id, sent, status, uid)| {
            let (sent, status, uid) = (Timestamp(sent), Status(status), uid.map(MessageUid::from_bytes));
            ServerFrame::PubAck(PubAck { message_id, sent, status, uid })
        }),
        query_ack.prop_map(|(qos, message_id, seconds, status, body)| {
            let status = Status(status);
            ServerFrame::QueryAck(QueryAck { qos, message_id, seconds, status, body })
        }),
    ]
}

fn arb_server_frame() -> impl Strategy<Value = ServerFrame> {
    prop_oneof![
        arb_connack(),
        (1u8..=20).prop_map(|code| ServerFrame::ConnAck(ConnAck::Refused { code })),
        arb_server_publish(),
        arb_acks(),
        Just(ServerFrame::PingResp),
        (0u8..=9).prop_map(|code| ServerFrame::Disconnect { code }),
    ]
}

proptest! {
    #[test]
    fn client_frames_survive_both_transports(
        frames in proptest::collection::vec(arb_client_frame(), 1..12), key: [u8; 8], mask: [u8; 4], v4: bool,
    ) {
        let key = ObfuscationKey::new(key);
        let mut tcp = Vec::new();
        let mut websocket = Vec::new();
        let connect = connect(if v4 { 4 } else { 3 });
        encode_client_frame(&connect, ClientTransport::Tcp(key), &mut tcp).unwrap();
        for frame in &frames {
            encode_client_frame(frame, ClientTransport::Tcp(key), &mut tcp).unwrap();
            encode_client_frame(frame, ClientTransport::WebSocket { mask }, &mut websocket).unwrap();
        }
        let mut read = Vec::new();
        let mut decoder = TcpDecoder::server(TcpLimits::default());
        decoder
            .push::<crate::tcp::TcpError>(&mut tcp, |raw| { read.push(ClientFrame::decode(raw).unwrap()); Ok(()) })
            .unwrap();
        prop_assert_eq!(&read[0], &connect);
        prop_assert_eq!(&read[1..], &frames[..]);
        prop_assert_eq!(decoder.key(), Some(key));
        prop_assert_eq!(decoder.held_bytes(), 0);

        read.clear();
        let mut decoder = WebSocketDecoder::server(1 << 20);
        decoder
            .push::<crate::websocket::WebSocketError>(&mut websocket, |event| {
                let WebSocketEvent::Message(message) = event else { panic!("{event:?}") };
                read.push(ClientFrame::decode(RawFrame::from_message(message).unwrap()).unwrap());
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(&read, &frames);
        prop_assert_eq!(decoder.held_bytes(), 0);
    }

    #[test]
    fn server_frames_survive_both_transports(
        frames in proptest::collection::vec(arb_server_frame(), 1..12), key: [u8; 8],
    ) {
        let key = ObfuscationKey::new(key);
        let mut tcp = Vec::new();
        let mut websocket = Vec::new();
        for frame in &frames {
            encode_server_frame(&borrowed(frame), ServerTransport::Tcp(key), &mut tcp).unwrap();
            encode_server_frame(&borrowed(frame), ServerTransport::WebSocket, &mut websocket).unwrap();
        }
        let mut read = Vec::new();
        TcpDecoder::client(key, TcpLimits::default())
            .push::<crate::tcp::TcpError>(&mut tcp, |raw| {
                read.push(ServerFrame::decode(raw, ConnAckForm::V4).unwrap());
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(&read, &frames);

        read.clear();
        WebSocketDecoder::client(1 << 20)
            .push::<crate::websocket::WebSocketError>(&mut websocket, |event| {
                let WebSocketEvent::Message(message) = event else { panic!("{event:?}") };
                read.push(ServerFrame::decode(RawFrame::from_message(message).unwrap(), ConnAckForm::V4).unwrap());
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(&read, &frames);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(raw) = RawFrame::from_message(&bytes) {
            drop(ClientFrame::decode(raw));
            drop(ServerFrame::decode(raw, ConnAckForm::V3));
            drop(ServerFrame::decode(raw, ConnAckForm::V4));
        }
    }
}

#[test]
fn one_way_in_bytes_that_are_no_text_name_nobody() {
    let targets: [(&[u8], Target); 5] = [
        (b"\xff\xfe", Target::Invalid),
        ("a\u{fffd}".as_bytes(), Target::Invalid),
        (b"a\0b", Target::Invalid),
        (b"\xed\xa0\xbd\xed\xb8\x80", id("😀")),
        (b"", Target::Myself),
    ];
    for (bytes, target) in targets {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let payload = [&b"\0\x06ppMsgP"[..], &length, bytes, b"\0\x01"].concat();
        let header = Header::new(FrameKind::Publish, Qos::AtLeastOnce);
        let decoded = ClientFrame::decode(RawFrame { header, payload: &payload }).unwrap();
        let ClientFrame::Publish(publish) = decoded else { panic!("{decoded:?}") };
        assert_eq!(publish.target, target, "{bytes:?}");
    }
}
