//! The bodies of publishes, pushes, queries and answers: protobuf, version 2.
//!
//! The schema is in the submodules, and documented in `proto/rmtp.proto`. [`decode`] reads a body within limits;
//! [`DownStreamRef`] and the `put_*` functions write the bodies that are written by the thousand without building their
//! messages first. Knows nothing of who may ask what.

#![expect(missing_docs, reason = "fields carry the protocol's names; proto/rmtp.proto says what they mean")]

mod account;
mod chatroom;
mod conversation;
mod down_stream;
mod history;
mod limits;
mod message;
mod page;
mod receipt;
mod sync;
#[cfg(test)]
mod tests;
mod up_stream;

pub use account::{
    Add2BlackListInput, BotInfo, BotInput, BotOutput, PullSubDataReq, PullSubDataResp, PullUserSettingInput,
    PullUserSettingOutput, PullUserSubReq, PullUserSubResp, QueryBlackListInput, QueryBlackListOutput,
    RemoveFromBlackListInput, ReportSdkInput, SetUserSettingInput, SetUserSettingOutput, UserSettingItem,
    UserSettingNotification,
};
pub use chatroom::{
    ChrmInput, ChrmKvEntity, ChrmKvOutput, ChrmKvsOutput, ChrmKvsOutputEntity, ChrmKvsVersionEntity, ChrmMember,
    ChrmOutput, ChrmPullMsg, QueryChatRoomInfoInput, QueryChatRoomInfoOutput, QueryChrmKv, SetChrmKv, SetChrmKvs,
};
pub use conversation::{
    RelationDelBatchReq, RelationInfo, RelationOpInput, RelationQryFilter, RelationQryInput, RelationsOutput,
    SessionMsgReadInput, SessionQryInput, SessionReq, SessionState, SessionStateItem, SessionStateModifyReq,
    SessionStateModifyResp, SessionStates, SessionTagItem, SessionsOutput,
};
pub use down_stream::{Direction, DownStreamRef};
pub use history::{CleanHisMsgInput, CleanMsgBatchReq, DeleteMsg, DeleteMsgInput, HistoryMsgInput, HistoryMsgOuput};
pub use limits::{BodyError, BodyLimits, decode, decode_within};
pub use message::{DownStreamMessage, NotifyMsg, PushExtra, RECALL_OBJECT_NAME, UpStreamMessage};
pub use page::{put_history_page, put_notify, put_pull_answer};
pub use receipt::{GrpMsgReadUser, GrpReadReceiptMsg, GrpReadReceiptQryReq, GrpReadReceiptQryResp};
pub use sync::{
    DownStreamMessages, EventChangeList, PullModifyMsgReq, PullModifyMsgResp, QueryMsgChange, SyncRequestMsg,
};
