//! Chatrooms: joining, pulling, members, attributes.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use bytes::Bytes;

/// Joins or leaves.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmInput {
    #[prost(int32, required, tag = "1")]
    pub nothing: i32,
    #[prost(string, optional, tag = "2")]
    pub extra: Option<String>,
}

/// Answers a join, a leave, or a changed attribute.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmOutput {
    #[prost(int32, required, tag = "1")]
    pub nothing: i32,
    #[prost(string, optional, tag = "2")]
    pub session_id: Option<String>,
    #[prost(int64, optional, tag = "3")]
    pub join_time: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    pub create_time: Option<i64>,
    #[prost(int32, optional, tag = "5")]
    pub member_count: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub chatroom_ban_state: Option<i32>,
    #[prost(int32, optional, tag = "7")]
    pub white_list_state: Option<i32>,
}

/// Asks for messages of a room; answered with DownStreamMessages.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmPullMsg {
    #[prost(int64, required, tag = "1")]
    pub sync_time: i64,
    #[prost(int32, required, tag = "2")]
    pub count: i32,
    #[prost(int32, optional, tag = "3")]
    pub pull_msg_type: Option<i32>,
    #[prost(bool, optional, tag = "4")]
    pub compressio_enabled: Option<bool>,
}

/// Asks for members.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryChatRoomInfoInput {
    #[prost(int32, required, tag = "1")]
    pub count: i32,
    #[prost(int32, optional, tag = "2")]
    pub order: Option<i32>,
}

/// Answers with members.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryChatRoomInfoOutput {
    #[prost(int32, required, tag = "1")]
    pub user_total_nums: i32,
    #[prost(message, repeated, tag = "2")]
    pub user_infos: Vec<ChrmMember>,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmMember {
    #[prost(int64, required, tag = "1")]
    pub time: i64,
    #[prost(string, required, tag = "2")]
    pub id: String,
}

/// One attribute of a room.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmKvEntity {
    #[prost(string, required, tag = "1")]
    pub key: String,
    #[prost(string, required, tag = "2")]
    pub value: String,
    #[prost(int32, optional, tag = "3")]
    pub status: Option<i32>,
    #[prost(int64, optional, tag = "4")]
    pub timestamp: Option<i64>,
    #[prost(string, optional, tag = "5")]
    pub uid: Option<String>,
    #[prost(int64, optional, tag = "6")]
    pub version: Option<i64>,
}

/// Sets or deletes an attribute.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SetChrmKv {
    #[prost(message, optional, tag = "1")]
    pub entry: Option<ChrmKvEntity>,
    #[prost(bool, optional, tag = "2")]
    pub b_notify: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub notification: Option<Bytes>,
    #[prost(int32, optional, tag = "4")]
    pub kind: Option<i32>,
}

/// Sets or deletes attributes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SetChrmKvs {
    #[prost(message, repeated, tag = "1")]
    pub entry: Vec<ChrmKvEntity>,
    #[prost(bool, optional, tag = "2")]
    pub b_notify: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub notification: Option<Bytes>,
    #[prost(int32, optional, tag = "4")]
    pub kind: Option<i32>,
}

/// Asks for attributes changed since a time.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryChrmKv {
    #[prost(int64, required, tag = "1")]
    pub timestamp: i64,
    #[prost(bool, optional, tag = "2")]
    pub compressio_enabled: Option<bool>,
}

/// Answers with attributes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmKvOutput {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<ChrmKvEntity>,
    #[prost(bool, required, tag = "2")]
    pub b_full_update: bool,
    #[prost(int64, required, tag = "3")]
    pub sync_time: i64,
}

/// Answers a batch: what failed, and the versions of the rest.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmKvsOutput {
    #[prost(message, repeated, tag = "1")]
    pub error_keys: Vec<ChrmKvsOutputEntity>,
    #[prost(message, repeated, tag = "2")]
    pub keys_version: Vec<ChrmKvsVersionEntity>,
}

/// One attribute that failed.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmKvsOutputEntity {
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub error_code: Option<i32>,
}

/// One attribute that was set.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ChrmKvsVersionEntity {
    #[prost(int64, optional, tag = "1")]
    pub version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub key: Option<String>,
}
