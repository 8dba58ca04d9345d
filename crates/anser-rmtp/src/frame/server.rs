//! The frames that servers send: borrowed for writing, owned for our own client.

use anser_types::{MessageUid, Status, Timestamp};
use bytes::Bytes;

use super::{FrameError, FrameKind, Header, Qos, RawFrame};
use crate::status::{ConnAckStatus, DisconnectStatus};
use crate::topic::ServerTopic;
use crate::wire::{Reader, Truncated};

/// The two layouts of a CONNACK. The client asks for one of them (`protocolVer`, or the version in its CONNECT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConnAckForm {
    /// All fields, in order.
    #[default]
    V3,
    /// A byte of flags says which fields follow.
    V4,
}

impl ConnAckForm {
    /// The form that goes with a protocol version; everything below 4 and everything unknown is the older one.
    pub const fn of_version(version: u8) -> Self {
        if version == 4 { Self::V4 } else { Self::V3 }
    }
}

pub(super) const HAS_USER: u8 = 1;
pub(super) const HAS_SESSION: u8 = 2;
pub(super) const HAS_TIME: u8 = 4;
pub(super) const HAS_FIRST_ID: u8 = 8;

/// A CONNACK to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnAckRef<'a> {
    /// Signed in.
    Accepted {
        /// The layout that the client asked for.
        form: ConnAckForm,
        /// Whom the token named.
        user_id: &'a str,
        /// Opaque to clients.
        session_id: &'a str,
        /// The server's clock.
        time: Timestamp,
        /// Where the client starts to count message ids; only the newer form carries it.
        first_message_id: Option<u16>,
    },
    /// Refused; never [`ConnAckStatus::Accepted`].
    Refused(ConnAckStatus),
}

/// A CONNACK as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnAck {
    /// Signed in.
    Accepted {
        /// Who we are.
        user_id: String,
        /// Opaque.
        session_id: String,
        /// The server's clock; zero if it did not say.
        time: Timestamp,
        /// Where to start to count message ids.
        first_message_id: Option<u16>,
    },
    /// Refused.
    Refused {
        /// The code; [`ConnAckStatus::from_code`] knows most.
        code: u8,
    },
}

/// The body of a frame to be written: in one piece, or in pieces that follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// One piece.
    One(&'a [u8]),
    /// Several pieces.
    Parts(&'a [&'a [u8]]),
}

impl Body<'_> {
    /// No body.
    pub const EMPTY: Self = Self::One(&[]);

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(piece) => piece.len(),
            Self::Parts(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(piece) => out.extend_from_slice(piece),
            Self::Parts(pieces) => pieces.iter().for_each(|piece| out.extend_from_slice(piece)),
        }
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(piece: &'a [u8]) -> Self {
        Self::One(piece)
    }
}

/// A server's PUBLISH to be written.
#[derive(Debug, Clone, Copy)]
pub struct ServerPublishRef<'a> {
    /// Whether the client is to confirm it.
    pub qos: Qos,
    /// Set on the copy of an own message; the client then does not confirm it, and a PUBACK with the same id must follow.
    pub dup: bool,
    /// Seconds since 1970.
    pub seconds: u32,
    /// What it is.
    pub topic: ServerTopic,
    /// The receiver's id; on a copy whom the message went to.
    pub target: &'a str,
    /// The server's own count, apart from the ids that the client waits for.
    pub message_id: u16,
    /// What belongs to the topic.
    pub body: Body<'a>,
}

/// A server's PUBLISH as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPublish {
    /// Whether to confirm it.
    pub qos: Qos,
    /// Whether it is the copy of an own message.
    pub dup: bool,
    /// Seconds since 1970.
    pub seconds: u32,
    /// What it is.
    pub topic: ServerTopic,
    /// The receiver's id; on a copy whom the message went to.
    pub target: String,
    /// What the PUBACK names.
    pub message_id: u16,
    /// What belongs to the topic.
    pub body: Bytes,
}

/// Answers a PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubAck {
    /// Which one.
    pub message_id: u16,
    /// The message's sent time; when refused, the time of the refusal.
    pub sent: Timestamp,
    /// Accepted, or why not.
    pub status: Status,
    /// The message's UID; `None` when it was refused.
    pub uid: Option<MessageUid>,
}

/// Answers a QUERY; to be written.
#[derive(Debug, Clone, Copy)]
pub struct QueryAckRef<'a> {
    /// That of the query, or at least once where the arrival is to be confirmed by a QUERYCON.
    pub qos: Qos,
    /// Which one.
    pub message_id: u16,
    /// Seconds since 1970.
    pub seconds: u32,
    /// Done, or why not.
    pub status: Status,
    /// The answer.
    pub body: Body<'a>,
}

/// Answers a QUERY; as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryAck {
    /// Whether a QUERYCON is to be sent.
    pub qos: Qos,
    /// Which one.
    pub message_id: u16,
    /// Seconds since 1970.
    pub seconds: u32,
    /// Done, or why not.
    pub status: Status,
    /// The answer.
    pub body: Bytes,
}

