//! Messages on their way up and down, and the notice that there are some.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use bytes::Bytes;

/// The object name of what tells clients that a message was recalled.
pub const RECALL_OBJECT_NAME: &[u8] = b"RC:RcCmd";

/// What a client publishes. The texts stay bytes: the server passes them on as they came.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct UpStreamMessage {
    #[prost(int32, required, tag = "1")]
    pub session_id: i32,
    #[prost(bytes = "bytes", required, tag = "2")]
    pub classname: Bytes,
    #[prost(bytes = "bytes", required, tag = "3")]
    pub content: Bytes,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub push_text: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub app_data: Option<Bytes>,
    #[prost(string, repeated, tag = "6")]
    pub to_user_ids: Vec<String>,
    #[prost(int64, optional, tag = "7")]
    pub del_msg_time: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub del_msg_id: Option<Bytes>,
    #[prost(int32, optional, tag = "9")]
    pub config_flag: Option<i32>,
    #[prost(int64, optional, tag = "10")]
    pub client_unique_id: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub extra_content: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub push_ext: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub bus_channel: Option<Bytes>,
    #[prost(int64, optional, tag = "22")]
    pub option_bits: Option<i64>,
}

/// Push settings of one message.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PushExtra {
    #[prost(string, optional, tag = "1")]
    pub title: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub push_id: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub push_configs: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub template_id: Option<String>,
}

/// A message as a client is shown it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DownStreamMessage {
    #[prost(string, required, tag = "1")]
    pub from_user_id: String,
    #[prost(int32, required, tag = "2")]
    pub kind: i32,
    #[prost(string, optional, tag = "3")]
    pub group_id: Option<String>,
    #[prost(string, required, tag = "4")]
    pub classname: String,
    #[prost(bytes = "bytes", required, tag = "5")]
    pub content: Bytes,
    #[prost(int64, required, tag = "6")]
    pub data_time: i64,
    #[prost(int64, required, tag = "7")]
    pub status: i64,
    #[prost(string, optional, tag = "9")]
    pub msg_id: Option<String>,
    #[prost(int32, optional, tag = "10")]
    pub direction: Option<i32>,
    #[prost(int64, optional, tag = "14")]
    pub client_unique_id: Option<i64>,
    #[prost(string, optional, tag = "15")]
    pub extra_content: Option<String>,
    #[prost(string, optional, tag = "16")]
    pub push_content: Option<String>,
    #[prost(int32, optional, tag = "17")]
    pub config_flag: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "18")]
    pub push_ext: Option<Bytes>,
    #[prost(string, optional, tag = "19")]
    pub bus_channel: Option<String>,
    #[prost(int64, optional, tag = "20")]
    pub ext_status: Option<i64>,
    #[prost(string, repeated, tag = "21")]
    pub to_user_ids: Vec<String>,
    #[prost(int64, optional, tag = "23")]
    pub option_bits: Option<i64>,
}

/// Body of s_ntf and s_cmd.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct NotifyMsg {
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
    #[prost(int64, optional, tag = "2")]
    pub time: Option<i64>,
    #[prost(string, optional, tag = "3")]
    pub chrm_id: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub destroy_type: Option<i32>,
}
