//! Answers.

use anser_cluster::{
    GroupProfile, HistoryItem, HistoryReply, ListItem, PullItem, PullReply, SettingItem, SettingsPage, SignInView,
    UserProfile,
};
use anser_types::{ConnectionId, NodeId, Position, TargetId, Timestamp, UserId};

use super::words::{accepted_from, accepted_to, conversation_from, conversation_to, message_of, need, record_of};
use crate::wire::proto::answers::{self as proto, Said};
use crate::wire::{Answer, WireError};

pub(super) fn to_wire(answer: &Answer) -> proto::Answer {
    let said = match answer {
        Answer::Accepted(accepted) => Said::Accepted(accepted_to(accepted)),
        Answer::Time(time) => Said::Time(time.0),
        Answer::Pulled(reply) => Said::Pulled(pulled_to(reply)),
        Answer::History(reply) => Said::History(history_to(reply)),
        Answer::Conversations(items) => {
            Said::Conversations(proto::Conversations { items: items.iter().map(list_item_to).collect() })
        }
        Answer::Nodes(nodes) => Said::Nodes(proto::Nodes { nodes: nodes.iter().map(|node| node.0).collect() }),
        Answer::SignInView(view) => {
            Said::SignInView(proto::SignInView { blocked_until: view.blocked_until.0, tokens_from: view.tokens_from.0 })
        }
        Answer::User(profile) => Said::User(proto::User { profile: profile.as_ref().map(user_to) }),
        Answer::Group(profile) => Said::Group(proto::Group { profile: profile.as_ref().map(group_to) }),
        Answer::Flag(flag) => Said::Flag(*flag),
        Answer::Groups(groups) => Said::Groups(proto::Groups {
            groups: groups
                .iter()
                .map(|(group, name)| proto::NamedGroup { group: group.as_str().to_owned(), name: name.clone() })
                .collect(),
        }),
        Answer::Users(users) => {
            Said::Users(proto::Users { users: users.iter().map(|user| user.as_str().to_owned()).collect() })
        }
        Answer::Blocked(users) => Said::Blocked(proto::Blocked { users: users.iter().map(user_time_to).collect() }),
        Answer::Settings(page) => Said::Settings(settings_to(page)),
        Answer::Done => Said::Done(proto::Done {}),
    };
    proto::Answer { said: Some(said) }
}

pub(super) fn from_wire(answer: proto::Answer) -> Result<Answer, WireError> {
    Ok(match need(answer.said, "answer")? {
        Said::Accepted(accepted) => Answer::Accepted(accepted_from(&accepted)?),
        Said::Time(time) => Answer::Time(Timestamp(time)),
        Said::Pulled(pulled) => Answer::Pulled(pulled_from(pulled)?),
        Said::History(history) => Answer::History(history_from(history)?),
        Said::Conversations(list) => {
            Answer::Conversations(list.items.into_iter().map(list_item_from).collect::<Result<_, _>>()?)
        }
        Said::Nodes(nodes) => Answer::Nodes(nodes.nodes.into_iter().map(NodeId).collect()),
        Said::SignInView(view) => Answer::SignInView(SignInView {
            blocked_until: Timestamp(view.blocked_until),
            tokens_from: Timestamp(view.tokens_from),
        }),
        Said::User(user) => Answer::User(user.profile.map(user_from)),
        Said::Group(group) => Answer::Group(group.profile.map(group_from).transpose()?),
        Said::Flag(flag) => Answer::Flag(flag),
        Said::Groups(list) => {
            let named = |group: proto::NamedGroup| Ok((TargetId::new(&group.group)?, group.name));
            Answer::Groups(list.groups.into_iter().map(named).collect::<Result<_, WireError>>()?)
        }
        Said::Users(list) => Answer::Users(list.users.iter().map(|user| UserId::new(user)).collect::<Result<_, _>>()?),
        Said::Blocked(list) => Answer::Blocked(list.users.iter().map(user_time_from).collect::<Result<_, _>>()?),
        Said::Settings(page) => Answer::Settings(settings_from(page)?),
        Said::Done(proto::Done {}) => Answer::Done,
    })
}

