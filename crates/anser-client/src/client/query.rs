//! Asking the server: history and the conversation list.

use anser_core::session::{AnswerError, Question, Received, Via};
use anser_rmtp::QueryTopic;
use anser_rmtp::body::{DownStreamMessage, HistoryMsgInput, HistoryMsgOuput, RelationQryInput, RelationsOutput};
use anser_types::{ConversationType, TargetId, Timestamp};
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::oneshot;

use super::actor::Command;
use super::{Client, Conversation, Message};

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The session says why.
    #[error(transparent)]
    Unanswered(#[from] AnswerError),
    /// An answer that cannot be read.
    #[error("answer cannot be read")]
    Malformed,
    /// Conversations of this type have no history.
    #[error("conversations of this type have no history")]
    NoHistory,
    /// The client was closed.
    #[error("client is closed")]
    Closed,
}

/// One page of history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// One conversation of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: Conversation,
    /// Its newest message, if it is kept.
    pub last: Option<Message>,
    /// Messages that the user has not read.
    pub unread: u64,
}

impl Client {
    /// Messages of a conversation that are older than `before` (zero: from the newest), newest first. The server gives at
    /// most 100 at a time.
    pub async fn history(
        &self,
        conversation: &Conversation,
        before: Timestamp,
        count: u32,
    ) -> Result<HistoryPage, QueryError> {
        let topic = QueryTopic::history_of(conversation.kind()).ok_or(QueryError::NoHistory)?;
        let target = (conversation.kind() == ConversationType::Chatroom).then(|| conversation.target().clone());
        let input = HistoryMsgInput {
            target_id: Some(conversation.target().to_string()),
            time: Some(i64::try_from(before.0).unwrap_or(i64::MAX)),
            count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            order: Some(0),
            ..HistoryMsgInput::default()
        };
        let body = self.ask(topic, target, input.encode_to_vec().into()).await?;
        let page = HistoryMsgOuput::decode(body).map_err(|_| QueryError::Malformed)?;
        let messages = page.list.into_iter().filter_map(|down| self.read(down)).collect();
        Ok(HistoryPage { messages, has_more: page.has_msg != 0 })
    }

    /// The user's conversations, the one with the newest message first.
    pub async fn conversations(&self, count: u32) -> Result<Vec<ConversationSummary>, QueryError> {
        let input = RelationQryInput {
            count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            start_time: Some(0),
            order: Some(0),
            ..RelationQryInput::default()
        };
        let body = self.ask(QueryTopic::Conversations, None, input.encode_to_vec().into()).await?;
        let list = RelationsOutput::decode(body).map_err(|_| QueryError::Malformed)?;
        let summary = |info: anser_rmtp::body::RelationInfo| {
            let kind = ConversationType::from_number(u32::try_from(info.kind).ok()?)?;
            let conversation = Conversation::new(kind, TargetId::new(&info.user_id).ok()?);
            let last = info.msg.and_then(|msg| DownStreamMessage::decode(msg).ok()).and_then(|down| self.read(down));
            Some(ConversationSummary {
                conversation,
                last,
                unread: u64::try_from(info.unread_count).unwrap_or_default(),
            })
        };
        Ok(list.info.into_iter().filter_map(summary).collect())
    }

    /// Any other query: the answer's bytes, as they came.
    pub async fn ask(&self, topic: QueryTopic, target: Option<TargetId>, body: Bytes) -> Result<Bytes, QueryError> {
        let question = Question { ticket: self.ticket(), topic, target, body };
        let (answer, told) = oneshot::channel();
        self.0.commands.send(Command::Ask { question, answer }).await.map_err(|_| QueryError::Closed)?;
        Ok(told.await.map_err(|_| QueryError::Closed)??)
    }

    fn read(&self, down: DownStreamMessage) -> Option<Message> {
        Received::read(down, self.user(), Timestamp::ZERO, Via::History).map(Message::new)
    }
}
