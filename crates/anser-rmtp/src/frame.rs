//! The frames: what goes over a connection, whatever carries it.
//!
//! A frame is a header byte and a payload. [`crate::tcp`] and [`crate::websocket`] cut streams into [`RawFrame`]s and wrap
//! frames again; here their meaning is read and written. Knows nothing of sockets, of what a message body means, or of who
//! is signed in.

mod client;
mod connect;
mod encode;
mod header;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use client::{ClientFrame, Publish, Query, Target};
pub use connect::Connect;
pub(crate) use connect::PROTOCOL_NAME;
pub use encode::{ClientTransport, EncodeError, ServerTransport, encode_client_frame, encode_server_frame};
pub use header::{FrameKind, Header, Qos, RawFrame};
pub use server::{
    Body, ConnAck, ConnAckForm, ConnAckRef, PubAck, QueryAck, QueryAckRef, ServerFrame, ServerFrameRef, ServerPublish,
    ServerPublishRef,
};

use crate::wire::Truncated;

/// Why a frame could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message without a single byte.
    #[error("frame has no header byte")]
    Empty,
    /// The payload ends inside a field.
    #[error("{0:?} frame ends early")]
    Truncated(FrameKind),
    /// The header names a quality of service that does not exist.
    #[error("{0:?} frame asks for quality of service 3")]
    ReservedQos(FrameKind),
    /// The other side never sends frames of this type.
    #[error("{0:?} frame from the wrong side")]
    WrongSide(FrameKind),
    /// The protocol names the type, but nobody uses it.
    #[error("{0:?} frame is not used")]
    Unused(FrameKind),
    /// A CONNECT that does not begin as one.
    #[error("connect frame names another protocol")]
    NotRmtp,
}

impl FrameError {
    /// Whether the connection cannot go on. A frame that is not fatal is left out, and the next one may be read.
    pub const fn is_fatal(self) -> bool {
        !matches!(self, Self::Unused(_))
    }

    fn truncated(kind: FrameKind) -> impl FnOnce(Truncated) -> Self {
        move |Truncated| Self::Truncated(kind)
    }
}
