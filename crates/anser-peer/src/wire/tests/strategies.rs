//! Any frame.

use std::sync::Arc;

use anser_cluster::{Deliver, HistoryItem, PullItem, RecallTarget, SettingItem};
use anser_rmtp::Platform;
use anser_types::record::{RosterChange, UserChange};
use anser_types::{
    Claim, ClientMessageId, Conversation, DeviceId, Effect, Extras, Message, MessageClass, MessageFlags, MessageUid,
    Offset, Status, Subject,
};
use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_ü😀]{1,12}"
}

fn app() -> impl Strategy<Value = AppKey> {
    text().prop_map(|text| AppKey::new(&text).unwrap())
}

fn user_id() -> impl Strategy<Value = UserId> {
    text().prop_map(|text| UserId::new(&text).unwrap())
}

fn target() -> impl Strategy<Value = TargetId> {
    text().prop_map(|text| TargetId::new(&text).unwrap())
}

fn device() -> impl Strategy<Value = DeviceId> {
    text().prop_map(|text| DeviceId::new(&text).unwrap())
}

fn user() -> impl Strategy<Value = UserKey> {
    (app(), user_id()).prop_map(|(app, user)| UserKey::new(app, user))
}

fn kind() -> impl Strategy<Value = ConversationType> {
    prop_oneof![
        Just(ConversationType::Private),
        Just(ConversationType::Group),
        Just(ConversationType::System),
        Just(ConversationType::UltraGroup),
    ]
}

