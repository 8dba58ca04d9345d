//! Upwards: what the client publishes.

use anser_cluster::{Accepted, Publish, Recall, Refusal, ServerPublish};
use anser_rmtp::PublishKind;
use anser_rmtp::body::{self, BodyError, BodyLimits, RECALL_OBJECT_NAME, UpStreamMessage};
use anser_rmtp::frame::{self, Qos, Target};
use anser_types::{
    ClientMessageId, ConversationType, Extras, MessageClass, MessageFlags, Origin, Status, TargetId, Timestamp, UserId,
};
use bytes::Bytes;
use prost::Message as _;

use super::inflight::{About, Open, Question};
use super::{Asked, Output, Request, Terminal, text};
use crate::draft::duplicate_hash_of_publish;

/// What may surround the content in the body of a publish.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// What of a body may be in fields that are not read: they stay in memory with those that are.
const UNREAD_BYTES_MAX: usize = 16 * 1024;
/// The longest name of a content type.
const OBJECT_NAME_BYTES_MAX: usize = 256;

/// What no configuration goes beyond: most message ids of our own stay free.
const PUBLISHES_MAX: usize = 16_384;

/// A conversation and what becomes of a message in it.
struct Addressed {
    kind: ConversationType,
    class: MessageClass,
    target: TargetId,
}

impl Terminal {
    pub(super) fn on_publish(&mut self, publish: frame::Publish, now: Timestamp, out: &mut impl Output) {
        let message_id = publish.qos.is_confirmed().then_some(publish.message_id);
        let is_status = matches!(publish.topic.kind(), PublishKind::Message { class: MessageClass::Status, .. });
        let result = match publish.topic.kind() {
            PublishKind::Message { conversation, class } => self.message(publish, conversation, class, now, out),
            PublishKind::Recall => self.recall(publish, now, out),
            PublishKind::Unsupported => Err(Status::UNSUPPORTED),
        };
        // Nobody waits for what becomes of a status message.
        if let (Err(status), Some(message_id), false) = (result, message_id, is_status) {
            self.acknowledge(message_id, Err(Refusal::new(status)), now, out);
        }
    }

    fn message(
        &mut self,
        publish: frame::Publish,
        kind: ConversationType,
        class: MessageClass,
        now: Timestamp,
        out: &mut impl Output,
    ) -> Result<(), Status> {
        match kind {
            ConversationType::Private | ConversationType::Group => {}
            ConversationType::Chatroom => return Err(Status::NOT_IN_CHATROOM),
            ConversationType::System => return Err(Status::SYSTEM_CONVERSATION),
            _ => return Err(Status::UNSUPPORTED),
        }
        let Target::Id(target) = publish.target else { return Err(Status::BAD_PARAMETER) };
        self.admit(now)?;
        let body = self.read_body(publish.body)?;
        // To whoever gets it, it says that the server has taken a message back.
        if *body.classname == *RECALL_OBJECT_NAME {
            return Err(Status::BAD_PARAMETER);
        }
        let confirmed = publish.qos.is_confirmed() && class != MessageClass::Status;
        let message_id = confirmed.then_some(publish.message_id);
        let publish = self.publish_of(body, Addressed { kind, class, target }, message_id)?;
        out.publish(publish);
        Ok(())
    }

    /// Whether one more publish may come in now.
    fn admit(&mut self, now: Timestamp) -> Result<(), Status> {
        if self.publishes.len() >= self.config.publishes_max.min(PUBLISHES_MAX) {
            return Err(Status::UNAVAILABLE);
        }
        if !self.rate.take(now, self.config.publish_rate, self.config.publish_burst) {
            return Err(Status::TOO_FAST);
        }
        Ok(())
    }

    fn read_body(&self, body: Bytes) -> Result<UpStreamMessage, Status> {
        let limits = BodyLimits {
            bytes_max: self.config.message_bytes_max.saturating_add(ENVELOPE_BYTES_MAX),
            ..BodyLimits::default()
        };
        let bytes = body.len();
        let body: UpStreamMessage = body::decode_within(body, limits).map_err(|error| match error {
            BodyError::TooLarge { .. } => Status::TOO_LARGE,
            BodyError::TooManyFields(_) | BodyError::Malformed(_) => Status::BAD_PARAMETER,
        })?;
        if body.content.len() > self.config.message_bytes_max {
            return Err(Status::TOO_LARGE);
        }
        let unread = bytes.saturating_sub(body.encoded_len()) + body.del_msg_id.as_ref().map_or(0, Bytes::len);
        let is_named = (1..=OBJECT_NAME_BYTES_MAX).contains(&body.classname.len());
        if !is_named || unread > UNREAD_BYTES_MAX || !body.is_readable() {
            return Err(Status::BAD_PARAMETER);
        }
        Ok(body)
    }

