//! One of each frame.

use std::sync::Arc;

use anser_cluster::{Deliver, HistoryItem, PullItem, RecallTarget, SettingItem};
use anser_rmtp::Platform;
use anser_types::record::{RosterChange, UserChange};
use anser_types::{
    Claim, ClientMessageId, Conversation, DeviceId, Effect, Extras, Message, MessageClass, MessageFlags, MessageUid,
    Offset, Status, Subject,
};
use bytes::Bytes;

use super::super::*;

const HERE: ConnectionId = ConnectionId(0x0102_0304_0000_0005);
const NODE: NodeId = NodeId(0x0102_0304_0506_0708);
const TIME: Timestamp = Timestamp(1_795_311_881_922);

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn bob() -> UserKey {
    UserKey::new(app(), id("bob"))
}

fn group() -> TargetId {
    TargetId::new("g1").unwrap()
}

fn uid() -> MessageUid {
    MessageUid::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
}

fn origin() -> Origin {
    Origin { connection: HERE, publish: 3, client_id: Some(ClientMessageId(-4)) }
}

fn extras() -> Box<Extras> {
    Box::new(Extras {
        push_text: Some(Bytes::from_static(b"p")),
        push_data: Some(Bytes::from_static(b"d")),
        push_ext: Some(Bytes::from_static(b"e")),
        extra_content: Some(Bytes::from_static(b"x")),
        bus_channel: Some(Bytes::from_static(b"b")),
        config_flags: 6,
        option_bits: 7,
        to_users: vec![id("eve")],
        effect: Some(Effect::Recall { uid: uid(), sent: TIME }),
    })
}

fn message() -> Message {
    Message {
        app: app(),
        kind: ConversationType::Private,
        sender: id("alice"),
        target: id("bob").into(),
        sent: TIME,
        uid: uid(),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{}"),
        origin: origin(),
        sender_copy: true,
        extras: None,
    }
}

fn publish(extras: Option<Box<Extras>>) -> Publish {
    Publish {
        sender: bob(),
        kind: ConversationType::Group,
        target: group(),
        class: MessageClass::NotPersisted,
        flags: MessageFlags(1),
        object_name: Bytes::from_static(b"RC:ImgMsg"),
        content: Bytes::from_static(b"[]"),
        origin: origin(),
        floor: TIME,
        extras,
    }
}

fn server_publish() -> ServerPublish {
    ServerPublish {
        app: app(),
        sender: id("system"),
        kind: ConversationType::System,
        target: id("bob").into(),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{}"),
        sender_copy: false,
        check_permission: true,
        extras: None,
    }
}

pub(crate) fn forward() -> Forward {
    let extras = Some(Box::new(Extras { effect: Some(Effect::Read { until: TIME }), ..Extras::default() }));
    Forward {
        id: 9,
        after: Some(8),
        oldest: 7,
        publish: ServerPublish { sender_copy: true, check_permission: false, extras, ..server_publish() },
        origin: Origin { client_id: None, ..origin() },
        floor: TIME,
    }
}

fn hello(to: Option<NodeId>) -> Hello {
    Hello { version: 1, oldest: 1, cluster: LogId(0xabc), node: NODE, name: "n1".into(), to }
}

fn accepted() -> Accepted {
    Accepted { uid: uid(), sent: TIME }
}

fn refusal() -> Refusal {
    Refusal::new(Status::BLACKLISTED)
}

fn arrival() -> Arrival {
    let received = Deliver {
        user: id("bob"),
        position: Some(Position(TIME.0)),
        previous: Position(4),
        sent_on: None,
        online: None,
    };
    let sent =
        Deliver { user: id("alice"), position: None, previous: Position::START, sent_on: Some(HERE), online: None };
    Arrival { app: app(), message: Arc::new(message()), to: vec![received, sent] }
}

pub(super) fn all() -> Vec<(String, Frame)> {
    let mut all: Vec<(String, Frame)> = frames().into_iter().map(|(name, frame)| (name.to_owned(), frame)).collect();
    for (number, request) in requests().into_iter().enumerate() {
        let frame = Frame::Call { id: 17, wait: Duration::from_millis(2_500), request };
        all.push((format!("call-{}", number + 1), frame));
    }
    for (number, answer) in answers().into_iter().enumerate() {
        all.push((format!("reply-{}", number + 1), Frame::Reply { id: 17, result: Ok(answer) }));
    }
    all
}

