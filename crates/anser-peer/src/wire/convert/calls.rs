//! Questions.

use anser_cluster::{Command, HistoryRead, PullRequest, Recall, RecallTarget};
use anser_types::record::{Body, Record, RosterRecord, UserRecord};
use anser_types::{ConnectionId, DeviceId, NodeId, Position, TargetId, Timestamp, UserKey};

use super::words::{
    Drafted, body_record, conversation_from, conversation_kind, conversation_to, count_of, need, uid_from, uid_to,
    user_key, user_to,
};
use super::{app_key, partition_from};
use crate::wire::proto::calls::{self as proto, Asked};
use crate::wire::{Request, WireError};

pub(super) fn to_wire(request: &Request) -> proto::Request {
    let user_of = |user: &UserKey| user_to(user).unwrap_or_default();
    let asked = match request {
        Request::PublishForServer { publish, origin } => {
            Asked::Publish(Drafted::of_server(publish, *origin).into_wire())
        }
        Request::Command(command) => Asked::Command(body_record(&command_to(command))),
        Request::Pull(pull) => Asked::Pull(proto::Pull {
            user: user_to(&pull.user),
            device: pull.device.as_ref().map(|device| device.as_str().to_owned()),
            after: pull.after.0,
        }),
        Request::History(history) => Asked::History(history_to(history)),
        Request::Conversations { user, kind, before, count } => Asked::Conversations(proto::Conversations {
            user: user_to(user),
            kind: kind.map(|kind| u32::from(kind.number())),
            before: before.0,
            count: u64::try_from(*count).unwrap_or(u64::MAX),
        }),
        Request::Recall(recall) => Asked::Recall(recall_to(recall)),
        Request::SignedIn { user, node, connection } => Asked::SignedIn(presence_to(user, *node, *connection)),
        Request::SignedOut { user, node, connection } => Asked::SignedOut(presence_to(user, *node, *connection)),
        Request::Online(user) => Asked::Online(user_of(user)),
        Request::SignInView(user) => Asked::SignInView(user_of(user)),
        Request::User(user) => Asked::User(user_of(user)),
        Request::Group { app, group } => {
            Asked::Group(proto::Group { app: app.as_str().to_owned(), group: group.as_str().to_owned() })
        }
        Request::GroupsOf { user, after, count } => Asked::GroupsOf(proto::GroupsOf {
            user: user_to(user),
            after: after.as_ref().map(|after| after.as_str().to_owned()),
            count: u64::try_from(*count).unwrap_or(u64::MAX),
        }),
        Request::Blacklist(user) => Asked::Blacklist(user_of(user)),
        Request::BlockedUsers { app, now } => {
            Asked::BlockedUsers(proto::BlockedUsers { app: app.as_str().to_owned(), now: now.0 })
        }
        Request::Settings { user, version } => {
            Asked::Settings(proto::Settings { user: user_to(user), version: version.0 })
        }
        Request::IsOnline(user) => Asked::IsOnline(user_of(user)),
        Request::Archived(partition) => Asked::Archived(u32::from(partition.0)),
    };
    proto::Request { asked: Some(asked) }
}