/// A server's frame to be written.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names are the frames'")]
pub enum ServerFrameRef<'a> {
    ConnAck(ConnAckRef<'a>),
    Publish(ServerPublishRef<'a>),
    PubAck(PubAck),
    QueryAck(QueryAckRef<'a>),
    PingResp,
    Disconnect(DisconnectStatus),
}

impl ServerFrameRef<'_> {
    pub(super) const fn header(&self) -> Header {
        match self {
            Self::ConnAck(_) => Header::new(FrameKind::ConnAck, Qos::AtMostOnce),
            Self::Publish(publish) => Header::new(FrameKind::Publish, publish.qos).with_dup(publish.dup),
            Self::PubAck(_) => Header::new(FrameKind::PubAck, Qos::AtMostOnce),
            Self::QueryAck(answer) => Header::new(FrameKind::QueryAck, answer.qos),
            Self::PingResp => Header::new(FrameKind::PingResp, Qos::AtMostOnce),
            Self::Disconnect(_) => Header::new(FrameKind::Disconnect, Qos::AtMostOnce),
        }
    }
}

/// A frame from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the frames'")]
pub enum ServerFrame {
    ConnAck(ConnAck),
    Publish(ServerPublish),
    PubAck(PubAck),
    QueryAck(QueryAck),
    PingResp,
    Disconnect {
        /// The code; [`DisconnectStatus::from_code`] knows most.
        code: u8,
    },
}

impl ServerFrame {
    /// Reads a frame. `form` is the layout of CONNACK that this client asked for.
    pub fn decode(raw: RawFrame<'_>, form: ConnAckForm) -> Result<Self, FrameError> {
        let kind = raw.header.kind();
        let qos = raw.header.qos()?;
        let reader = Reader::new(raw.payload);
        let frame = match kind {
            FrameKind::ConnAck => connack(reader, form).map(Self::ConnAck),
            FrameKind::Publish => publish(reader, raw.header, qos).map(Self::Publish),
            FrameKind::PubAck => puback(reader).map(Self::PubAck),
            FrameKind::QueryAck => query_ack(reader, qos).map(Self::QueryAck),
            FrameKind::PingResp => Ok(Self::PingResp),
            FrameKind::Disconnect => disconnect(reader),
            FrameKind::Connect | FrameKind::Query | FrameKind::QueryCon | FrameKind::PingReq => {
                return Err(FrameError::WrongSide(kind));
            }
            _ => return Err(FrameError::Unused(kind)),
        };
        frame.map_err(FrameError::truncated(kind))
    }
}

fn connack(mut reader: Reader<'_>, form: ConnAckForm) -> Result<ConnAck, Truncated> {
    reader.u8()?;
    let code = reader.u8()?;
    if code != ConnAckStatus::Accepted.code() {
        return Ok(ConnAck::Refused { code });
    }
    let present = match form {
        ConnAckForm::V3 => HAS_USER | HAS_SESSION | HAS_TIME,
        ConnAckForm::V4 => reader.u8()?,
    };
    let mut text = |flag| {
        if present & flag != 0 { reader.text() } else { Ok("".into()) }
    };
    let user_id = text(HAS_USER)?.into_owned();
    let session_id = text(HAS_SESSION)?.into_owned();
    let time = Timestamp(if present & HAS_TIME != 0 { reader.u64()? } else { 0 });
    let first_message_id = if present & HAS_FIRST_ID != 0 { Some(reader.u16()?) } else { None };
    Ok(ConnAck::Accepted { user_id, session_id, time, first_message_id })
}

fn publish(mut reader: Reader<'_>, header: Header, qos: Qos) -> Result<ServerPublish, Truncated> {
    let seconds = reader.u32()?;
    let topic = ServerTopic::from_bytes(reader.text_bytes()?);
    let target = reader.text()?.into_owned();
    let message_id = reader.u16()?;
    let body = Bytes::copy_from_slice(reader.rest());
    Ok(ServerPublish { qos, dup: header.dup(), seconds, topic, target, message_id, body })
}

fn puback(mut reader: Reader<'_>) -> Result<PubAck, Truncated> {
    let message_id = reader.u16()?;
    let seconds = reader.u32()?;
    let status = Status(reader.u16()?);
    let millis = reader.u16()?;
    let uid = reader.text()?.parse().ok();
    let sent = Timestamp(u64::from(seconds) * 1000 + u64::from(millis));
    Ok(PubAck { message_id, sent, status, uid })
}

fn query_ack(mut reader: Reader<'_>, qos: Qos) -> Result<QueryAck, Truncated> {
    let message_id = reader.u16()?;
    let seconds = reader.u32()?;
    let status = Status(reader.u16()?);
    Ok(QueryAck { qos, message_id, seconds, status, body: Bytes::copy_from_slice(reader.rest()) })
}

fn disconnect(mut reader: Reader<'_>) -> Result<ServerFrame, Truncated> {
    reader.u8()?;
    reader.u8().map(|code| ServerFrame::Disconnect { code })
}
