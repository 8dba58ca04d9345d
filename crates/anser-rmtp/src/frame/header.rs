//! The header byte, and a frame that is cut out of its stream but not yet read.

use super::FrameError;

/// The types of frames, with their numbers in the header byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum FrameKind {
    Symmetric = 0,
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    Query = 5,
    QueryAck = 6,
    QueryCon = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Reserved = 15,
}

const KINDS: [FrameKind; 16] = [
    FrameKind::Symmetric,
    FrameKind::Connect,
    FrameKind::ConnAck,
    FrameKind::Publish,
    FrameKind::PubAck,
    FrameKind::Query,
    FrameKind::QueryAck,
    FrameKind::QueryCon,
    FrameKind::Subscribe,
    FrameKind::SubAck,
    FrameKind::Unsubscribe,
    FrameKind::UnsubAck,
    FrameKind::PingReq,
    FrameKind::PingResp,
    FrameKind::Disconnect,
    FrameKind::Reserved,
];

/// How surely a frame is to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Qos {
    /// No answer is expected.
    #[default]
    AtMostOnce = 0,
    /// The other side confirms it.
    AtLeastOnce = 1,
    /// As the protocol names it; treated as [`Self::AtLeastOnce`].
    ExactlyOnce = 2,
}

impl Qos {
    /// Whether the frame is to be confirmed.
    pub const fn is_confirmed(self) -> bool {
        !matches!(self, Self::AtMostOnce)
    }
}

/// The header byte: type, duplicate bit, quality of service, retain bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header(pub u8);

impl Header {
    /// A header of this type; no bit set beside.
    pub const fn new(kind: FrameKind, qos: Qos) -> Self {
        Self((kind as u8) << 4 | (qos as u8) << 1)
    }

    /// The same with the duplicate bit as given.
    #[must_use]
    pub const fn with_dup(self, dup: bool) -> Self {
        Self(self.0 & !0x08 | (dup as u8) << 3)
    }

    /// The type.
    pub const fn kind(self) -> FrameKind {
        KINDS[(self.0 >> 4) as usize]
    }

    /// The duplicate bit. On a server's PUBLISH it marks the copy of an own message.
    pub const fn dup(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// The quality of service.
    pub const fn qos(self) -> Result<Qos, FrameError> {
        match self.0 >> 1 & 3 {
            0 => Ok(Qos::AtMostOnce),
            1 => Ok(Qos::AtLeastOnce),
            2 => Ok(Qos::ExactlyOnce),
            _ => Err(FrameError::ReservedQos(self.kind())),
        }
    }
}

/// A frame cut out of its stream: plain, complete, its payload not yet read. Borrows the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// The header byte.
    pub header: Header,
    /// Everything after it.
    pub payload: &'a [u8],
}

impl<'a> RawFrame<'a> {
    /// The frame that one WebSocket message is.
    pub fn from_message(message: &'a [u8]) -> Result<Self, FrameError> {
        let (&header, payload) = message.split_first().ok_or(FrameError::Empty)?;
        Ok(Self { header: Header(header), payload })
    }
}
