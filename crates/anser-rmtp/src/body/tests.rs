//! Bodies within limits, the fast writers against the plain ones, and the schema against its documentation.

use anser_types::{
    AppKey, ClientMessageId, ConnectionId, ConversationType, Extras, Message, MessageClass, MessageFlags, MessageUid,
    Origin, Position, TargetId, Timestamp, UserId, target_hash,
};
use bytes::Bytes;
use prost::Message as _;

use super::*;

fn message(kind: ConversationType, extras: Option<Extras>) -> Message {
    let sent = Timestamp(1_795_311_881_922);
    Message {
        app: AppKey::new("app").unwrap(),
        kind,
        sender: UserId::new("alice").unwrap(),
        target: TargetId::new("bob").unwrap(),
        sent,
        uid: MessageUid::new(sent, 0, kind, target_hash("bob")),
        class: MessageClass::Persisted,
        flags: MessageFlags(0x03),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{\"content\":\"hi\"}"),
        origin: Origin { connection: ConnectionId(1), publish: 1, client_id: Some(ClientMessageId(-5)) },
        sender_copy: true,
        extras: extras.map(Box::new),
    }
}

fn shown(message: &Message, direction: Direction) -> DownStreamMessage {
    let bytes = DownStreamRef::of(message, direction).to_vec();
    DownStreamMessage::decode(bytes.as_slice()).unwrap()
}

#[test]
fn a_received_message_shows_its_sender_and_no_client_id() {
    let seen = shown(&message(ConversationType::Private, None), Direction::Received);
    let expected = DownStreamMessage {
        from_user_id: "alice".into(),
        kind: 1,
        classname: "RC:TxtMsg".into(),
        content: Bytes::from_static(b"{\"content\":\"hi\"}"),
        data_time: 1_795_311_881_922,
        status: 0x30,
        msg_id: Some("D203-MKTG-G004-2VDL".into()),
        ..DownStreamMessage::default()
    };
    assert_eq!(seen, expected);
}

#[test]
fn a_sent_message_shows_its_sender_the_peer_and_the_client_id() {
    let seen = shown(&message(ConversationType::Private, None), Direction::Sent);
    assert_eq!((seen.from_user_id.as_str(), seen.direction, seen.client_unique_id), ("bob", Some(1), Some(-5)));
    assert_eq!(seen.group_id, None);
    let seen = shown(&message(ConversationType::Group, None), Direction::Sent);
    assert_eq!((seen.from_user_id.as_str(), seen.group_id.as_deref()), ("alice", Some("bob")));
}

#[test]
fn every_rarer_field_reaches_the_receiver() {
    let extras = Extras {
        push_text: Some(Bytes::from_static(b"push")),
        push_data: Some(Bytes::from_static(b"not shown")),
        push_ext: Some(PushExtra { title: Some("t".into()), ..PushExtra::default() }.encode_to_vec().into()),
        extra_content: Some(Bytes::from_static(b"{}")),
        bus_channel: Some(Bytes::from_static(b"c")),
        config_flags: 2,
        option_bits: 3,
        to_users: vec![UserId::new("u1").unwrap(), UserId::new("u2").unwrap()],
        effect: None,
    };
    let seen = shown(&message(ConversationType::Group, Some(extras)), Direction::Received);
    assert_eq!(seen.push_content.as_deref(), Some("push"));
    assert_eq!(PushExtra::decode(seen.push_ext.unwrap()).unwrap().title.as_deref(), Some("t"));
    assert_eq!((seen.extra_content.as_deref(), seen.bus_channel.as_deref()), (Some("{}"), Some("c")));
    assert_eq!((seen.config_flag, seen.option_bits), (Some(2), Some(3)));
    assert_eq!(seen.to_user_ids, ["u1", "u2"]);
}

#[test]
fn pages_of_encoded_messages_are_the_plain_answers() {
    let received = message(ConversationType::Private, None);
    let items = [
        DownStreamRef::of(&received, Direction::Received).to_vec(),
        DownStreamRef::of(&received, Direction::Sent).to_vec(),
    ];
    let list: Vec<_> = items.iter().map(|item| DownStreamMessage::decode(item.as_slice()).unwrap()).collect();
    let mut out = Vec::new();
    put_pull_answer(items.iter().map(Vec::as_slice), Position(9), false, &mut out);
    let expected = DownStreamMessages { list: list.clone(), sync_time: 9, finished: false, broadcast_sync_time: 0 };
    assert_eq!(DownStreamMessages::decode(out.as_slice()).unwrap(), expected);
    let mut out = Vec::new();
    put_history_page(items.iter().map(Vec::as_slice), Timestamp(8), true, &mut out);
    assert_eq!(HistoryMsgOuput::decode(out.as_slice()).unwrap(), HistoryMsgOuput { list, sync_time: 8, has_msg: 1 });
}