fn pulled_to(reply: &PullReply) -> proto::Pulled {
    let item = |item: &PullItem| proto::PullItem {
        record: record_of(item.message.clone()),
        position: item.position.0,
        sent_on: item.sent_on.map(|connection| connection.0),
    };
    proto::Pulled {
        items: reply.items.iter().map(item).collect(),
        after: reply.after.0,
        head: reply.head.0,
        finished: reply.finished,
    }
}

fn pulled_from(pulled: proto::Pulled) -> Result<PullReply, WireError> {
    let item = |item: proto::PullItem| {
        let sent_on = item.sent_on.map(ConnectionId);
        Ok(PullItem { position: Position(item.position), sent_on, message: message_of(item.record)? })
    };
    Ok(PullReply {
        items: pulled.items.into_iter().map(item).collect::<Result<_, WireError>>()?,
        after: Position(pulled.after),
        head: Position(pulled.head),
        finished: pulled.finished,
    })
}

fn history_to(reply: &HistoryReply) -> proto::History {
    let item = |item: &HistoryItem| proto::HistoryItem { record: record_of(item.message.clone()), number: item.number };
    proto::History { items: reply.items.iter().map(item).collect(), more: reply.more }
}

fn history_from(history: proto::History) -> Result<HistoryReply, WireError> {
    let item = |item: proto::HistoryItem| Ok(HistoryItem { message: message_of(item.record)?, number: item.number });
    let items = history.items.into_iter().map(item).collect::<Result<_, WireError>>()?;
    Ok(HistoryReply { items, more: history.more })
}

fn list_item_to(item: &ListItem) -> proto::ListItem {
    proto::ListItem {
        conversation: conversation_to(&item.conversation),
        record: record_of(item.last.clone()),
        unread: item.unread,
        read_until: item.read_until.0,
    }
}

fn list_item_from(item: proto::ListItem) -> Result<ListItem, WireError> {
    Ok(ListItem {
        conversation: conversation_from(item.conversation)?,
        last: message_of(item.record)?,
        unread: item.unread,
        read_until: Timestamp(item.read_until),
    })
}

fn user_to(profile: &UserProfile) -> proto::UserProfile {
    let UserProfile { name, portrait, created } = profile.clone();
    proto::UserProfile { name, portrait, created: created.0 }
}

fn user_from(profile: proto::UserProfile) -> UserProfile {
    let proto::UserProfile { name, portrait, created } = profile;
    UserProfile { name, portrait, created: Timestamp(created) }
}

fn group_to(group: &GroupProfile) -> proto::GroupProfile {
    let members = group.members.iter().map(user_time_to).collect();
    let muted = group.muted.iter().map(user_time_to).collect();
    proto::GroupProfile { name: group.name.clone(), created: group.created.0, members, muted }
}

fn group_from(group: proto::GroupProfile) -> Result<GroupProfile, WireError> {
    let members = group.members.iter().map(user_time_from).collect::<Result<_, _>>()?;
    let muted = group.muted.iter().map(user_time_from).collect::<Result<_, _>>()?;
    Ok(GroupProfile { name: group.name, created: Timestamp(group.created), members, muted })
}

fn user_time_to((user, time): &(UserId, Timestamp)) -> proto::UserTime {
    proto::UserTime { user: user.as_str().to_owned(), time: time.0 }
}

fn user_time_from(user: &proto::UserTime) -> Result<(UserId, Timestamp), WireError> {
    Ok((UserId::new(&user.user)?, Timestamp(user.time)))
}

fn settings_to(page: &SettingsPage) -> proto::Settings {
    let item = |item: &SettingItem| proto::SettingItem {
        conversation: conversation_to(&item.conversation),
        item: item.item,
        value: item.value.clone(),
        time: item.time.0,
    };
    proto::Settings { version: page.version.0, items: page.items.iter().map(item).collect() }
}

fn settings_from(page: proto::Settings) -> Result<SettingsPage, WireError> {
    let item = |item: proto::SettingItem| {
        Ok(SettingItem {
            conversation: conversation_from(item.conversation)?,
            item: item.item,
            value: item.value,
            time: Timestamp(item.time),
        })
    };
    let items = page.items.into_iter().map(item).collect::<Result<_, WireError>>()?;
    Ok(SettingsPage { version: Timestamp(page.version), items })
}