fn class() -> impl Strategy<Value = MessageClass> {
    prop_oneof![Just(MessageClass::Persisted), Just(MessageClass::NotPersisted), Just(MessageClass::Status)]
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn position() -> impl Strategy<Value = Position> {
    any::<u64>().prop_map(Position)
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    any::<u64>().prop_map(ConnectionId)
}

fn uid() -> impl Strategy<Value = MessageUid> {
    any::<[u8; 10]>().prop_map(MessageUid::from_bytes)
}

fn origin() -> BoxedStrategy<Origin> {
    (connection(), any::<u64>(), option::of(any::<i64>()))
        .prop_map(|(connection, publish, client_id)| Origin {
            connection,
            publish,
            client_id: client_id.map(ClientMessageId),
        })
        .boxed()
}

fn conversation() -> impl Strategy<Value = Conversation> {
    (kind(), target()).prop_map(|(kind, target)| Conversation::new(kind, target))
}

fn effect() -> BoxedStrategy<Effect> {
    prop_oneof![
        (uid(), time()).prop_map(|(uid, sent)| Effect::Recall { uid, sent }),
        time().prop_map(|until| Effect::Read { until }),
    ]
    .boxed()
}

fn extras() -> BoxedStrategy<Option<Box<Extras>>> {
    let texts = (option::of(blob()), option::of(blob()), option::of(blob()), option::of(blob()), option::of(blob()));
    let rest = (1..u32::MAX, any::<u64>(), vec(user_id(), 0..4), option::of(effect()));
    // Extras that say nothing are none: some field is always set.
    option::of((texts, rest).prop_map(|(texts, (config_flags, option_bits, to_users, effect))| {
        let (push_text, push_data, push_ext, extra_content, bus_channel) = texts;
        Box::new(Extras {
            push_text,
            push_data,
            push_ext,
            extra_content,
            bus_channel,
            config_flags,
            option_bits,
            to_users,
            effect,
        })
    }))
    .boxed()
}

fn message() -> BoxedStrategy<Message> {
    let who = (app(), kind(), user_id(), target());
    let what = (class(), any::<u32>().prop_map(MessageFlags), blob(), blob());
    let rest = (time(), uid(), origin(), any::<bool>(), extras());
    (who, what, rest)
        .prop_map(|((app, kind, sender, target), (class, flags, object_name, content), rest)| {
            let (sent, uid, origin, sender_copy, extras) = rest;
            Message {
                app,
                kind,
                sender,
                target,
                sent,
                uid,
                class,
                flags,
                object_name,
                content,
                origin,
                sender_copy,
                extras,
            }
        })
        .boxed()
}

fn publish() -> BoxedStrategy<Publish> {
    (message(), time())
        .prop_map(|(message, floor)| Publish {
            sender: UserKey::new(message.app, message.sender),
            kind: message.kind,
            target: message.target,
            class: message.class,
            flags: message.flags,
            object_name: message.object_name,
            content: message.content,
            origin: message.origin,
            floor,
            extras: message.extras,
        })
        .boxed()
}

fn server_publish() -> BoxedStrategy<ServerPublish> {
    (message(), any::<bool>())
        .prop_map(|(message, check_permission)| ServerPublish {
            app: message.app,
            sender: message.sender,
            kind: message.kind,
            target: message.target,
            class: message.class,
            flags: message.flags,
            object_name: message.object_name,
            content: message.content,
            sender_copy: message.sender_copy,
            check_permission,
            extras: message.extras,
        })
        .boxed()
}

fn forward() -> BoxedStrategy<Forward> {
    let ids = (any::<u64>(), option::of(any::<u64>()), any::<u64>());
    (server_publish(), origin(), time(), ids)
        .prop_map(|(publish, origin, floor, (id, after, oldest))| Forward { id, after, oldest, publish, origin, floor })
        .boxed()
}

fn deliver() -> BoxedStrategy<Deliver> {
    (user_id(), option::of(position()), position(), option::of(connection()))
        .prop_map(|(user, position, previous, sent_on)| Deliver { user, position, previous, sent_on, online: None })
        .boxed()
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (1..u16::MAX).prop_map(|status| Refusal::new(Status(status)))
}

fn accepted() -> impl Strategy<Value = Accepted> {
    (uid(), time()).prop_map(|(uid, sent)| Accepted { uid, sent })
}

fn outcome() -> BoxedStrategy<Result<Accepted, Refusal>> {
    prop_oneof![accepted().prop_map(Ok), refusal().prop_map(Err)].boxed()
}

fn forwarded() -> BoxedStrategy<Forwarded> {
    prop_oneof![outcome().prop_map(Forwarded::Settled), Just(Forwarded::Returned)].boxed()
}

fn settled() -> BoxedStrategy<Settled> {
    (connection(), any::<u64>(), outcome())
        .prop_map(|(connection, publish, outcome)| Settled { connection, publish, outcome })
        .boxed()
}

fn newcomer() -> BoxedStrategy<Newcomer> {
    (user(), connection(), time(), text(), option::of(device()), any::<bool>())
        .prop_map(|(user, connection, time, platform, device, one_per_platform)| Newcomer {
            user,
            connection,
            time,
            platform: Platform::parse(&platform),
            device,
            one_per_platform,
        })
        .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let group = (app(), target()).prop_map(|(app, group)| Subject::group(app, group));
    let roster = prop_oneof![
        (text(), vec(user_id(), 0..4)).prop_map(|(name, users)| RosterChange::Join { name, users }),
        vec(user_id(), 0..4).prop_map(|users| RosterChange::Quit { users }),
        Just(RosterChange::Dismiss),
    ]
    .boxed();
    let change = prop_oneof![
        time().prop_map(|until| UserChange::Blocked { until }),
        (conversation(), any::<u32>(), blob()).prop_map(|(conversation, item, value)| UserChange::Setting {
            conversation,
            item,
            value
        }),
        (conversation(), time()).prop_map(|(conversation, until)| UserChange::Read { conversation, until }),
    ]
    .boxed();
    prop_oneof![
        (group, roster).prop_map(|(subject, change)| Command::Roster { subject, change }),
        (user(), change).prop_map(|(user, change)| Command::User { user, change }),
    ]
    .boxed()
}

fn recall() -> BoxedStrategy<Recall> {
    (server_publish(), origin(), uid(), time(), any::<bool>())
        .prop_map(|(command, origin, uid, sent, by_sender_only)| Recall {
            command,
            origin,
            target: RecallTarget { uid, sent, by_sender_only },
        })
        .boxed()
}

fn request() -> BoxedStrategy<Request> {
    let node = || any::<u64>().prop_map(NodeId);
    let count = || 0usize..1_000;
    let writes = prop_oneof![
        (server_publish(), origin()).prop_map(|(publish, origin)| Request::PublishForServer { publish, origin }),
        command().prop_map(Request::Command),
        recall().prop_map(Request::Recall),
        (user(), node(), connection()).prop_map(|(user, node, connection)| Request::SignedIn {
            user,
            node,
            connection
        }),
        (user(), node(), connection()).prop_map(|(user, node, connection)| Request::SignedOut {
            user,
            node,
            connection
        }),
    ]
    .boxed();
    let reads =
        prop_oneof![
            (user(), option::of(device()), position()).prop_map(|(user, device, after)| Request::Pull(PullRequest {
                user,
                device,
                after
            })),
            (user(), conversation(), option::of(time()), any::<bool>(), option::of(count())).prop_map(
                |(user, conversation, time, ascending, count)| {
                    Request::History(HistoryRead { user, conversation, time, ascending, count })
                }
            ),
            (user(), option::of(kind()), time(), count())
                .prop_map(|(user, kind, before, count)| Request::Conversations { user, kind, before, count }),
            user().prop_map(Request::Online),
            user().prop_map(Request::IsOnline),
            any::<u8>().prop_map(|partition| Request::Archived(PartitionId(partition))),
        ];
    let directory = prop_oneof![
        user().prop_map(Request::SignInView),
        user().prop_map(Request::User),
        (app(), target()).prop_map(|(app, group)| Request::Group { app, group }),
        (user(), option::of(target()), count()).prop_map(|(user, after, count)| Request::GroupsOf {
            user,
            after,
            count
        }),
        user().prop_map(Request::Blacklist),
        (app(), time()).prop_map(|(app, now)| Request::BlockedUsers { app, now }),
        (user(), time()).prop_map(|(user, version)| Request::Settings { user, version }),
    ]
    .boxed();
    prop_oneof![writes, reads, directory].boxed()
}

fn answer() -> BoxedStrategy<Answer> {
    let item = (position(), option::of(connection()), message()).prop_map(|(position, sent_on, message)| PullItem {
        position,
        sent_on,
        message,
    });
    let pulled = (vec(item, 0..3), position(), position(), any::<bool>())
        .prop_map(|(items, after, head, finished)| PullReply { items, after, head, finished });
    let past = (message(), any::<u64>()).prop_map(|(message, number)| HistoryItem { message, number });
    let row = (conversation(), message(), any::<u64>(), time())
        .prop_map(|(conversation, last, unread, read_until)| ListItem { conversation, last, unread, read_until });
    let setting = (conversation(), any::<u32>(), blob(), time())
        .prop_map(|(conversation, item, value, time)| SettingItem { conversation, item, value, time });
    let messages = prop_oneof![
        accepted().prop_map(Answer::Accepted),
        time().prop_map(Answer::Time),
        pulled.prop_map(Answer::Pulled),
        (vec(past, 0..3), any::<bool>()).prop_map(|(items, more)| Answer::History(HistoryReply { items, more })),
        vec(row, 0..3).prop_map(Answer::Conversations),
        vec(any::<u64>().prop_map(NodeId), 0..3).prop_map(|nodes| Answer::Nodes(nodes.into())),
        any::<bool>().prop_map(Answer::Flag),
        Just(Answer::Done),
    ]
    .boxed();
    let profile =
        (text(), text(), time()).prop_map(|(name, portrait, created)| UserProfile { name, portrait, created });
    let users = || vec((user_id(), time()), 0..4);
    let group = (text(), time(), users(), users()).prop_map(|(name, created, members, muted)| GroupProfile {
        name,
        created,
        members,
        muted,
    });
    let directory = prop_oneof![
        (time(), time())
            .prop_map(|(blocked_until, tokens_from)| Answer::SignInView(SignInView { blocked_until, tokens_from })),
        option::of(profile).prop_map(Answer::User),
        option::of(group).prop_map(Answer::Group),
        vec((target(), text()), 0..3).prop_map(Answer::Groups),
        vec(user_id(), 0..3).prop_map(Answer::Users),
        vec((user_id(), time()), 0..3).prop_map(Answer::Blocked),
        (time(), vec(setting, 0..3)).prop_map(|(version, items)| Answer::Settings(SettingsPage { version, items })),
    ]
    .boxed();
    prop_oneof![messages, directory].boxed()
}

pub(super) fn frame() -> BoxedStrategy<Frame> {
    let to = proptest::option::of(any::<u64>().prop_map(NodeId));
    let hello = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), text(), to).prop_map(
        |(version, oldest, cluster, node, name, to)| {
            Frame::Hello(Hello { version, oldest, cluster: LogId(cluster), node: NodeId(node), name, to })
        },
    );
    let arrive = (message(), vec(deliver(), 0..4))
        .prop_map(|(message, to)| Frame::Arrive(Arrival { app: message.app.clone(), message: Arc::new(message), to }));
    let why = prop_oneof![Just(SignOut::Blocked), time().prop_map(|before| SignOut::TokensVoid { before })];
    let there = prop_oneof![
        (any::<u32>(), vec(publish(), 0..4)).prop_map(|(attempt, publishes)| Frame::Publishes { attempt, publishes }),
        arrive,
        (user(), position()).prop_map(|(user, head)| Frame::Moved { user, head }),
        (user(), time(), connection()).prop_map(|(user, time, by)| Frame::SettingsChanged { user, time, by }),
        (user(), why).prop_map(|(user, why)| Frame::SignOut { user, why }),
        newcomer().prop_map(Frame::GivesWay),
        vec(forward(), 0..4).prop_map(Frame::Forwards),
        vec(any::<u8>().prop_map(PartitionId), 0..4).prop_map(Frame::LetGo),
        (any::<u64>(), any::<u32>(), request()).prop_map(|(id, wait, request)| {
            Frame::Call { id, wait: Duration::from_millis(u64::from(wait)), request }
        }),
    ]
    .boxed();
    let back = prop_oneof![
        text().prop_map(|reason| Frame::Refused { reason }),
        any::<u64>().prop_map(|frames| Frame::Taken { frames }),
        vec(settled(), 0..4).prop_map(Frame::Settled),
        vec((any::<u64>(), forwarded()), 0..4).prop_map(Frame::Answers),
        (any::<u64>(), prop_oneof![answer().prop_map(Ok), refusal().prop_map(Err)])
            .prop_map(|(id, result)| Frame::Reply { id, result }),
        btree_map(any::<u8>().prop_map(PartitionId), any::<u64>().prop_map(|offset| Claim(Offset(offset))), 0..4)
            .prop_map(Frame::Claims),
    ]
    .boxed();
    prop_oneof![hello, there, back].boxed()
}