    fn publish_of(&mut self, body: UpStreamMessage, to: Addressed, message_id: Option<u16>) -> Result<Publish, Status> {
        let extras = self.extras_of(&body, to.kind)?;
        let client_id = client_id(&body);
        let number = self.publishes.next();
        let publish = Publish {
            sender: self.identity.user.clone(),
            kind: to.kind,
            target: to.target,
            class: to.class,
            flags: MessageFlags(body.session_id.cast_unsigned()),
            object_name: body.classname,
            content: body.content,
            origin: Origin { connection: self.identity.connection, publish: number, client_id },
            floor: self.floor,
            extras,
        };
        let hash = client_id.and_then(|_| duplicate_hash_of_publish(&publish));
        self.publishes.add(message_id.map(|message_id| Open { message_id, hash }));
        Ok(publish)
    }

    fn extras_of(&self, body: &UpStreamMessage, kind: ConversationType) -> Result<Option<Box<Extras>>, Status> {
        let named = body.to_user_ids.as_slice();
        let (directional, unread) = if kind == ConversationType::Group { (named, &[][..]) } else { (&[][..], named) };
        let unread: usize = unread.iter().map(String::len).sum();
        if directional.len() > self.config.to_users_max || unread > UNREAD_BYTES_MAX {
            return Err(Status::BAD_PARAMETER);
        }
        let to_users: Result<_, _> = directional.iter().map(|user| UserId::new(user)).collect();
        let extras = Extras {
            push_text: present(&body.push_text),
            push_data: present(&body.app_data),
            push_ext: present(&body.push_ext),
            extra_content: present(&body.extra_content),
            bus_channel: present(&body.bus_channel),
            config_flags: body.config_flag.unwrap_or(0).cast_unsigned(),
            option_bits: body.option_bits.unwrap_or(0).cast_unsigned(),
            to_users: to_users.map_err(|_| Status::BAD_PARAMETER)?,
            effect: text::effect(&body.classname, &body.content),
        };
        Ok((extras != Extras::default()).then(|| Box::new(extras)))
    }

    fn recall(&mut self, publish: frame::Publish, now: Timestamp, out: &mut impl Output) -> Result<(), Status> {
        if !self.is_self(&publish.target) {
            return Err(Status::RECALL_PARAMETER);
        }
        self.admit(now)?;
        if self.questions.len() >= self.config.questions_max {
            return Err(Status::UNAVAILABLE);
        }
        let body = self.read_body(publish.body)?;
        let content = text::recall(&body.content).ok_or(Status::RECALL_PARAMETER)?;
        if !matches!(content.kind, ConversationType::Private | ConversationType::Group) {
            return Err(Status::RECALL_PARAMETER);
        }
        let extras = self.extras_of(&body, ConversationType::Private)?;
        let client_id = client_id(&body);
        let number = self.publishes.next();
        self.publishes.add(None);
        let recall = Recall {
            command: ServerPublish {
                app: self.identity.user.app.clone(),
                sender: self.identity.user.user.clone(),
                kind: content.kind,
                target: content.target,
                class: MessageClass::Persisted,
                flags: MessageFlags(body.session_id.cast_unsigned()),
                object_name: body.classname,
                content: body.content,
                sender_copy: true,
                check_permission: true,
                extras,
            },
            origin: Origin { connection: self.identity.connection, publish: number, client_id },
            target: content.recalled,
        };
        let asked = Asked { message_id: publish.message_id, qos: publish.qos };
        let ticket =
            self.questions.add(asked, now.plus(self.config.question_timeout_ms), About::Recall { publish: number });
        out.ask(ticket, Request::Recall(Box::new(recall)));
        Ok(())
    }

    pub(super) fn on_recalled(
        &mut self,
        question: &Question,
        publish: u64,
        outcome: Result<Accepted, Refusal>,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        if question.asked.qos != Qos::AtMostOnce {
            self.note_refused(publish, None, outcome);
            self.acknowledge(question.asked.message_id, outcome, now, out);
        }
    }

    /// Whether a target is the signed-in user, by name or by silence.
    pub(super) fn is_self(&self, target: &Target) -> bool {
        match target {
            Target::Myself => true,
            Target::Id(id) => id.as_str() == self.identity.user.user.as_str(),
            Target::Invalid => false,
        }
    }
}

/// Zero is what clients without ids write.
fn client_id(body: &UpStreamMessage) -> Option<ClientMessageId> {
    body.client_unique_id.filter(|&id| id != 0).map(ClientMessageId)
}

fn present(field: &Option<bytes::Bytes>) -> Option<bytes::Bytes> {
    field.as_ref().filter(|bytes| !bytes.is_empty()).cloned()
}
