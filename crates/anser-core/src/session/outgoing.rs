//! A message that the application wants sent.

use anser_rmtp::PublishTopic;
use anser_rmtp::body::{RECALL_OBJECT_NAME, UpStreamMessage};
use anser_types::{
    ClientMessageId, Conversation, ConversationType, MessageClass, MessageFlags, MessageUid, Timestamp, UserId,
};
use bytes::Bytes;
use prost::Message as _;

/// A message that the application wants sent. Made by one of the constructors; the public fields may be changed before it
/// is handed over.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What its outcome is told with.
    pub ticket: u64,
    /// Its id. `None`: the session makes one. An application that keeps messages over restarts names them itself, so that
    /// sending one again after a restart makes no second message.
    pub client_id: Option<ClientMessageId>,
    /// The conversation that it belongs to, and is ordered within.
    pub conversation: Conversation,
    /// What becomes of it. A status message is written once, if connected, and never answered for by the server.
    pub class: MessageClass,
    /// Keep in history, count as unread, and so on.
    pub flags: MessageFlags,
    /// The name of its content type.
    pub object_name: Bytes,
    /// Its content, usually JSON.
    pub content: Bytes,
    /// What a push notification shows.
    pub push_text: Option<Bytes>,
    /// Of a group message that is only for some members: who they are.
    pub to_users: Vec<UserId>,
    /// Whether this is a recall.
    recall: bool,
}

impl Outgoing {
    /// A message that is kept and counted.
    pub fn new(conversation: Conversation, object_name: impl Into<Bytes>, content: impl Into<Bytes>) -> Self {
        Self {
            ticket: 0,
            client_id: None,
            conversation,
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
            object_name: object_name.into(),
            content: content.into(),
            push_text: None,
            to_users: Vec::new(),
            recall: false,
        }
    }

    /// A text message.
    pub fn text(conversation: Conversation, text: &str) -> Self {
        let content = serde_json::json!({ "content": text }).to_string();
        Self::new(conversation, Bytes::from_static(b"RC:TxtMsg"), content)
    }

    /// A message that only terminals online at this moment are shown, such as typing.
    pub fn status(conversation: Conversation, object_name: impl Into<Bytes>, content: impl Into<Bytes>) -> Self {
        let flags = MessageFlags::default();
        Self { class: MessageClass::Status, flags, ..Self::new(conversation, object_name, content) }
    }

    /// Takes back one of the user's own messages.
    pub fn recall(conversation: Conversation, uid: MessageUid, sent: Timestamp) -> Self {
        let content = serde_json::json!({
            "conversationType": conversation.kind.number(),
            "targetId": conversation.target.as_str(),
            "messageUId": uid.to_string(),
            "sentTime": sent.0,
        });
        let flags = MessageFlags::PERSIST;
        let new = Self::new(conversation, Bytes::from_static(RECALL_OBJECT_NAME), content.to_string());
        Self { flags, recall: true, ..new }
    }

    /// The topic that it is published under; `None` if clients cannot publish to such a conversation.
    pub(super) fn topic(&self) -> Option<PublishTopic> {
        let topic = match self.conversation.kind {
            _ if self.recall => PublishTopic::Recall,
            ConversationType::System => return None,
            kind => PublishTopic::for_message(kind, self.class),
        };
        Some(topic)
    }

    pub(super) const fn is_recall(&self) -> bool {
        self.recall
    }

    /// The body that every attempt to send it carries.
    pub(super) fn encode(&self, client_id: ClientMessageId) -> Bytes {
        let up = UpStreamMessage {
            session_id: i32::try_from(self.flags.0).unwrap_or_default(),
            classname: self.object_name.clone(),
            content: self.content.clone(),
            push_text: self.push_text.clone(),
            to_user_ids: self.to_users.iter().map(|user| user.as_str().to_owned()).collect(),
            client_unique_id: Some(client_id.0),
            ..UpStreamMessage::default()
        };
        up.encode_to_vec().into()
    }
}
