//! The bodies of records: fixed fields first, then tagged ones, so that later fields can be added and older programs skip them.

use bytes::Bytes;

use super::{Body, RosterChange, RosterRecord, UserChange, UserRecord};
use crate::codec::{DecodeError, Reader, Writer};
use crate::{
    AppKey, ClientMessageId, ConnectionId, Conversation, ConversationType, Effect, Extras, Message, MessageClass,
    MessageFlags, MessageUid, Origin, Subject, TargetId, Timestamp, UserId, UserKey,
};

const CLAIM: u8 = 1;
const MESSAGE: u8 = 2;
const ROSTER: u8 = 3;
const USER: u8 = 4;

/// Tags of the optional fields of a message.
mod tag {
    pub(super) const CLIENT_ID: u8 = 1;
    pub(super) const PUSH_TEXT: u8 = 2;
    pub(super) const PUSH_DATA: u8 = 3;
    pub(super) const PUSH_EXT: u8 = 4;
    pub(super) const EXTRA_CONTENT: u8 = 5;
    pub(super) const BUS_CHANNEL: u8 = 6;
    pub(super) const CONFIG_FLAGS: u8 = 7;
    pub(super) const OPTION_BITS: u8 = 8;
    pub(super) const TO_USER: u8 = 9;
    pub(super) const RECALL: u8 = 10;
    pub(super) const READ: u8 = 11;
    pub(super) const NO_SENDER_COPY: u8 = 12;
}

pub(super) const fn kind(body: &Body) -> u8 {
    match body {
        Body::Claim { .. } => CLAIM,
        Body::Message(_) => MESSAGE,
        Body::Roster(_) => ROSTER,
        Body::User(_) => USER,
    }
}

/// Roughly how many bytes a body takes, so that most are written without growing the buffer.
pub(super) fn size_hint(body: &Body) -> usize {
    match body {
        Body::Message(message) => 192 + message.payload_bytes(),
        _ => 128,
    }
}

pub(super) fn write(body: &Body, w: &mut Writer<'_>) {
    match body {
        Body::Claim { node, time } => {
            w.u64(time.0);
            w.text(node);
        }
        Body::Message(message) => write_message(message, w),
        Body::Roster(roster) => write_roster(roster, w),
        Body::User(user) => write_user(user, w),
    }
}

pub(super) fn read(kind: u8, mut r: Reader) -> Result<Body, DecodeError> {
    let body = match kind {
        CLAIM => {
            let time = Timestamp(r.u64()?);
            Body::Claim { node: r.string()?, time }
        }
        MESSAGE => return read_message(r).map(Body::Message),
        ROSTER => Body::Roster(read_roster(&mut r)?),
        USER => Body::User(read_user(&mut r)?),
        other => return Err(DecodeError::Kind(other)),
    };
    r.end()?;
    Ok(body)
}

fn write_message(m: &Message, w: &mut Writer<'_>) {
    w.u8(m.kind.number());
    w.u8(m.class.number());
    w.u32(m.flags.0);
    w.u64(m.sent.0);
    w.raw(m.uid.as_bytes());
    w.u64(m.origin.connection.0);
    w.u64(m.origin.publish);
    w.text(m.app.as_str());
    w.text(m.sender.as_str());
    w.text(m.target.as_str());
    w.bytes(&m.object_name);
    w.bytes(&m.content);
    let mut field = |tag: u8, bytes: &[u8]| {
        w.u8(tag);
        w.bytes(bytes);
    };
    if let Some(id) = m.origin.client_id {
        field(tag::CLIENT_ID, &id.0.to_be_bytes());
    }
    if !m.sender_copy {
        field(tag::NO_SENDER_COPY, &[]);
    }
    if let Some(extras) = &m.extras {
        write_extras(extras, &mut field);
    }
}

fn write_extras(extras: &Extras, field: &mut impl FnMut(u8, &[u8])) {
    for (tag, bytes) in [
        (tag::PUSH_TEXT, &extras.push_text),
        (tag::PUSH_DATA, &extras.push_data),
        (tag::PUSH_EXT, &extras.push_ext),
        (tag::EXTRA_CONTENT, &extras.extra_content),
        (tag::BUS_CHANNEL, &extras.bus_channel),
    ] {
        if let Some(bytes) = bytes {
            field(tag, bytes);
        }
    }
    if extras.config_flags != 0 {
        field(tag::CONFIG_FLAGS, &extras.config_flags.to_be_bytes());
    }
    if extras.option_bits != 0 {
        field(tag::OPTION_BITS, &extras.option_bits.to_be_bytes());
    }
    for user in &extras.to_users {
        field(tag::TO_USER, user.as_str().as_bytes());
    }
    match extras.effect {
        Some(Effect::Recall { uid, sent }) => {
            let mut bytes = [0; 18];
            bytes[..10].copy_from_slice(uid.as_bytes());
            bytes[10..].copy_from_slice(&sent.0.to_be_bytes());
            field(tag::RECALL, &bytes);
        }
        Some(Effect::Read { until }) => field(tag::READ, &until.0.to_be_bytes()),
        None => {}
    }
}