#[test]
fn fields_that_sdks_rely_on_are_written_even_when_zero() {
    assert_eq!(DownStreamMessages::default().encode_to_vec(), [0x10, 0, 0x18, 0, 0x20, 0]);
    assert_eq!(HistoryMsgOuput::default().encode_to_vec(), [0x10, 0, 0x18, 0]);
    assert_eq!(EventChangeList::default().encode_to_vec(), [0x10, 0, 0x18, 0]);
    assert_eq!(PullModifyMsgResp::default().encode_to_vec(), [0x10, 0, 0x18, 0]);
    assert_eq!(RelationsOutput::default().encode_to_vec(), [0x10, 0, 0x18, 0]);
    assert_eq!(SessionStates::default().encode_to_vec(), [0x08, 0]);
    assert_eq!(ChrmOutput::default().encode_to_vec(), [0x08, 0]);
    let mut out = Vec::new();
    put_pull_answer(std::iter::empty(), Position(0), false, &mut out);
    assert_eq!(out, [0x10, 0, 0x18, 0, 0x20, 0]);
}

#[test]
fn fields_are_read_in_any_order_and_unknown_ones_passed_over() {
    // Field 2 before field 1, then the unknown fields 99 and 98.
    let body = [0x12, 1, b'n', 0x08, 3, 0x1a, 0, 0x9a, 0x06, 1, 0, 0x90, 0x06, 7];
    let up: UpStreamMessage = decode(Bytes::copy_from_slice(&body)).unwrap();
    assert_eq!((up.session_id, up.classname.as_ref()), (3, &b"n"[..]));
}

#[test]
fn bodies_over_the_limits_are_refused_before_they_are_read() {
    let tiny = BodyLimits { bytes_max: 8, fields_max: 3 };
    let fields = |count: usize| Bytes::from([0x0a, 0].repeat(count));
    assert!(decode_within::<BotInput>(fields(3), tiny).is_ok());
    assert_eq!(decode_within::<BotInput>(fields(4), tiny), Err(BodyError::TooManyFields(3)));
    assert_eq!(decode_within::<BotInput>(fields(5), tiny), Err(BodyError::TooLarge { size: 10, limit: 8 }));
    assert!(decode::<BotInput>(fields(6_000)).is_err());
    assert!(matches!(decode::<BotInput>(Bytes::from_static(&[0x0a, 9])), Err(BodyError::Malformed(_))));
}

mod schema {
    //! The schema of the code, as text, against `proto/rmtp.proto`.

    use std::collections::BTreeMap;

    /// By message and field number: the name without case and underscores, the wire type, and the label.
    type Fields = BTreeMap<(String, u32), (String, &'static str, String)>;

    fn squeeze(name: &str) -> String {
        name.chars().filter(|c| *c != '_').collect::<String>().to_lowercase()
    }

    fn documented() -> Fields {
        let mut fields = Fields::new();
        let mut message = String::new();
        for line in include_str!("../../../../proto/rmtp.proto").lines() {
            let line = line.split("//").next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix("message ") {
                message = squeeze(name.trim_end_matches([' ', '{']));
            } else if let Some((head, number)) = line.trim_end_matches(';').split_once(" = ") {
                let [label, kind, name] = head.split_whitespace().collect::<Vec<_>>()[..] else {
                    continue;
                };
                let wire = if matches!(kind, "int32" | "int64" | "bool") { "varint" } else { "length" };
                fields.insert((message.clone(), number.parse().unwrap()), (squeeze(name), wire, label.to_owned()));
            }
        }
        fields
    }

    fn coded() -> Fields {
        let mut fields = Fields::new();
        let (mut message, mut attribute) = (String::new(), String::new());
        for source in [
            include_str!("account.rs"),
            include_str!("chatroom.rs"),
            include_str!("conversation.rs"),
            include_str!("history.rs"),
            include_str!("message.rs"),
            include_str!("receipt.rs"),
            include_str!("sync.rs"),
        ] {
            for line in source.lines().map(str::trim) {
                if let Some(name) = line.strip_prefix("pub struct ") {
                    message = squeeze(name.trim_end_matches([' ', '{']));
                } else if line.starts_with("#[prost(") {
                    attribute = line.to_owned();
                } else if let (Some((name, _)), false) =
                    (line.strip_prefix("pub ").and_then(|line| line.split_once(": ")), attribute.is_empty())
                {
                    let number = attribute.split('"').rev().nth(1).unwrap().parse().unwrap();
                    let scalar = ["int32", "int64", "bool"].iter().any(|kind| attribute.contains(kind));
                    let label =
                        ["required", "optional", "repeated"].into_iter().find(|label| attribute.contains(label));
                    let name = if name == "kind" { "type".to_owned() } else { squeeze(name) };
                    let wire = if scalar { "varint" } else { "length" };
                    fields.insert((message.clone(), number), (name, wire, label.unwrap_or("required").to_owned()));
                    attribute.clear();
                }
            }
        }
        fields
    }

    #[test]
    fn the_documented_schema_is_the_one_in_the_code() {
        let (mut documented, coded) = (documented(), coded());
        // The derive has no required messages; the field is checked where it is used.
        if let Some(entry) = documented.get_mut(&("setchrmkv".to_owned(), 1)) {
            entry.2 = "optional".to_owned();
        }
        assert!(coded.len() > 150, "{}", coded.len());
        for (place, field) in &documented {
            assert_eq!(coded.get(place), Some(field), "{place:?}");
        }
        for place in coded.keys() {
            assert!(documented.contains_key(place), "{place:?} is not documented");
        }
    }
}
