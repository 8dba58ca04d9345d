//! What is asked. The name of each question is that of the method that it calls.

use bytes::Bytes;
use prost::{Message, Oneof};

use super::{Conversation, Draft, UserKey};

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Request {
    #[prost(oneof = "Asked", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19")]
    pub(in crate::wire) asked: Option<Asked>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(in crate::wire) enum Asked {
    #[prost(message, tag = "1")]
    Publish(Draft),
    /// The change, in a record of the log.
    #[prost(bytes = "bytes", tag = "2")]
    Command(Bytes),
    #[prost(message, tag = "3")]
    Pull(Pull),
    #[prost(message, tag = "4")]
    History(History),
    #[prost(message, tag = "5")]
    Conversations(Conversations),
    #[prost(message, tag = "6")]
    Recall(Recall),
    #[prost(message, tag = "7")]
    SignedIn(Presence),
    #[prost(message, tag = "8")]
    SignedOut(Presence),
    #[prost(message, tag = "9")]
    Online(UserKey),
    #[prost(message, tag = "10")]
    SignInView(UserKey),
    #[prost(message, tag = "11")]
    User(UserKey),
    #[prost(message, tag = "12")]
    Group(Group),
    #[prost(message, tag = "14")]
    GroupsOf(GroupsOf),
    #[prost(message, tag = "15")]
    Blacklist(UserKey),
    #[prost(message, tag = "16")]
    BlockedUsers(BlockedUsers),
    #[prost(message, tag = "17")]
    Settings(Settings),
    #[prost(message, tag = "18")]
    IsOnline(UserKey),
    #[prost(uint32, tag = "19")]
    Archived(u32),
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Pull {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::wire) device: Option<String>,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) after: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct History {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::wire) conversation: Option<Conversation>,
    #[prost(uint64, optional, tag = "3")]
    pub(in crate::wire) time: Option<u64>,
    #[prost(bool, tag = "4")]
    pub(in crate::wire) ascending: bool,
    #[prost(uint64, optional, tag = "5")]
    pub(in crate::wire) count: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Conversations {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(uint32, optional, tag = "2")]
    pub(in crate::wire) kind: Option<u32>,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) before: u64,
    #[prost(uint64, tag = "4")]
    pub(in crate::wire) count: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Recall {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) draft: Option<Draft>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::wire) uid: Bytes,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) sent: u64,
    #[prost(bool, tag = "4")]
    pub(in crate::wire) by_sender_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Presence {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(fixed64, tag = "2")]
    pub(in crate::wire) node: u64,
    #[prost(fixed64, tag = "3")]
    pub(in crate::wire) connection: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Group {
    #[prost(string, tag = "1")]
    pub(in crate::wire) app: String,
    #[prost(string, tag = "2")]
    pub(in crate::wire) group: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct GroupsOf {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::wire) after: Option<String>,
    #[prost(uint64, tag = "3")]
    pub(in crate::wire) count: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct BlockedUsers {
    #[prost(string, tag = "1")]
    pub(in crate::wire) app: String,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) now: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::wire) struct Settings {
    #[prost(message, optional, tag = "1")]
    pub(in crate::wire) user: Option<UserKey>,
    #[prost(uint64, tag = "2")]
    pub(in crate::wire) version: u64,
}
