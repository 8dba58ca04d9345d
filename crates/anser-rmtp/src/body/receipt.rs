//! Read receipts of groups.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

/// Says that messages were read.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GrpReadReceiptMsg {
    #[prost(string, repeated, tag = "1")]
    pub msg_id: Vec<String>,
    #[prost(string, optional, tag = "2")]
    pub channel_id: Option<String>,
}

/// Asks who has read a message.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GrpReadReceiptQryReq {
    #[prost(string, repeated, tag = "1")]
    pub msg_id: Vec<String>,
    #[prost(string, optional, tag = "2")]
    pub channel_id: Option<String>,
}

/// Answers who has read it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GrpReadReceiptQryResp {
    #[prost(int32, required, tag = "1")]
    pub total_member_num: i32,
    #[prost(message, repeated, tag = "2")]
    pub list: Vec<GrpMsgReadUser>,
}

/// One who has.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GrpMsgReadUser {
    #[prost(int64, required, tag = "1")]
    pub read_time: i64,
    #[prost(string, required, tag = "2")]
    pub user_id: String,
}
