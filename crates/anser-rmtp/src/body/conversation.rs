//! The conversation list and the settings of conversations.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use bytes::Bytes;

/// Asks for the conversation list.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationQryInput {
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub count: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    pub start_time: Option<i64>,
    #[prost(int32, optional, tag = "4")]
    pub order: Option<i32>,
    #[prost(bool, optional, tag = "5")]
    pub is_erase_msg_content: Option<bool>,
    #[prost(int64, optional, tag = "6")]
    pub end_time: Option<i64>,
    #[prost(bool, optional, tag = "7")]
    pub compressio_enabled: Option<bool>,
    #[prost(int32, optional, tag = "8")]
    pub qry_type: Option<i32>,
    #[prost(int32, repeated, packed = "false", tag = "9")]
    pub channel_type: Vec<i32>,
    #[prost(int32, optional, tag = "10")]
    pub bot_type: Option<i32>,
}

/// Asks for the conversation list by type and tag.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationQryFilter {
    #[prost(int32, repeated, packed = "false", tag = "1")]
    pub kind: Vec<i32>,
    #[prost(int32, optional, tag = "2")]
    pub count: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub order: Option<i32>,
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
    #[prost(bool, optional, tag = "5")]
    pub is_tag_top: Option<bool>,
    #[prost(string, optional, tag = "6")]
    pub page_token: Option<String>,
    #[prost(bool, optional, tag = "7")]
    pub compress: Option<bool>,
}

/// Answers with the conversation list, newest first.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationsOutput {
    #[prost(message, repeated, tag = "1")]
    pub info: Vec<RelationInfo>,
    #[prost(bool, required, tag = "2")]
    pub is_finished: bool,
    #[prost(int64, required, tag = "3")]
    pub pull_time: i64,
}

/// One conversation of the list.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationInfo {
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
    #[prost(string, required, tag = "2")]
    pub user_id: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub msg: Option<Bytes>,
    #[prost(int64, required, tag = "4")]
    pub read_msg_time: i64,
    #[prost(int64, required, tag = "5")]
    pub unread_count: i64,
    #[prost(string, optional, tag = "6")]
    pub bus_channel: Option<String>,
    #[prost(int64, required, tag = "7")]
    pub version_time: i64,
    #[prost(int64, optional, tag = "8")]
    pub remind_count: Option<i64>,
}

/// Removes conversations from the list.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationDelBatchReq {
    #[prost(message, repeated, tag = "1")]
    pub relation: Vec<RelationOpInput>,
    #[prost(bool, optional, tag = "2")]
    pub clean_msg: Option<bool>,
}

/// One conversation to be removed.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RelationOpInput {
    #[prost(string, required, tag = "1")]
    pub conversation_id: String,
    #[prost(int32, required, tag = "2")]
    pub conversation_type: i32,
    #[prost(string, optional, tag = "3")]
    pub bus_channel: Option<String>,
}

/// Asks for settings changed since a time.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionReq {
    #[prost(int64, required, tag = "1")]
    pub time: i64,
}

/// Answers with changed settings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionStates {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(message, repeated, tag = "2")]
    pub state: Vec<SessionState>,
}

/// The settings of one conversation.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionState {
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
    #[prost(string, required, tag = "2")]
    pub channel_id: String,
    #[prost(int64, optional, tag = "3")]
    pub time: Option<i64>,
    #[prost(message, repeated, tag = "4")]
    pub state_item: Vec<SessionStateItem>,
    #[prost(string, optional, tag = "5")]
    pub bus_channel: Option<String>,
}

/// One setting.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionStateItem {
    #[prost(int32, required, tag = "1")]
    pub session_state_type: i32,
    #[prost(string, required, tag = "2")]
    pub value: String,
    #[prost(message, repeated, tag = "3")]
    pub tags: Vec<SessionTagItem>,
    #[prost(int64, optional, tag = "4")]
    pub time: Option<i64>,
}

/// A tag on a conversation.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionTagItem {
    #[prost(string, required, tag = "1")]
    pub tag_id: String,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(int64, optional, tag = "3")]
    pub created_time: Option<i64>,
    #[prost(bool, optional, tag = "4")]
    pub is_top: Option<bool>,
}

/// Changes settings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionStateModifyReq {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(message, repeated, tag = "2")]
    pub state: Vec<SessionState>,
    #[prost(bool, optional, tag = "3")]
    pub ignore_version: Option<bool>,
}

/// Says what version the change became.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionStateModifyResp {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(bool, required, tag = "2")]
    pub update_version: bool,
}

/// Moves a read position that the server keeps.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionMsgReadInput {
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
    #[prost(int64, required, tag = "2")]
    pub msg_time: i64,
    #[prost(string, required, tag = "3")]
    pub channel_id: String,
    #[prost(string, optional, tag = "4")]
    pub bus_channel: Option<String>,
}

/// Asks for the conversation list that the server keeps.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionQryInput {
    #[prost(int64, optional, tag = "1")]
    pub version: Option<i64>,
    #[prost(int32, optional, tag = "2")]
    pub count: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub compress: Option<bool>,
    #[prost(string, optional, tag = "4")]
    pub page_token: Option<String>,
}

/// Answers with that list; the list itself is not offered yet.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SessionsOutput {
    #[prost(string, optional, tag = "2")]
    pub page_token: Option<String>,
}
