//! Messages that the server sends, and takes back.

use anser_cluster::{Recall, RecallTarget, ServerPublish};
use anser_rmtp::body::RECALL_OBJECT_NAME;
use anser_types::{ConversationType, MessageClass, MessageFlags, MessageUid, Origin, TargetId, Timestamp};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, done};
use crate::call::{Call, Switch};
use crate::publish::{self, Draft};
use crate::room::Room;
use crate::{Api, ApiError};

/// The most receivers of one private publish.
const PRIVATE_MAX: usize = 1_000;
/// The most groups of one group publish.
const GROUPS_MAX: usize = 3;
/// The most receivers of one system publish.
const SYSTEM_MAX: usize = 100;
/// The most members that a directional group message names.
const MEMBERS_MAX: usize = 1_000;

/// `/message/private/publish`.
pub(crate) async fn publish_private(api: &Api, room: &Room, call: &Call<'_>) -> Result<Answer, ApiError> {
    let mut draft = Draft::read(api, call, ConversationType::Private)?;
    draft.check_permission(call.switch("verifyBlacklist", Switch::Off)?);
    let targets = call.targets("toUserId", PRIVATE_MAX)?;
    publish::answer("userId", publish::to_all(api, room, &draft, targets).await)
}

/// `/message/group/publish`.
pub(crate) async fn publish_group(api: &Api, room: &Room, call: &Call<'_>) -> Result<Answer, ApiError> {
    let mut draft = Draft::read(api, call, ConversationType::Group)?;
    let targets = call.targets("toGroupId", GROUPS_MAX)?;
    let members = call.users_if_any("toUserId", MEMBERS_MAX)?;
    if targets.len() > 1 && !members.is_empty() {
        return Err(ApiError::parameter("toUserId", "can be used with exactly one group"));
    }
    draft.only_to(members);
    publish::answer("groupId", publish::to_all(api, room, &draft, targets).await)
}

/// `/message/system/publish`.
pub(crate) async fn publish_system(api: &Api, room: &Room, call: &Call<'_>) -> Result<Answer, ApiError> {
    let mut draft = Draft::read(api, call, ConversationType::System)?;
    draft.no_sender_copy();
    let targets = call.targets("toUserId", SYSTEM_MAX)?;
    publish::answer("userId", publish::to_all(api, room, &draft, targets).await)
}

/// `/message/recall`: takes a message back, with the command that clients themselves would send.
pub(crate) async fn recall(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let as_admin = call.switch("isAdmin", Switch::Off)?;
    let recalled = recall_target(call, as_admin)?;
    let kind = conversation_type(call)?;
    let target = call.target("targetId")?;
    let content = recall_content(call, kind, &target, recalled, as_admin)?;
    let quiet = call.switch("disablePush", Switch::Off)?.is_on();
    let command = ServerPublish {
        app: call.app.key.clone(),
        sender: call.user("fromUserId")?,
        kind,
        target,
        class: MessageClass::Persisted,
        flags: if quiet { MessageFlags::QUIET } else { MessageFlags::default() },
        object_name: Bytes::from_static(RECALL_OBJECT_NAME),
        content: Bytes::from(content.to_string()),
        sender_copy: true,
        check_permission: false,
        extras: None,
    };
    api.messages.recall(Recall { command, origin: Origin::NONE, target: recalled }).await?;
    Ok(done())
}

fn recall_target(call: &Call<'_>, as_admin: Switch) -> Result<RecallTarget, ApiError> {
    let uid: MessageUid =
        call.required("messageUID")?.parse().map_err(|_| ApiError::parameter("messageUID", "is no message uid"))?;
    let sent = call.number("sentTime")?.map_or_else(|| uid.sent_time(), Timestamp);
    Ok(RecallTarget { uid, sent, by_sender_only: !as_admin.is_on() })
}

fn conversation_type(call: &Call<'_>) -> Result<ConversationType, ApiError> {
    let number =
        call.number("conversationType")?.ok_or_else(|| ApiError::parameter("conversationType", "is missing"))?;
    let kind = u32::try_from(number).ok().and_then(ConversationType::from_number);
    match kind {
        Some(kind @ (ConversationType::Private | ConversationType::Group | ConversationType::System)) => Ok(kind),
        _ => Err(ApiError::parameter("conversationType", "is none of 1 (private), 3 (group), 6 (system)")),
    }
}

fn recall_content(
    call: &Call<'_>,
    kind: ConversationType,
    target: &TargetId,
    message: RecallTarget,
    as_admin: Switch,
) -> Result<Value, ApiError> {
    let mut content = json!({
        "conversationType": kind.number(),
        "targetId": target.as_str(),
        "messageUId": message.uid.to_string(),
        "sentTime": message.sent.0,
        "isAdmin": as_admin.is_on(),
        "isDelete": call.switch("isDelete", Switch::Off)?.is_on(),
    });
    for (parameter, field) in [("busChannel", "channelId"), ("extra", "extra")] {
        if let Some(text) = call.given(parameter) {
            content[field] = json!(text);
        }
    }
    Ok(content)
}
