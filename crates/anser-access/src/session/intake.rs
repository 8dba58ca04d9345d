//! Takes in what a client sent, frame by frame.

use anser_core::terminal::{Close, Event, Terminal};
use anser_rmtp::websocket::{CloseCode, Role, WebSocketError, WebSocketEvent, put_pong};
use anser_rmtp::{ClientFrame, FrameError, RawFrame, TcpError};
use anser_types::Timestamp;

use super::Shell;

/// How a client broke the protocol. The connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Tcp(#[from] TcpError),
    #[error("{0}")]
    WebSocket(#[from] WebSocketError),
    #[error("{0}")]
    Frame(#[from] FrameError),
}

impl Fault {
    pub(super) const fn close_code(&self) -> CloseCode {
        match self {
            Self::WebSocket(error) => error.close_code(),
            Self::Tcp(_) | Self::Frame(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}

pub(super) struct Intake<'s> {
    pub(super) terminal: &'s mut Terminal,
    pub(super) shell: Shell<'s>,
    pub(super) now: Timestamp,
}

impl Intake<'_> {
    pub(super) fn frame(&mut self, raw: RawFrame<'_>) -> Result<(), Fault> {
        match ClientFrame::decode(raw) {
            Ok(frame) => {
                self.terminal.handle(Event::Frame(frame), self.now, &mut self.shell);
                Ok(())
            }
            Err(error) if error.is_fatal() => Err(error.into()),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn event(&mut self, event: WebSocketEvent<'_>) -> Result<(), Fault> {
        match event {
            WebSocketEvent::Message(message) => self.frame(RawFrame::from_message(message)?),
            WebSocketEvent::Ping(payload) => {
                put_pong(payload, Role::Server, self.shell.out);
                Ok(())
            }
            WebSocketEvent::Pong(_) => Ok(()),
            WebSocketEvent::Close(_) => {
                *self.shell.close = Some(Close::Quiet);
                Ok(())
            }
        }
    }
}
