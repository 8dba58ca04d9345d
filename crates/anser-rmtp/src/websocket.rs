//! WebSocket (RFC 6455), both sides: the opening handshake, and cutting a stream into messages.
//!
//! Only what the protocol needs: binary messages, no extensions, no sub-protocols. Written here rather than taken from a
//! library so that a connection holds no memory between messages. Knows nothing of what a message means.

mod decoder;
mod encode;
mod handshake;
mod http;
mod query;
#[cfg(test)]
mod tests;

pub use decoder::{CloseCode, WebSocketDecoder, WebSocketError, WebSocketEvent};
pub use encode::{Role, put_close, put_ping, put_pong};
pub(crate) use encode::{apply_mask, put_message_head};
pub use handshake::{ClientHandshake, HandshakeError, ResponseReader};
pub use http::{HttpRefusal, HttpRequest, PING_RESPONSE, RequestReader, UpgradeRequest};
pub use query::ConnectQuery;
