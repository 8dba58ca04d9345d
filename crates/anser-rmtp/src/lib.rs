//! The client protocol: how bytes become frames, and frames bytes.
//!
//! Framing over [`tcp`] and [`websocket`], [`frame`]s, [`topic`]s, message bodies ([`body`]), the form of a [`token`], the
//! [`signature`] of server API calls, and what each generation of client software understands ([`capability`]).
//! Everything is pure: bytes and values in, bytes and values out. No socket, no clock, no random number, no backend, and no
//! knowledge of what becomes of a message. Nothing here panics on what came from outside, and every buffer has a bound.

pub mod body;
pub mod capability;
pub mod frame;
mod sign_in;
pub mod signature;
mod status;
pub mod tcp;
pub mod token;
pub mod topic;
pub mod websocket;
mod wire;

pub use capability::{CursorRule, DirectPush, Generation, Platform, TransportKind};
pub use frame::{
    ClientFrame, ClientTransport, FrameError, RawFrame, ServerFrame, ServerFrameRef, ServerTransport,
    encode_client_frame, encode_server_frame,
};
pub use sign_in::SignIn;
pub use status::{ConnAckStatus, DisconnectStatus};
pub use tcp::{ObfuscationKey, TcpDecoder, TcpError, TcpLimits};
pub use topic::{PublishKind, PublishTopic, PushTopic, QueryTopic, ServerTopic};
