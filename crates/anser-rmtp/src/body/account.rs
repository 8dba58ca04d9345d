//! What belongs to the user rather than to a conversation: settings, blacklist, robots, subscriptions.
//!
//! The schema alone; `proto/rmtp.proto` says what the fields mean.

use bytes::Bytes;

/// Asks for user settings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullUserSettingInput {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(bool, optional, tag = "2")]
    pub reserve: Option<bool>,
    #[prost(int32, optional, tag = "3")]
    pub ip_type: Option<i32>,
}

/// Answers with user settings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullUserSettingOutput {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<UserSettingItem>,
    #[prost(int64, required, tag = "2")]
    pub version: i64,
}

/// One user setting.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct UserSettingItem {
    #[prost(string, required, tag = "1")]
    pub target_id: String,
    #[prost(int32, required, tag = "2")]
    pub kind: i32,
    #[prost(string, required, tag = "4")]
    pub key: String,
    #[prost(bytes = "bytes", required, tag = "5")]
    pub value: Bytes,
    #[prost(int64, required, tag = "6")]
    pub version: i64,
    #[prost(int32, required, tag = "7")]
    pub status: i32,
}

/// Body of s_us.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct UserSettingNotification {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(bool, required, tag = "2")]
    pub reserve: bool,
}

/// Changes user settings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SetUserSettingInput {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(string, required, tag = "2")]
    pub value: String,
    #[prost(bool, optional, tag = "3")]
    pub ignore_version: Option<bool>,
}

/// Says what version the change became.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SetUserSettingOutput {
    #[prost(int64, required, tag = "1")]
    pub version: i64,
    #[prost(bool, required, tag = "2")]
    pub reserve: bool,
    #[prost(bool, optional, tag = "3")]
    pub update_version: Option<bool>,
}

/// The SDK reports itself.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ReportSdkInput {
    #[prost(string, required, tag = "1")]
    pub sdk_info: String,
}

/// Asks for robots.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BotInput {
    #[prost(string, repeated, tag = "1")]
    pub ids: Vec<String>,
}

/// Answers with robots.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BotOutput {
    #[prost(message, repeated, tag = "1")]
    pub bots: Vec<BotInfo>,
}

/// One robot.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BotInfo {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub portrait_url: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub kind: Option<String>,
    #[prost(int64, optional, tag = "6")]
    pub create_time: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    pub update_time: Option<i64>,
}

/// Blocks a user.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Add2BlackListInput {
    #[prost(string, required, tag = "1")]
    pub user_id: String,
}

/// Unblocks a user.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RemoveFromBlackListInput {
    #[prost(string, required, tag = "1")]
    pub user_id: String,
}

/// Asks for the blocked users.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryBlackListInput {
    #[prost(int32, required, tag = "1")]
    pub nothing: i32,
}

/// Answers with the blocked users.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QueryBlackListOutput {
    #[prost(string, repeated, tag = "1")]
    pub user_ids: Vec<String>,
}

/// Asks for subscriptions.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullUserSubReq {
    #[prost(int64, optional, tag = "1")]
    pub version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub page_token: Option<String>,
}

/// Answers with subscriptions; the list itself is not offered yet. (The name is the protocol's.)
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullUserSubResp {
    #[prost(int64, required, tag = "2")]
    pub version: i64,
    #[prost(bool, required, tag = "3")]
    pub has_next: bool,
    #[prost(string, optional, tag = "4")]
    pub page_token: Option<String>,
    #[prost(bool, required, tag = "5")]
    pub is_full: bool,
}

/// Asks for what was subscribed to.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullSubDataReq {
    #[prost(int64, optional, tag = "1")]
    pub version_time: Option<i64>,
    #[prost(bool, optional, tag = "2")]
    pub need_all_data: Option<bool>,
    #[prost(string, optional, tag = "3")]
    pub page_token: Option<String>,
}

/// Answers with what was subscribed to; the list itself is not offered yet.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PullSubDataResp {
    #[prost(int64, required, tag = "2")]
    pub version_time: i64,
    #[prost(bool, required, tag = "3")]
    pub has_next: bool,
    #[prost(string, optional, tag = "4")]
    pub page_token: Option<String>,
    #[prost(bool, required, tag = "5")]
    pub is_full: bool,
}
