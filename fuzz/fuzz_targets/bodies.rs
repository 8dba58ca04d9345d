//! Message bodies. What was read must be written and read again as the same.
//!
//! Input: one byte that picks the message, then the body.

#![no_main]

use anser_rmtp::body::{
    BotInput, ChrmInput, ChrmPullMsg, CleanHisMsgInput, CleanMsgBatchReq, DeleteMsgInput, DownStreamMessages,
    GrpReadReceiptMsg, HistoryMsgInput, NotifyMsg, PullModifyMsgReq, PullUserSettingInput, QueryChrmKv, QueryMsgChange,
    RelationDelBatchReq, RelationQryFilter, RelationQryInput, RelationsOutput, ReportSdkInput, SessionReq,
    SessionStateModifyReq, SetChrmKv, SetChrmKvs, SyncRequestMsg, UpStreamMessage, decode,
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fn check<M: prost::Message + Default + PartialEq + std::fmt::Debug>(body: &[u8]) {
    if let Ok(message) = decode::<M>(Bytes::copy_from_slice(body)) {
        let again = M::decode(message.encode_to_vec().as_slice()).expect("what we write is good");
        assert!(again == message, "{message:?} became {again:?}");
    }
}

/// The messages, in an order that the seeds rely on: new ones go to the end.
const CHECKS: [fn(&[u8]); 25] = [
    check::<UpStreamMessage>,
    check::<SyncRequestMsg>,
    check::<HistoryMsgInput>,
    check::<RelationQryInput>,
    check::<RelationDelBatchReq>,
    check::<SessionReq>,
    check::<SessionStateModifyReq>,
    check::<PullUserSettingInput>,
    check::<DeleteMsgInput>,
    check::<CleanHisMsgInput>,
    check::<CleanMsgBatchReq>,
    check::<ReportSdkInput>,
    check::<BotInput>,
    check::<QueryMsgChange>,
    check::<PullModifyMsgReq>,
    check::<GrpReadReceiptMsg>,
    check::<ChrmInput>,
    check::<ChrmPullMsg>,
    check::<SetChrmKv>,
    check::<SetChrmKvs>,
    check::<QueryChrmKv>,
    check::<RelationQryFilter>,
    check::<NotifyMsg>,
    check::<DownStreamMessages>,
    check::<RelationsOutput>,
];

fuzz_target!(|data: &[u8]| {
    if let Some((&picked, body)) = data.split_first() {
        CHECKS[usize::from(picked) % CHECKS.len()](body);
    }
});