fn read_message(mut r: Reader) -> Result<Message, DecodeError> {
    let kind = conversation_type(r.u8()?)?;
    let class = MessageClass::from_number(r.u8()?).ok_or(DecodeError::Value("class"))?;
    let flags = MessageFlags(r.u32()?);
    let sent = Timestamp(r.u64()?);
    let uid = MessageUid::from_bytes(r.array()?);
    let connection = ConnectionId(r.u64()?);
    let publish = r.u64()?;
    let mut message = Message {
        app: r.text(AppKey::new)?,
        kind,
        sender: r.text(UserId::new)?,
        target: r.text(TargetId::new)?,
        sent,
        uid,
        class,
        flags,
        object_name: r.bytes()?,
        content: r.bytes()?,
        origin: Origin { connection, publish, client_id: None },
        sender_copy: true,
        extras: None,
    };
    let mut extras = Extras::default();
    while !r.is_empty() {
        let tag = r.u8()?;
        let bytes = r.bytes()?;
        match tag {
            tag::CLIENT_ID => message.origin.client_id = Some(ClientMessageId(i64::from_be_bytes(exact(bytes)?))),
            tag::NO_SENDER_COPY => message.sender_copy = false,
            _ => read_extra(&mut extras, tag, bytes)?,
        }
    }
    if extras != Extras::default() {
        message.extras = Some(Box::new(extras));
    }
    Ok(message)
}

fn read_extra(extras: &mut Extras, tag: u8, bytes: Bytes) -> Result<(), DecodeError> {
    match tag {
        tag::PUSH_TEXT => extras.push_text = Some(bytes),
        tag::PUSH_DATA => extras.push_data = Some(bytes),
        tag::PUSH_EXT => extras.push_ext = Some(bytes),
        tag::EXTRA_CONTENT => extras.extra_content = Some(bytes),
        tag::BUS_CHANNEL => extras.bus_channel = Some(bytes),
        tag::CONFIG_FLAGS => extras.config_flags = u32::from_be_bytes(exact(bytes)?),
        tag::OPTION_BITS => extras.option_bits = u64::from_be_bytes(exact(bytes)?),
        tag::TO_USER => {
            let user = std::str::from_utf8(&bytes).map_err(|_| DecodeError::Text)?;
            extras.to_users.push(UserId::new(user)?);
        }
        tag::RECALL => {
            let mut r = Reader(bytes);
            let uid = MessageUid::from_bytes(r.array()?);
            extras.effect = Some(Effect::Recall { uid, sent: Timestamp(r.u64()?) });
            r.end()?;
        }
        tag::READ => extras.effect = Some(Effect::Read { until: Timestamp(u64::from_be_bytes(exact(bytes)?)) }),
        // A field of a later version: it may add, it may not change what the others mean.
        _ => {}
    }
    Ok(())
}

fn exact<const N: usize>(bytes: Bytes) -> Result<[u8; N], DecodeError> {
    let mut r = Reader(bytes);
    let array = r.array()?;
    r.end()?;
    Ok(array)
}

fn conversation_type(number: u8) -> Result<ConversationType, DecodeError> {
    ConversationType::from_number(u32::from(number)).ok_or(DecodeError::Value("conversation type"))
}

fn write_conversation(conversation: &Conversation, w: &mut Writer<'_>) {
    w.u8(conversation.kind.number());
    w.text(conversation.target.as_str());
}

fn read_conversation(r: &mut Reader) -> Result<Conversation, DecodeError> {
    let kind = conversation_type(r.u8()?)?;
    Ok(Conversation::new(kind, r.text(TargetId::new)?))
}

fn write_users(users: &[UserId], w: &mut Writer<'_>) {
    // A request is limited to far fewer users than 2^32.
    w.u32(u32::try_from(users.len()).unwrap_or(u32::MAX));
    for user in users {
        w.text(user.as_str());
    }
}

fn read_users(r: &mut Reader) -> Result<Vec<UserId>, DecodeError> {
    let count = r.u32()?;
    // No capacity from the count: it is only as trustworthy as the bytes behind it.
    let mut users = Vec::new();
    for _ in 0..count {
        users.push(r.text(UserId::new)?);
    }
    Ok(users)
}

fn write_roster(roster: &RosterRecord, w: &mut Writer<'_>) {
    w.u64(roster.time.0);
    match &roster.subject {
        Subject::Private { app, low, high } => {
            w.text(app.as_str());
            w.u8(ConversationType::Private.number());
            w.text(low.as_str());
            w.text(high.as_str());
        }
        other => {
            w.text(other.app().as_str());
            let (_, group) = super::group_of(other).expect("a roster belongs to a group or a private chat");
            w.u8(ConversationType::Group.number());
            w.text(group.as_str());
        }
    }
    match &roster.change {
        RosterChange::Join { name, users } => {
            w.u8(1);
            w.text(name);
            write_users(users, w);
        }
        RosterChange::Quit { users } => {
            w.u8(2);
            write_users(users, w);
        }
        RosterChange::Dismiss => w.u8(3),
        RosterChange::Rename { name } => {
            w.u8(4);
            w.text(name);
        }
        RosterChange::Block { by } => {
            w.u8(5);
            w.text(by.as_str());
        }
        RosterChange::Unblock { by } => {
            w.u8(6);
            w.text(by.as_str());
        }
        RosterChange::Mute { users, until } => {
            w.u8(7);
            w.u64(until.0);
            write_users(users, w);
        }
        RosterChange::Unmute { users } => {
            w.u8(8);
            write_users(users, w);
        }
    }
}

