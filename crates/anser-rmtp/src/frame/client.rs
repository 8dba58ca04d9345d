//! The frames that clients send.

use anser_types::TargetId;
use bytes::Bytes;

use super::{Connect, FrameError, FrameKind, Header, Qos, RawFrame};
use crate::topic::{PublishTopic, QueryTopic};
use crate::wire::{Reader, lenient_text};

/// Whom or what a PUBLISH or QUERY is addressed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// No target: the client itself. The native SDKs write their queries so.
    Myself,
    /// A user, a group, a room; in most queries the client's own id.
    Id(TargetId),
    /// A text that is no id. The request is answered with a status.
    Invalid,
}

impl Target {
    fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Myself;
        }
        let text = lenient_text(bytes);
        // Bytes that were no text became this character: two different ids must not meet in it.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Self::Invalid;
        }
        TargetId::new(&text).map_or(Self::Invalid, Self::Id)
    }

    /// The target's id; `None` for the client itself and where the text was none.
    pub const fn id(&self) -> Option<&TargetId> {
        match self {
            Self::Id(id) => Some(id),
            Self::Myself | Self::Invalid => None,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        self.id().map_or("", TargetId::as_str)
    }
}

/// A message that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The duplicate bit; no published SDK sets it.
    pub dup: bool,
    /// Whether a PUBACK is expected.
    pub qos: Qos,
    /// What kind of message.
    pub topic: PublishTopic,
    /// The peer, group or room; the sender itself for recalls.
    pub target: Target,
    /// What the PUBACK names.
    pub message_id: u16,
    /// An `UpStreamMessage`.
    pub body: Bytes,
}

/// A question that a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The answer carries the same.
    pub qos: Qos,
    /// What is asked.
    pub topic: QueryTopic,
    /// Whom it is about; the asking user for most topics.
    pub target: Target,
    /// What the QUERYACK names.
    pub message_id: u16,
    /// The message that belongs to the topic.
    pub body: Bytes,
}

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame of a TCP connection. Boxed: it comes once.
    Connect(Box<Connect>),
    /// A message.
    Publish(Publish),
    /// A question.
    Query(Query),
    /// Confirms a server's PUBLISH.
    PubAck {
        /// Which one.
        message_id: u16,
    },
    /// Confirms that a QUERYACK arrived.
    QueryCon {
        /// Which one.
        message_id: u16,
    },
    /// Asks for a sign of life.
    PingReq,
    /// The client goes.
    Disconnect {
        /// Why; a client that signs out says 4.
        status: u8,
    },
}

impl ClientFrame {
    /// Reads a frame. The body is copied out of the read buffer, once; the target into its id; nothing else is kept.
    /// Bytes behind a frame of fixed size are ignored.
    pub fn decode(raw: RawFrame<'_>) -> Result<Self, FrameError> {
        let kind = raw.header.kind();
        let qos = raw.header.qos()?;
        let mut reader = Reader::new(raw.payload);
        let ended = FrameError::truncated(kind);
        match kind {
            FrameKind::Publish => publish(reader, raw.header, qos).map(Self::Publish).map_err(ended),
            FrameKind::Query => query(reader, qos).map(Self::Query).map_err(ended),
            FrameKind::PubAck => reader.u16().map(|message_id| Self::PubAck { message_id }).map_err(ended),
            FrameKind::QueryCon => reader.u16().map(|message_id| Self::QueryCon { message_id }).map_err(ended),
            FrameKind::PingReq => Ok(Self::PingReq),
            FrameKind::Disconnect => Ok(Self::Disconnect { status: raw.payload.get(1).copied().unwrap_or(0) }),
            FrameKind::Connect => Connect::decode(raw.payload).map(|connect| Self::Connect(Box::new(connect))),
            FrameKind::ConnAck | FrameKind::QueryAck | FrameKind::PingResp => Err(FrameError::WrongSide(kind)),
            _ => Err(FrameError::Unused(kind)),
        }
    }

    pub(super) fn header(&self) -> Header {
        match self {
            Self::Connect(_) => Header::new(FrameKind::Connect, Qos::ExactlyOnce),
            Self::Publish(publish) => Header::new(FrameKind::Publish, publish.qos).with_dup(publish.dup),
            Self::Query(query) => Header::new(FrameKind::Query, query.qos),
            Self::PubAck { .. } => Header::new(FrameKind::PubAck, Qos::AtMostOnce),
            Self::QueryCon { .. } => Header::new(FrameKind::QueryCon, Qos::AtMostOnce),
            Self::PingReq => Header::new(FrameKind::PingReq, Qos::AtMostOnce),
            Self::Disconnect { .. } => Header::new(FrameKind::Disconnect, Qos::AtMostOnce),
        }
    }
}

fn publish(mut reader: Reader<'_>, header: Header, qos: Qos) -> Result<Publish, crate::wire::Truncated> {
    let topic = PublishTopic::from_bytes(reader.text_bytes()?);
    let target = Target::from_bytes(reader.text_bytes()?);
    let message_id = reader.u16()?;
    Ok(Publish { dup: header.dup(), qos, topic, target, message_id, body: Bytes::copy_from_slice(reader.rest()) })
}

fn query(mut reader: Reader<'_>, qos: Qos) -> Result<Query, crate::wire::Truncated> {
    let topic = QueryTopic::from_bytes(reader.text_bytes()?);
    let target = Target::from_bytes(reader.text_bytes()?);
    let message_id = reader.u16()?;
    Ok(Query { qos, topic, target, message_id, body: Bytes::copy_from_slice(reader.rest()) })
}
