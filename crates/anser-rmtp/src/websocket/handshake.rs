//! The opening handshake of a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ConnectQuery;
use super::http::{HeadProgress, accept_key, complete_head, has_token, header};

const HEADERS_MAX: usize = 64;

/// Why a server's response opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// No HTTP, or a head over the limits.
    #[error("response is no http")]
    Malformed,
    /// The server did not switch protocols.
    #[error("server answered with http status {0}")]
    Status(u16),
    /// The server switched to something else, or did not read our key.
    #[error("response does not accept the websocket")]
    NotAccepted,
}

/// The opening handshake of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHandshake {
    key: String,
}

impl ClientHandshake {
    /// A handshake with 16 random bytes.
    pub fn new(nonce: [u8; 16]) -> Self {
        Self { key: STANDARD.encode(nonce) }
    }

    /// The request to be written. `host` is the host and port that the client connected to.
    pub fn request(&self, host: &str, query: &ConnectQuery) -> Vec<u8> {
        let (key, query) = (&self.key, query.to_query());
        format!(
            "GET /websocket?{query} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .into_bytes()
    }

    /// Reads the response that belongs to this handshake.
    pub fn into_reader(self) -> ResponseReader {
        ResponseReader { key: self.key, head: Vec::new() }
    }
}

/// Collects the head of the response until it is complete.
#[derive(Debug)]
pub struct ResponseReader {
    key: String,
    head: Vec<u8>,
}

impl ResponseReader {
    /// Takes the next bytes. When the WebSocket is open: how many bytes of `input` belong to the head; the rest are the
    /// first bytes of frames. `None` while more is needed.
    pub fn push(&mut self, input: &[u8]) -> Result<Option<usize>, HandshakeError> {
        match complete_head(&mut self.head, input) {
            HeadProgress::Complete { consumed } => self.judge().map(|()| Some(consumed)),
            HeadProgress::Incomplete => Ok(None),
            HeadProgress::TooLarge => Err(HandshakeError::Malformed),
        }
    }

    fn judge(&self) -> Result<(), HandshakeError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        if !response.parse(&self.head).is_ok_and(|status| status.is_complete()) {
            return Err(HandshakeError::Malformed);
        }
        match response.code {
            Some(101) => {}
            code => return Err(HandshakeError::Status(code.unwrap_or(0))),
        }
        let headers = &*response.headers;
        let accepted = header(headers, "sec-websocket-accept").map(<[u8]>::trim_ascii);
        let switched = has_token(headers, "upgrade", "websocket") && has_token(headers, "connection", "upgrade");
        if switched && accepted == Some(accept_key(self.key.as_bytes()).as_slice()) {
            Ok(())
        } else {
            Err(HandshakeError::NotAccepted)
        }
    }
}
