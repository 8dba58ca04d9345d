//! History: reading it page by page, and deleting in it for one user.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use super::DownStreamMessage;

/// Asks for a page.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HistoryMsgInput {
    #[prost(string, optional, tag = "1")]
    pub target_id: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub time: Option<i64>,
    #[prost(int32, optional, tag = "3")]
    pub count: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub order: Option<i32>,
    #[prost(string, optional, tag = "5")]
    pub bus_channel: Option<String>,
    #[prost(bool, optional, tag = "6")]
    pub compressio_enabled: Option<bool>,
    #[prost(bool, optional, tag = "10")]
    pub ignore_cmd: Option<bool>,
}

/// Answers with a page. (The name is the protocol's.)
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HistoryMsgOuput {
    #[prost(message, repeated, tag = "1")]
    pub list: Vec<DownStreamMessage>,
    #[prost(int64, required, tag = "2")]
    pub sync_time: i64,
    #[prost(int32, required, tag = "3")]
    pub has_msg: i32,
}

/// Deletes messages for the asking user.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DeleteMsgInput {
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub conversation_id: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub msgs: Vec<DeleteMsg>,
    #[prost(string, optional, tag = "4")]
    pub bus_channel: Option<String>,
}

/// One message to be deleted.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DeleteMsg {
    #[prost(string, optional, tag = "1")]
    pub msg_id: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub msg_data_time: Option<i64>,
    #[prost(int32, optional, tag = "3")]
    pub direct: Option<i32>,
}

/// Deletes a history for the asking user up to a time.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CleanHisMsgInput {
    #[prost(string, required, tag = "1")]
    pub target_id: String,
    #[prost(int64, required, tag = "2")]
    pub data_time: i64,
    #[prost(int32, optional, tag = "3")]
    pub conversation_type: Option<i32>,
    #[prost(string, optional, tag = "4")]
    pub bus_channel: Option<String>,
}

/// Deletes several histories.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CleanMsgBatchReq {
    #[prost(message, repeated, tag = "1")]
    pub input: Vec<CleanHisMsgInput>,
}
