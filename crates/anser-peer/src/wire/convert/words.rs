//! The parts that many frames share.

use anser_cluster::{Accepted, Forward, Forwarded, Outcome, Publish, Refusal, ServerPublish};
use anser_types::record::{Body, Header, Record};
use anser_types::{
    AppKey, ClientMessageId, ConnectionId, Conversation, ConversationType, Effect, Extras, LogId, Message,
    MessageClass, MessageFlags, MessageUid, Origin, Status, TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;

use crate::wire::WireError;
use crate::wire::proto;

pub(super) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, WireError> {
    field.ok_or(WireError::Missing(name))
}

#[expect(clippy::unnecessary_wraps, reason = "the field that it fills is optional on the wire")]
pub(super) fn user_to(user: &UserKey) -> Option<proto::UserKey> {
    Some(proto::UserKey { app: user.app.as_str().to_owned(), user: user.user.as_str().to_owned() })
}

pub(super) fn user_key(user: Option<proto::UserKey>) -> Result<UserKey, WireError> {
    let user = need(user, "user")?;
    Ok(UserKey::new(AppKey::new(&user.app)?, UserId::new(&user.user)?))
}

pub(super) fn conversation_kind(number: u32) -> Result<ConversationType, WireError> {
    ConversationType::from_number(number).ok_or(WireError::Value("conversation type"))
}

#[expect(clippy::unnecessary_wraps, reason = "the field that it fills is optional on the wire")]
pub(super) fn conversation_to(conversation: &Conversation) -> Option<proto::Conversation> {
    let target = conversation.target.as_str().to_owned();
    Some(proto::Conversation { kind: u32::from(conversation.kind.number()), target })
}

pub(super) fn conversation_from(conversation: Option<proto::Conversation>) -> Result<Conversation, WireError> {
    let conversation = need(conversation, "conversation")?;
    Ok(Conversation::new(conversation_kind(conversation.kind)?, TargetId::new(&conversation.target)?))
}

pub(super) fn count_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub(super) fn uid_from(bytes: &[u8]) -> Result<MessageUid, WireError> {
    bytes.try_into().map(MessageUid::from_bytes).map_err(|_| WireError::Value("uid"))
}

pub(super) fn uid_to(uid: MessageUid) -> Bytes {
    Bytes::copy_from_slice(uid.as_bytes())
}

/// A record that is in no log yet, or in one that does not matter: only its body counts.
pub(super) fn body_record(body: &Body) -> Bytes {
    body.encode(Header { log: LogId::default(), claim: anser_types::Claim::default(), sequence: 0 })
}

pub(super) fn record_of(message: Message) -> Bytes {
    body_record(&Body::Message(message))
}

pub(super) fn message_of(record: Bytes) -> Result<Message, WireError> {
    match Record::decode(record)?.body {
        Body::Message(message) => Ok(message),
        _ => Err(WireError::Value("record")),
    }
}

pub(super) fn refusal_from(status: u32) -> Result<Refusal, WireError> {
    u16::try_from(status).map(|status| Refusal::new(Status(status))).map_err(|_| WireError::Value("status"))
}

pub(super) fn accepted_to(accepted: &Accepted) -> proto::MessageRef {
    proto::MessageRef { uid: uid_to(accepted.uid), sent: accepted.sent.0 }
}

pub(super) fn accepted_from(accepted: &proto::MessageRef) -> Result<Accepted, WireError> {
    Ok(Accepted { uid: uid_from(&accepted.uid)?, sent: Timestamp(accepted.sent) })
}

pub(super) fn outcome_to(outcome: &Outcome) -> proto::Outcome {
    match outcome {
        Ok(accepted) => proto::Outcome { status: 0, accepted: Some(accepted_to(accepted)) },
        Err(refusal) => proto::Outcome { status: u32::from(refusal.status.0), accepted: None },
    }
}

pub(super) fn outcome_from(outcome: proto::Outcome) -> Result<Outcome, WireError> {
    match outcome.status {
        0 => Ok(Ok(accepted_from(&need(outcome.accepted, "accepted")?)?)),
        status => Ok(Err(refusal_from(status)?)),
    }
}

pub(super) fn write_forwarded((id, forwarded): &(u64, Forwarded)) -> proto::Forwarded {
    let outcome = match forwarded {
        Forwarded::Settled(outcome) => Some(outcome_to(outcome)),
        Forwarded::Returned => None,
    };
    proto::Forwarded { id: *id, outcome }
}

pub(super) fn read_forwarded(forwarded: proto::Forwarded) -> Result<(u64, Forwarded), WireError> {
    let answer = match forwarded.outcome {
        Some(outcome) => Forwarded::Settled(outcome_from(outcome)?),
        None => Forwarded::Returned,
    };
    Ok((forwarded.id, answer))
}

/// What a publish, a forward and a publish of the server API have in common: all of any of them.
pub(super) struct Drafted {
    pub(super) publish: ServerPublish,
    pub(super) origin: Origin,
    pub(super) floor: Timestamp,
}

impl Drafted {
    pub(super) fn of_publish(publish: &Publish) -> Self {
        let (origin, floor) = (publish.origin, publish.floor);
        let publish = ServerPublish {
            app: publish.sender.app.clone(),
            sender: publish.sender.user.clone(),
            kind: publish.kind,
            target: publish.target.clone(),
            class: publish.class,
            flags: publish.flags,
            object_name: publish.object_name.clone(),
            content: publish.content.clone(),
            sender_copy: true,
            check_permission: true,
            extras: publish.extras.clone(),
        };
        Self { publish, origin, floor }
    }

    pub(super) fn of_forward(forward: &Forward) -> Self {
        Self { publish: forward.publish.clone(), origin: forward.origin, floor: forward.floor }
    }

    pub(super) fn of_server(publish: &ServerPublish, origin: Origin) -> Self {
        Self { publish: publish.clone(), origin, floor: Timestamp::ZERO }
    }

    pub(super) fn into_wire(self) -> proto::Draft {
        let Self { publish, origin, floor } = self;
        proto::Draft {
            app: publish.app.as_str().to_owned(),
            kind: u32::from(publish.kind.number()),
            sender: publish.sender.as_str().to_owned(),
            target: publish.target.as_str().to_owned(),
            class: u32::from(publish.class.number()),
            flags: publish.flags.0,
            object_name: publish.object_name,
            content: publish.content,
            connection: origin.connection.0,
            publish: origin.publish,
            client_id: origin.client_id.map(|id| id.0),
            floor: floor.0,
            sender_copy: publish.sender_copy,
            check_permission: publish.check_permission,
            extras: publish.extras.map(|extras| extras_to(*extras)),
        }
    }

    pub(super) fn from_wire(draft: proto::Draft) -> Result<Self, WireError> {
        let class = u8::try_from(draft.class).ok().and_then(MessageClass::from_number);
        let publish = ServerPublish {
            app: AppKey::new(&draft.app)?,
            kind: conversation_kind(draft.kind)?,
            sender: UserId::new(&draft.sender)?,
            target: TargetId::new(&draft.target)?,
            class: class.ok_or(WireError::Value("class"))?,
            flags: MessageFlags(draft.flags),
            object_name: draft.object_name,
            content: draft.content,
            sender_copy: draft.sender_copy,
            check_permission: draft.check_permission,
            extras: draft.extras.map(extras_from).transpose()?.map(Box::new),
        };
        let origin = Origin {
            connection: ConnectionId(draft.connection),
            publish: draft.publish,
            client_id: draft.client_id.map(ClientMessageId),
        };
        Ok(Self { publish, origin, floor: Timestamp(draft.floor) })
    }
}

fn extras_to(extras: Extras) -> proto::Extras {
    let effect = extras.effect.map(|effect| match effect {
        Effect::Recall { uid, sent } => proto::Effect::Recall(proto::MessageRef { uid: uid_to(uid), sent: sent.0 }),
        Effect::Read { until } => proto::Effect::Read(until.0),
    });
    proto::Extras {
        push_text: extras.push_text,
        push_data: extras.push_data,
        push_ext: extras.push_ext,
        extra_content: extras.extra_content,
        bus_channel: extras.bus_channel,
        config_flags: extras.config_flags,
        option_bits: extras.option_bits,
        to_users: extras.to_users.iter().map(|user| user.as_str().to_owned()).collect(),
        effect,
    }
}

fn extras_from(extras: proto::Extras) -> Result<Extras, WireError> {
    let effect = match extras.effect {
        Some(proto::Effect::Recall(message)) => {
            Some(Effect::Recall { uid: uid_from(&message.uid)?, sent: Timestamp(message.sent) })
        }
        Some(proto::Effect::Read(until)) => Some(Effect::Read { until: Timestamp(until) }),
        None => None,
    };
    Ok(Extras {
        push_text: extras.push_text,
        push_data: extras.push_data,
        push_ext: extras.push_ext,
        extra_content: extras.extra_content,
        bus_channel: extras.bus_channel,
        config_flags: extras.config_flags,
        option_bits: extras.option_bits,
        to_users: extras.to_users.iter().map(|user| UserId::new(user)).collect::<Result<_, _>>()?,
        effect,
    })
}
