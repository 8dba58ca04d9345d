//! Pulling: what is after a cursor.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use super::DownStreamMessage;

/// Asks for everything after the cursors.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SyncRequestMsg {
    #[prost(int64, required, tag = "1")]
    pub sync_time: i64,
    #[prost(bool, required, tag = "2")]
    pub ispolling: bool,
    #[prost(bool, optional, tag = "3")]
    pub isweb: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub is_pull_send: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub is_keeping: Option<bool>,
    #[prost(int64, optional, tag = "6")]
    pub send_box_sync_time: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    pub broadcast_sync_time: Option<i64>,
    #[prost(int64, optional, tag = "8")]
    pub end_time: Option<i64>,
    #[prost(bool, optional, tag = "9")]
    pub compressio_enabled: Option<bool>,
}

/// Answers a pull. Every scalar field is always written: some SDKs take an answer without one as failed.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DownStreamMessages {
    #[prost(message, repeated, tag = "1")]
    pub list: Vec<DownStreamMessage>,
    #[prost(int64, required, tag = "2")]
    pub sync_time: i64,
    #[prost(bool, required, tag = "3")]
    pub finished: bool,
    #[prost(int64, required, tag = "4")]
    pub broadcast_sync_time: i64,
}

/// Asks for edits and receipts.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryMsgChange {
    #[prost(int64, required, tag = "1")]
    pub sync_time: i64,
    #[prost(int32, optional, tag = "2")]
    pub need_compress: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    pub online_time: Option<i64>,
    #[prost(string, optional, tag = "4")]
    pub target_id: Option<String>,
}

/// Answers with edits and receipts; the list itself is not offered yet.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct EventChangeList {
    #[prost(int64, required, tag = "2")]
    pub sync_time: i64,
    #[prost(bool, required, tag = "3")]
    pub has_next: bool,
}

/// Asks for edited messages.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullModifyMsgReq {
    #[prost(int64, optional, tag = "1")]
    pub pull_version: Option<i64>,
    #[prost(bool, optional, tag = "2")]
    pub compress: Option<bool>,
    #[prost(int32, repeated, packed = "false", tag = "3")]
    pub modify_type: Vec<i32>,
}

/// Answers with edited messages; the list itself is not offered yet.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullModifyMsgResp {
    #[prost(int64, required, tag = "2")]
    pub next_version: i64,
    #[prost(bool, required, tag = "3")]
    pub finished: bool,
}
