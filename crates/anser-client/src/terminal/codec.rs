//! Frames to bytes and back, for each transport.

use anser_rmtp::frame::ConnAckForm;
use anser_rmtp::websocket::{CloseCode, Role, WebSocketDecoder, WebSocketError, WebSocketEvent, put_close, put_pong};
use anser_rmtp::{
    ClientFrame, ClientTransport, FrameError, ObfuscationKey, RawFrame, ServerFrame, TcpDecoder, TcpError, TcpLimits,
    encode_client_frame,
};

/// The largest frame that a server may send: a full pull answer and room for its head.
const FRAME_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Why a stream cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    #[error(transparent)]
    Tcp(#[from] TcpError),
    #[error(transparent)]
    WebSocket(#[from] WebSocketError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The server closed the WebSocket.
    #[error("websocket was closed by the server")]
    Closed,
}

/// The framing of one connection.
#[derive(Debug)]
pub(super) enum Codec {
    Tcp { decoder: TcpDecoder, key: ObfuscationKey },
    WebSocket { decoder: WebSocketDecoder, masks: Masks },
}

/// Makes the masks that WebSocket demands of clients: from a random start, so that nobody else can foresee them.
#[derive(Debug)]
pub(super) struct Masks(u64);

impl Masks {
    pub(super) const fn new(start: u64) -> Self {
        Self(start | 1)
    }

    /// xorshift64*: cheap, and never the same twice in a row.
    fn next(&mut self) -> [u8; 4] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [a, b, c, d, ..] = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        [a, b, c, d]
    }
}

impl Codec {
    pub(super) const fn tcp(key: ObfuscationKey) -> Self {
        let limits = TcpLimits { connect_bytes_max: 0, frame_bytes_max: FRAME_BYTES_MAX };
        Self::Tcp { decoder: TcpDecoder::client(key, limits), key }
    }

    pub(super) const fn websocket(masks: Masks) -> Self {
        Self::WebSocket { decoder: WebSocketDecoder::client(FRAME_BYTES_MAX), masks }
    }

    /// Appends a frame. One that the wire cannot carry is left out: the session's own frames all fit, and what an
    /// application sends is bounded by its ids and the server's limit.
    pub(super) fn encode(&mut self, frame: &ClientFrame, out: &mut Vec<u8>) {
        let transport = match self {
            Self::Tcp { key, .. } => ClientTransport::Tcp(*key),
            Self::WebSocket { masks, .. } => ClientTransport::WebSocket { mask: masks.next() },
        };
        if let Err(error) = encode_client_frame(frame, transport, out) {
            tracing::warn!(%error, "frame left out");
        }
    }

    /// Takes bytes and hands on the frames that are complete; what the transport itself answers is appended to `out`.
    pub(super) fn decode(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        mut frame: impl FnMut(ServerFrame),
    ) -> Result<(), CodecError> {
        let mut deliver = |raw: RawFrame<'_>| match ServerFrame::decode(raw, ConnAckForm::V4) {
            Ok(read) => {
                frame(read);
                Ok(())
            }
            Err(error) if error.is_fatal() => Err(CodecError::Frame(error)),
            Err(_) => Ok(()),
        };
        match self {
            Self::Tcp { decoder, .. } => decoder.push(input, deliver),
            Self::WebSocket { decoder, masks } => decoder.push(input, |event| match event {
                WebSocketEvent::Message(message) => deliver(RawFrame::from_message(message)?),
                WebSocketEvent::Ping(payload) => {
                    put_pong(payload, Role::Client { mask: masks.next() }, out);
                    Ok(())
                }
                WebSocketEvent::Pong(_) => Ok(()),
                WebSocketEvent::Close(code) => {
                    let role = Role::Client { mask: masks.next() };
                    put_close(code.unwrap_or(CloseCode::NORMAL), role, out);
                    Err(CodecError::Closed)
                }
            }),
        }
    }
}