fn frames() -> Vec<(&'static str, Frame)> {
    let newcomer = Newcomer {
        user: bob(),
        connection: HERE,
        time: TIME,
        platform: Platform::Ios,
        device: Some(DeviceId::new("phone").unwrap()),
        one_per_platform: true,
    };
    let settled = vec![
        Settled { connection: HERE, publish: 3, outcome: Ok(accepted()) },
        Settled { connection: HERE, publish: 4, outcome: Err(refusal()) },
    ];
    let answers = vec![
        (9, Forwarded::Settled(Ok(accepted()))),
        (10, Forwarded::Settled(Err(refusal()))),
        (11, Forwarded::Returned),
    ];
    vec![
        ("hello", Frame::Hello(hello(None))),
        ("dialled", Frame::Hello(hello(Some(NodeId(9))))),
        ("refused", Frame::Refused { reason: "no".into() }),
        ("taken", Frame::Taken { frames: 300 }),
        ("publishes", Frame::Publishes { attempt: 2, publishes: vec![publish(None), publish(Some(extras()))] }),
        ("settled", Frame::Settled(settled)),
        ("arrive", Frame::Arrive(arrival())),
        ("moved", Frame::Moved { user: bob(), head: Position(5) }),
        ("settings", Frame::SettingsChanged { user: bob(), time: TIME, by: HERE }),
        ("blocked", Frame::SignOut { user: bob(), why: SignOut::Blocked }),
        ("void", Frame::SignOut { user: bob(), why: SignOut::TokensVoid { before: TIME } }),
        ("gives-way", Frame::GivesWay(newcomer)),
        ("forwards", Frame::Forwards(vec![forward()])),
        ("answers", Frame::Answers(answers)),
        ("refusal", Frame::Reply { id: 17, result: Err(refusal()) }),
        ("let-go", Frame::LetGo(vec![PartitionId(3), PartitionId(255)])),
        ("claims", Frame::Claims([(PartitionId(0), Claim(Offset(7))), (PartitionId(255), Claim::default())].into())),
    ]
}

fn requests() -> Vec<Request> {
    let user = bob();
    let target = RecallTarget { uid: uid(), sent: TIME, by_sender_only: true };
    vec![
        Request::PublishForServer { publish: server_publish(), origin: origin() },
        Request::Command(Command::Roster {
            subject: Subject::group(app(), group()),
            change: RosterChange::Join { name: "G".into(), users: vec![id("bob")] },
        }),
        Request::Command(Command::User { user: bob(), change: UserChange::Blocked { until: TIME } }),
        Request::Pull(PullRequest { user: bob(), device: Some(DeviceId::new("phone").unwrap()), after: Position(5) }),
        Request::History(HistoryRead {
            user: bob(),
            conversation: Conversation::new(ConversationType::Group, group()),
            time: Some(TIME),
            ascending: true,
            count: Some(20),
        }),
        Request::Conversations { user: bob(), kind: Some(ConversationType::Group), before: TIME, count: 50 },
        Request::Recall(Recall { command: server_publish(), origin: Origin::NONE, target }),
        Request::SignedIn { user: bob(), node: NODE, connection: HERE },
        Request::SignedOut { user: bob(), node: NODE, connection: HERE },
        Request::Online(bob()),
        Request::SignInView(bob()),
        Request::User(bob()),
        Request::Group { app: app(), group: group() },
        Request::GroupsOf { user: bob(), after: Some(group()), count: 10 },
        Request::Blacklist(bob()),
        Request::BlockedUsers { app: app(), now: TIME },
        Request::Settings { user: bob(), version: TIME },
        Request::IsOnline(user),
        Request::Archived(PartitionId(200)),
    ]
}

fn answers() -> Vec<Answer> {
    let conversation = Conversation::new(ConversationType::Group, group());
    let items = vec![PullItem { position: Position(6), sent_on: Some(HERE), message: message() }];
    let row = ListItem { conversation: conversation.clone(), last: message(), unread: 3, read_until: Timestamp(4) };
    let setting = SettingItem { conversation, item: 1, value: Bytes::from_static(b"1"), time: TIME };
    vec![
        Answer::Accepted(accepted()),
        Answer::Time(TIME),
        Answer::Pulled(PullReply { items, after: Position(5), head: Position(6), finished: true }),
        Answer::History(HistoryReply { items: vec![HistoryItem { message: message(), number: 12 }], more: true }),
        Answer::Conversations(vec![row]),
        Answer::Nodes(vec![NODE].into()),
        Answer::SignInView(SignInView { blocked_until: TIME, tokens_from: Timestamp(1) }),
        Answer::User(Some(UserProfile { name: "Bob".into(), portrait: "p".into(), created: TIME })),
        Answer::User(None),
        Answer::Group(Some(GroupProfile {
            name: "G".into(),
            created: TIME,
            members: vec![(id("bob"), TIME)],
            muted: vec![(id("eve"), Timestamp(5))],
        })),
        Answer::Flag(true),
        Answer::Groups(vec![(group(), "G".into())]),
        Answer::Users(vec![id("eve")]),
        Answer::Blocked(vec![(id("eve"), TIME)]),
        Answer::Settings(SettingsPage { version: TIME, items: vec![setting] }),
        Answer::Done,
    ]
}
