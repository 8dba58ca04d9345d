//! What a client changes of its own user: conversations removed, settings, deleted messages, read times.

use anser_cluster::Command;
use anser_rmtp::QueryTopic;
use anser_rmtp::body::{
    CleanHisMsgInput, CleanMsgBatchReq, DeleteMsg, DeleteMsgInput, RelationDelBatchReq, RelationQryInput,
    SessionMsgReadInput, SessionStateModifyReq,
};
use anser_rmtp::frame::Query;
use anser_types::record::UserChange;
use anser_types::{Conversation, MessageUid, Status, Timestamp};
use bytes::Bytes;

use super::{Plan, conversation, conversation_type, read, time};
use crate::terminal::inflight::About;
use crate::terminal::{Request, Terminal};

/// The largest value of a setting: those of published clients are a few characters.
const SETTING_BYTES_MAX: usize = 1_024;

impl Terminal {
    pub(super) fn plan_change(&self, query: Query, now: Timestamp) -> Result<Plan, Status> {
        let about = if query.topic == QueryTopic::SetConversationStates { About::SetSettings } else { About::Change };
        let changes = self.changes(&query, now)?;
        if changes.len() > self.config.changes_max {
            return Err(Status::BAD_PARAMETER);
        }
        if changes.is_empty() && about == About::Change {
            return Ok(Plan::Answer(Vec::new()));
        }
        let user = &self.identity.user;
        let commands = changes.into_iter().map(|change| Command::User { user: user.clone(), change }).collect();
        Ok(Plan::Ask(about, Request::Commands(commands)))
    }

    fn changes(&self, query: &Query, now: Timestamp) -> Result<Vec<UserChange>, Status> {
        if query.topic == QueryTopic::RemoveConversation {
            // The one query whose target names the conversation.
            let target = query.target.id().ok_or(Status::BAD_PARAMETER)?;
            let kind = conversation_type(read::<RelationQryInput>(query)?.kind.unwrap_or(1))?;
            return Ok(vec![UserChange::RemoveConversation { conversation: Conversation::new(kind, target.clone()) }]);
        }
        self.demand_self(query)?;
        // Messages may be stamped ahead of the clock of this node, and what was shown was read.
        let now = now.max(self.floor);
        match query.topic {
            QueryTopic::RemoveConversations => removals(&read(query)?),
            QueryTopic::SetConversationStates => settings(&read(query)?),
            QueryTopic::SetReadTime | QueryTopic::SetReadTimeLater => {
                let input: SessionMsgReadInput = read(query)?;
                let conversation = conversation(conversation_type(input.kind)?, &input.channel_id)?;
                Ok(vec![UserChange::Read { conversation, until: time(input.msg_time).min(now) }])
            }
            QueryTopic::DeleteMessages => self.deletions(&read(query)?),
            QueryTopic::CleanBatch => {
                let inputs = read::<CleanMsgBatchReq>(query)?.input;
                inputs.iter().map(|input| clean(query, input, now)).collect()
            }
            _ => Ok(vec![clean(query, &read(query)?, now)?]),
        }
    }

    fn deletions(&self, input: &DeleteMsgInput) -> Result<Vec<UserChange>, Status> {
        if input.msgs.len() > self.config.changes_max {
            return Err(Status::BAD_PARAMETER);
        }
        let kind = conversation_type(input.kind.unwrap_or(0))?;
        let conversation = conversation(kind, input.conversation_id.as_deref().unwrap_or_default())?;
        let messages: Vec<_> = input.msgs.iter().map(deleted).collect::<Result<_, _>>()?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![UserChange::HideMessages { conversation, messages }])
    }
}

fn deleted(message: &DeleteMsg) -> Result<(MessageUid, Timestamp), Status> {
    let uid: MessageUid = message.msg_id.as_deref().unwrap_or_default().parse().map_err(|_| Status::BAD_PARAMETER)?;
    let sent = message.msg_data_time.map(time).filter(|&sent| sent > Timestamp::ZERO);
    Ok((uid, sent.unwrap_or_else(|| uid.sent_time())))
}

fn removals(input: &RelationDelBatchReq) -> Result<Vec<UserChange>, Status> {
    let removal = |item: &anser_rmtp::body::RelationOpInput| {
        let conversation = conversation(conversation_type(item.conversation_type)?, &item.conversation_id)?;
        Ok(UserChange::RemoveConversation { conversation })
    };
    input.relation.iter().map(removal).collect()
}

fn settings(input: &SessionStateModifyReq) -> Result<Vec<UserChange>, Status> {
    let mut changes = Vec::new();
    for state in &input.state {
        let conversation = conversation(conversation_type(state.kind)?, &state.channel_id)?;
        for item in &state.state_item {
            if item.value.len() > SETTING_BYTES_MAX {
                return Err(Status::BAD_PARAMETER);
            }
            changes.push(UserChange::Setting {
                conversation: conversation.clone(),
                item: u32::try_from(item.session_state_type).map_err(|_| Status::BAD_PARAMETER)?,
                value: Bytes::copy_from_slice(item.value.as_bytes()),
            });
        }
    }
    if changes.is_empty() { Err(Status::BAD_PARAMETER) } else { Ok(changes) }
}

/// Deletes a history up to a time, never beyond the present: what is yet to come is not to be hidden.
fn clean(query: &Query, input: &CleanHisMsgInput, now: Timestamp) -> Result<UserChange, Status> {
    let kind = match query.topic.conversation() {
        Some(kind) => kind,
        None => conversation_type(input.conversation_type.unwrap_or(0))?,
    };
    let conversation = conversation(kind, &input.target_id)?;
    let until = match time(input.data_time) {
        Timestamp::ZERO => now,
        until => until.min(now),
    };
    Ok(UserChange::HideUntil { conversation, until })
}