pub(super) fn from_wire(request: proto::Request) -> Result<Request, WireError> {
    Ok(match need(request.asked, "request")? {
        Asked::Publish(draft) => {
            let Drafted { publish, origin, .. } = Drafted::from_wire(draft)?;
            Request::PublishForServer { publish, origin }
        }
        Asked::Command(record) => Request::Command(command_from(Record::decode(record)?.body)?),
        Asked::Pull(pull) => Request::Pull(PullRequest {
            user: user_key(pull.user)?,
            device: pull.device.map(|device| DeviceId::new(&device)).transpose()?,
            after: Position(pull.after),
        }),
        Asked::History(history) => Request::History(history_from(history)?),
        Asked::Conversations(list) => Request::Conversations {
            user: user_key(list.user)?,
            kind: list.kind.map(conversation_kind).transpose()?,
            before: Timestamp(list.before),
            count: count_of(list.count),
        },
        Asked::Recall(recall) => Request::Recall(recall_from(recall)?),
        Asked::SignedIn(presence) => {
            let (user, node, connection) = presence_from(presence)?;
            Request::SignedIn { user, node, connection }
        }
        Asked::SignedOut(presence) => {
            let (user, node, connection) = presence_from(presence)?;
            Request::SignedOut { user, node, connection }
        }
        Asked::Online(user) => Request::Online(user_key(Some(user))?),
        Asked::SignInView(user) => Request::SignInView(user_key(Some(user))?),
        Asked::User(user) => Request::User(user_key(Some(user))?),
        Asked::Group(group) => Request::Group { app: app_key(&group.app)?, group: TargetId::new(&group.group)? },
        Asked::GroupsOf(groups) => Request::GroupsOf {
            user: user_key(groups.user)?,
            after: groups.after.map(|after| TargetId::new(&after)).transpose()?,
            count: count_of(groups.count),
        },
        Asked::Blacklist(user) => Request::Blacklist(user_key(Some(user))?),
        Asked::BlockedUsers(blocked) => {
            Request::BlockedUsers { app: app_key(&blocked.app)?, now: Timestamp(blocked.now) }
        }
        Asked::Settings(settings) => {
            Request::Settings { user: user_key(settings.user)?, version: Timestamp(settings.version) }
        }
        Asked::IsOnline(user) => Request::IsOnline(user_key(Some(user))?),
        Asked::Archived(partition) => Request::Archived(partition_from(partition)?),
    })
}

fn command_to(command: &Command) -> Body {
    let time = Timestamp::ZERO;
    match command.clone() {
        Command::Roster { subject, change } => Body::Roster(RosterRecord { subject, time, change }),
        Command::User { user, change } => Body::User(UserRecord { user, time, change }),
    }
}

fn command_from(body: Body) -> Result<Command, WireError> {
    match body {
        Body::Roster(RosterRecord { subject, change, .. }) => Ok(Command::Roster { subject, change }),
        Body::User(UserRecord { user, change, .. }) => Ok(Command::User { user, change }),
        Body::Claim { .. } | Body::Message(_) => Err(WireError::Value("command")),
    }
}

fn history_to(history: &HistoryRead) -> proto::History {
    proto::History {
        user: user_to(&history.user),
        conversation: conversation_to(&history.conversation),
        time: history.time.map(|time| time.0),
        ascending: history.ascending,
        count: history.count.map(|count| u64::try_from(count).unwrap_or(u64::MAX)),
    }
}

fn history_from(history: proto::History) -> Result<HistoryRead, WireError> {
    Ok(HistoryRead {
        user: user_key(history.user)?,
        conversation: conversation_from(history.conversation)?,
        time: history.time.map(Timestamp),
        ascending: history.ascending,
        count: history.count.map(count_of),
    })
}

fn recall_to(recall: &Recall) -> proto::Recall {
    proto::Recall {
        draft: Some(Drafted::of_server(&recall.command, recall.origin).into_wire()),
        uid: uid_to(recall.target.uid),
        sent: recall.target.sent.0,
        by_sender_only: recall.target.by_sender_only,
    }
}

fn recall_from(recall: proto::Recall) -> Result<Recall, WireError> {
    let Drafted { publish: command, origin, .. } = Drafted::from_wire(need(recall.draft, "draft")?)?;
    let uid = uid_from(&recall.uid)?;
    let (sent, by_sender_only) = (Timestamp(recall.sent), recall.by_sender_only);
    Ok(Recall { command, origin, target: RecallTarget { uid, sent, by_sender_only } })
}

fn presence_to(user: &UserKey, node: NodeId, connection: ConnectionId) -> proto::Presence {
    proto::Presence { user: user_to(user), node: node.0, connection: connection.0 }
}

fn presence_from(presence: proto::Presence) -> Result<(UserKey, NodeId, ConnectionId), WireError> {
    Ok((user_key(presence.user)?, NodeId(presence.node), ConnectionId(presence.connection)))
}
