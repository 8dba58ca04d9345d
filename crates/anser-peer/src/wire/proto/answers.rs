//! What is answered. Messages are in it as the log has them.

use bytes::Bytes;
use prost::{Message, Oneof};

use super::{Conversation, MessageRef};

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Answer {
    #[prost(oneof = "Said", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
    pub(in crate::wire) said: Option<Said>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(in crate::wire) enum Said {
    #[prost(message, tag = "1")]
    Accepted(MessageRef),
    #[prost(uint64, tag = "2")]
    Time(u64),
    #[prost(message, tag = "3")]
    Pulled(Pulled),
    #[prost(message, tag = "4")]
    History(History),
    #[prost(message, tag = "5")]
    Conversations(Conversations),
    #[prost(message, tag = "6")]
    Nodes(Nodes),
    #[prost(message, tag = "7")]
    SignInView(SignInView),
    #[prost(message, tag = "8")]
    User(User),
    #[prost(message, tag = "9")]
    Group(Group),
    #[prost(bool, tag = "10")]
    Flag(bool),
    #[prost(message, tag = "11")]
    Groups(Groups),
    #[prost(message, tag = "12")]
    Users(Users),
    #[prost(message, tag = "13")]
    Blocked(Blocked),
    #[prost(message, tag = "14")]
    Settings(Settings),
    #[prost(message, tag = "15")]
    Done(Done),
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Done {}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Pulled {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::wire) items: Vec<PullItem>,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) after: u64,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) head: u64,
    #[prost(bool, tag = "4")]
    pub(in crate::wire) finished: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct PullItem {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::wire) record: Bytes,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) position: u64,
    #[prost(fixed64, optional, tag = "3")]
    pub(in crate::wire) sent_on: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::wire) items: Vec<HistoryItem>,
    #[prost(bool, tag = "2")]
    pub(in crate::wire) more: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct HistoryItem {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::wire) record: Bytes,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Conversations {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::wire) items: Vec<ListItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct ListItem {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) conversation: Option<Conversation>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::wire) record: Bytes,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) unread: u64,
    #[prost(uint64, tag = "4")]
    pub(in crate::wire) read_until: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Nodes {
    #[prost(fixed64, repeated, tag = "1")]
    pub(in crate::wire) nodes: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct SignInView {
    #[prost(uint64, tag = "1")]
    pub(in crate::wire) blocked_until: u64,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) tokens_from: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct User {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) profile: Option<UserProfile>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct UserProfile {
    #[prost(string, tag = "1")]
    pub(in crate::wire) name: String,
    #[prost(string, tag = "2")]
    pub(in crate::wire) portrait: String,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) created: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Group {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) profile: Option<GroupProfile>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct GroupProfile {
    #[prost(string, tag = "1")]
    pub(in crate::wire) name: String,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) created: u64,
    #[prost(message, repeated, tag = "3")]
    pub(in crate::wire) members: Vec<UserTime>,
    #[prost(message, repeated, tag = "4")]
    pub(in crate::wire) muted: Vec<UserTime>,
}

/// A user with a time: since when it is a member, until when it is blocked.
#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct UserTime {
    #[prost(string, tag = "1")]
    pub(in crate::wire) user: String,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) time: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Groups {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::wire) groups: Vec<NamedGroup>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct NamedGroup {
    #[prost(string, tag = "1")]
    pub(in crate::wire) group: String,
    #[prost(string, tag = "2")]
    pub(in crate::wire) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Users {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::wire) users: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Blocked {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::wire) users: Vec<UserTime>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Settings {
    #[prost(uint64, tag = "1")]
    pub(in crate::wire) version: u64,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::wire) items: Vec<SettingItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct SettingItem {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) conversation: Option<Conversation>,
    #[prost(uint32, tag = "2")]
    pub(in crate::wire) item: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::wire) value: Bytes,
    #[prost(uint64, tag = "4")]
    pub(in crate::wire) time: u64,
}
