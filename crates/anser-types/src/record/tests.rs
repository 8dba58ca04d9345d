//! Golden bytes and round trips of records.

use super::*;
use crate::{ClientMessageId, ConnectionId, ConversationType, Effect, Extras, MessageClass, MessageFlags, Origin};

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn header() -> Header {
    Header { log: LogId(0x0102_0304_0506_0708), claim: Claim(Offset(9)), sequence: 3 }
}

fn message(extras: Option<Extras>) -> Message {
    Message {
        app: app(),
        kind: ConversationType::Private,
        sender: user("alice"),
        target: user("bob").into(),
        sent: Timestamp(1_795_311_881_922),
        uid: "D203-MKTG-G004-2VDL".parse().unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{}"),
        origin: Origin { connection: ConnectionId(7), publish: 2, client_id: Some(ClientMessageId(-2)) },
        sender_copy: true,
        extras: extras.map(Box::new),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn every_body() -> Vec<Body> {
    let me = UserKey::new(app(), user("bob"));
    let conversation = Conversation::new(ConversationType::Group, TargetId::new("g1").unwrap());
    let roster = |change| {
        Body::Roster(RosterRecord {
            subject: Subject::group(app(), conversation.target.clone()),
            time: Timestamp(5),
            change,
        })
    };
    let private = |change| {
        Body::Roster(RosterRecord {
            subject: Subject::private(app(), user("bob"), user("alice")),
            time: Timestamp(5),
            change,
        })
    };
    let own = |change| Body::User(UserRecord { user: me.clone(), time: Timestamp(6), change });
    let full = Extras {
        push_text: Some("ding".into()),
        push_data: Some("data".into()),
        push_ext: Some("ext".into()),
        extra_content: Some("{}".into()),
        bus_channel: Some("c".into()),
        config_flags: 6,
        option_bits: 9,
        to_users: vec![user("x"), user("y")],
        effect: Some(Effect::Recall { uid: "D203-MKTG-G004-2VDL".parse().unwrap(), sent: Timestamp(4) }),
    };
    let read = Extras { effect: Some(Effect::Read { until: Timestamp(8) }), ..Extras::default() };
    vec![
        Body::Claim { node: "n1".into(), time: Timestamp(1) },
        Body::Message(message(None)),
        Body::Message(message(Some(full))),
        Body::Message(Message { sender_copy: false, ..message(Some(read)) }),
        roster(RosterChange::Join { name: "G".into(), users: vec![user("a"), user("b")] }),
        roster(RosterChange::Quit { users: vec![user("a")] }),
        roster(RosterChange::Dismiss),
        roster(RosterChange::Rename { name: "H".into() }),
        private(RosterChange::Block { by: user("bob") }),
        private(RosterChange::Unblock { by: user("bob") }),
        roster(RosterChange::Mute { users: vec![user("a")], until: Timestamp(9) }),
        roster(RosterChange::Unmute { users: vec![user("a")] }),
        own(UserChange::Profile { name: Some("Bob".into()), portrait: Some("http://x".into()) }),
        own(UserChange::Profile { name: None, portrait: Some(String::new()) }),
        own(UserChange::Profile { name: None, portrait: None }),
        own(UserChange::Blocked { until: Timestamp(7) }),
        own(UserChange::Unblocked),
        own(UserChange::TokensVoid { before: Timestamp(7) }),
        own(UserChange::Setting { conversation: conversation.clone(), item: 2, value: "1".into() }),
        own(UserChange::HideMessages {
            conversation: conversation.clone(),
            messages: vec![("D203-MKTG-G004-2VDL".parse().unwrap(), Timestamp(3))],
        }),
        own(UserChange::HideUntil { conversation: conversation.clone(), until: Timestamp(3) }),
        own(UserChange::RemoveConversation { conversation: conversation.clone() }),
        own(UserChange::Read { conversation, until: Timestamp(3) }),
    ]
}

#[test]
fn every_record_is_read_as_it_was_written() {
    for body in every_body() {
        let bytes = body.encode(header());
        assert_eq!(Record::decode(bytes), Ok(Record { header: header(), body }));
    }
}

#[test]
fn golden_message_bytes() {
    assert_eq!(
        hex(&Body::Message(message(None)).encode(header())),
        "0102010203040506070800000000000000090000000000000003\
         010100000003000001a200ed4ec268803b53b08000417db5\
         00000000000000070000000000000002\
         00036170700005616c6963650003626f620000000952433a5478744d7367000000027b7d\
         0100000008fffffffffffffffe"
    );
}

#[test]
fn golden_claim_bytes() {
    let bytes = Body::Claim { node: "n1".into(), time: Timestamp(1) }.encode(header());
    assert_eq!(hex(&bytes), "0101010203040506070800000000000000090000000000000003000000000000000100026e31");
}

#[test]
fn a_record_cut_anywhere_is_refused_not_misread() {
    for body in every_body() {
        let bytes = body.encode(header());
        for end in 0..bytes.len() {
            // A message may end before an optional field; nothing else may end early.
            if let Ok(record) = Record::decode(bytes.slice(..end)) {
                assert!(matches!(record.body, Body::Message(_)), "{body:?} cut at {end}");
            }
        }
    }
}

#[test]
fn an_unknown_version_or_kind_is_named() {
    let mut bytes = Body::Claim { node: "n".into(), time: Timestamp(1) }.encode(header()).to_vec();
    bytes[0] = 9;
    assert_eq!(Record::decode(bytes.clone().into()), Err(DecodeError::Version(9)));
    bytes[0] = VERSION;
    bytes[1] = 200;
    assert_eq!(Record::decode(bytes.into()), Err(DecodeError::Kind(200)));
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let mut bytes = Body::Message(message(None)).encode(header()).to_vec();
    bytes.extend_from_slice(&[99, 0, 0, 0, 1, 42]);
    assert_eq!(Record::decode(bytes.into()).unwrap().body, Body::Message(message(None)));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, kind in 0u8..6) {
        let mut framed = vec![VERSION, kind];
        framed.extend_from_slice(&[0; 24]);
        framed.extend_from_slice(&bytes);
        drop(Record::decode(framed.into()));
        drop(Record::decode(bytes.into()));
    }
}