fn read_roster(r: &mut Reader) -> Result<RosterRecord, DecodeError> {
    let time = Timestamp(r.u64()?);
    let app = r.text(AppKey::new)?;
    let subject = match conversation_type(r.u8()?)? {
        ConversationType::Private => Subject::private(app, r.text(UserId::new)?, r.text(UserId::new)?),
        ConversationType::Group => Subject::group(app, r.text(TargetId::new)?),
        _ => return Err(DecodeError::Value("roster subject")),
    };
    let change = match r.u8()? {
        1 => RosterChange::Join { name: r.string()?, users: read_users(r)? },
        2 => RosterChange::Quit { users: read_users(r)? },
        3 => RosterChange::Dismiss,
        4 => RosterChange::Rename { name: r.string()? },
        5 => RosterChange::Block { by: r.text(UserId::new)? },
        6 => RosterChange::Unblock { by: r.text(UserId::new)? },
        7 => {
            let until = Timestamp(r.u64()?);
            RosterChange::Mute { users: read_users(r)?, until }
        }
        8 => RosterChange::Unmute { users: read_users(r)? },
        other => return Err(DecodeError::Kind(other)),
    };
    Ok(RosterRecord { subject, time, change })
}

fn write_user(user: &UserRecord, w: &mut Writer<'_>) {
    w.u64(user.time.0);
    w.text(user.user.app.as_str());
    w.text(user.user.user.as_str());
    match &user.change {
        UserChange::Profile { name: Some(name), portrait: Some(portrait) } => {
            w.u8(1);
            w.text(name);
            w.text(portrait);
        }
        UserChange::Profile { name, portrait } => {
            w.u8(10);
            for text in [name, portrait] {
                w.u8(u8::from(text.is_some()));
                w.text(text.as_deref().unwrap_or_default());
            }
        }
        UserChange::Blocked { until } => {
            w.u8(2);
            w.u64(until.0);
        }
        UserChange::Unblocked => w.u8(3),
        UserChange::TokensVoid { before } => {
            w.u8(4);
            w.u64(before.0);
        }
        UserChange::Setting { conversation, item, value } => {
            w.u8(5);
            write_conversation(conversation, w);
            w.u32(*item);
            w.bytes(value);
        }
        UserChange::HideMessages { conversation, messages } => {
            w.u8(6);
            write_conversation(conversation, w);
            // A request names at most a few hundred messages.
            w.u32(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            for (uid, sent) in messages {
                w.raw(uid.as_bytes());
                w.u64(sent.0);
            }
        }
        UserChange::HideUntil { conversation, until } => {
            w.u8(7);
            write_conversation(conversation, w);
            w.u64(until.0);
        }
        UserChange::RemoveConversation { conversation } => {
            w.u8(8);
            write_conversation(conversation, w);
        }
        UserChange::Read { conversation, until } => {
            w.u8(9);
            write_conversation(conversation, w);
            w.u64(until.0);
        }
    }
}

fn read_user(r: &mut Reader) -> Result<UserRecord, DecodeError> {
    let time = Timestamp(r.u64()?);
    let user = UserKey::new(r.text(AppKey::new)?, r.text(UserId::new)?);
    let change = match r.u8()? {
        1 => UserChange::Profile { name: Some(r.string()?), portrait: Some(r.string()?) },
        2 => UserChange::Blocked { until: Timestamp(r.u64()?) },
        3 => UserChange::Unblocked,
        4 => UserChange::TokensVoid { before: Timestamp(r.u64()?) },
        5 => UserChange::Setting { conversation: read_conversation(r)?, item: r.u32()?, value: r.bytes()? },
        6 => {
            let conversation = read_conversation(r)?;
            let mut messages = Vec::new();
            for _ in 0..r.u32()? {
                messages.push((MessageUid::from_bytes(r.array()?), Timestamp(r.u64()?)));
            }
            UserChange::HideMessages { conversation, messages }
        }
        7 => UserChange::HideUntil { conversation: read_conversation(r)?, until: Timestamp(r.u64()?) },
        8 => UserChange::RemoveConversation { conversation: read_conversation(r)? },
        9 => UserChange::Read { conversation: read_conversation(r)?, until: Timestamp(r.u64()?) },
        10 => {
            let mut given = || Ok::<_, DecodeError>((r.u8()?, r.string()?));
            let [name, portrait] = [given()?, given()?].map(|(is_given, text)| (is_given != 0).then_some(text));
            UserChange::Profile { name, portrait }
        }
        other => return Err(DecodeError::Kind(other)),
    };
    Ok(UserRecord { user, time, change })
}
