//! From an accepted socket to a signed-in session.
//!
//! Runs on the heap and is gone afterwards, so that what it needs costs an open connection nothing. Everything in it has one
//! time limit, which the caller sets.

mod tcp;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use anser_core::terminal::{Identity, Terminal};
use anser_rmtp::frame::{ConnAckRef, EncodeError};
use anser_rmtp::websocket::{CloseCode, Role, WebSocketDecoder, WebSocketError, put_close};
use anser_rmtp::{
    ClientFrame, FrameError, ServerFrameRef, ServerTransport, SignIn, TcpDecoder, TcpError, encode_server_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::connection::Connection;
use crate::io::{Io, poll_goodbye};
use crate::metrics::Transport;
use crate::services::Services;
use crate::session::{Framing, Session};
use crate::sign_in::{Denial, sign_in};

/// The bytes that are read at once before a client is signed in.
const READ_BYTES: usize = 2048;
/// Frames that may come before the CONNACK; published clients wait for it.
const EARLY_FRAMES_MAX: usize = 64;
/// How long a refused client may take to close.
const GOODBYE: Duration = Duration::from_secs(2);

/// Which protocol a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tcp,
    WebSocket,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("socket failed")]
    Io(#[from] std::io::Error),
    #[error("client went before it signed in")]
    Gone,
    #[error("stream is malformed")]
    Tcp(#[from] TcpError),
    #[error("websocket is malformed")]
    WebSocket(#[from] WebSocketError),
    #[error("frame is malformed")]
    Frame(#[from] FrameError),
    #[error("a request other than an upgrade was answered")]
    Answered,
    #[error("too many frames before the sign-in")]
    TooEarly,
    #[error("sign-in was denied")]
    Denied,
    #[error("acknowledgement could not be written")]
    Encode(#[from] EncodeError),
}

/// What the first bytes of a connection came to.
struct Greeting {
    io: Io,
    framing: Framing,
    sign_in: SignIn,
    /// Frames that came too early; they are handled once the client is signed in.
    early: Vec<ClientFrame>,
    /// What goes out before the CONNACK.
    before: Vec<u8>,
}

/// Greets a client and signs it in.
pub(crate) async fn open(io: Io, speaks: Speaks, services: Arc<Services>) -> Result<Session, HandshakeError> {
    let greeting = match speaks {
        Speaks::Tcp => tcp::greet(io, &services).await?,
        Speaks::WebSocket => websocket::greet(io, &services).await?,
    };
    let transport = Transport::of(speaks, &greeting.io);
    match sign_in(&services, &greeting.sign_in, transport).await {
        Ok(entry) => {
            services.registry.metrics.signed_in();
            let parts = accept(greeting, &services, &entry.connection)?;
            Ok(Session::new(services, entry, parts))
        }
        Err(denial) => {
            services.registry.metrics.sign_in_denied(denial);
            turn_away(greeting, denial).await
        }
    }
}

/// The parts of a session, with the CONNACK as the first bytes to be written.
fn accept(
    greeting: Greeting,
    services: &Services,
    connection: &Connection,
) -> Result<crate::session::Parts, HandshakeError> {
    let Greeting { io, framing, sign_in, early, before } = greeting;
    let identity =
        Identity { user: connection.user.clone(), connection: connection.id, device: connection.device.clone() };
    let terminal = Terminal::new(identity, connection.generation, Arc::clone(&services.terminal));
    let mut first = before;
    let accepted = ConnAckRef::Accepted {
        form: sign_in.connack_form,
        user_id: connection.user.user.as_str(),
        session_id: &connection.id.to_string(),
        time: services.clock.now(),
        first_message_id: Some(1),
    };
    encode_server_frame(&ServerFrameRef::ConnAck(accepted), framing.transport(), &mut first)?;
    Ok(crate::session::Parts { io, framing, terminal, early, first })
}

/// Tells a client that it is refused. One that cannot be let in now is told nothing: published clients take every CONNACK but
/// the accepting one for final (5.x also "server unavailable"), and come back by themselves, every five seconds, after a
/// connection that ends without one.
async fn turn_away(greeting: Greeting, denial: Denial) -> Result<Session, HandshakeError> {
    let Greeting { io, framing, sign_in, before, .. } = greeting;
    tracing::debug!(?sign_in, ?denial, "sign-in denied");
    let mut bytes = before;
    let close = match denial {
        Denial::Refused(status) => {
            let status = status.understood_up_to(sign_in.generation.connack_code_max);
            let refusal = ServerFrameRef::ConnAck(ConnAckRef::Refused(status));
            encode_server_frame(&refusal, framing.transport(), &mut bytes)?;
            CloseCode::NORMAL
        }
        Denial::NotNow => CloseCode::TRY_AGAIN_LATER,
    };
    if matches!(framing, Framing::WebSocket(_)) {
        put_close(close, Role::Server, &mut bytes);
    }
    say_goodbye(io, &bytes).await?;
    Err(HandshakeError::Denied)
}

/// Writes the last bytes of a connection and sees them off.
async fn say_goodbye(mut io: Io, bytes: &[u8]) -> std::io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await?;
    let mut scratch = [0; 256];
    let gone = std::future::poll_fn(|cx| poll_goodbye(&mut io, cx, &mut scratch));
    // A client that does not close is closed by us.
    tokio::time::timeout(GOODBYE, gone).await.ok();
    Ok(())
}

/// Reads what comes next.
async fn read<'b>(io: &mut Io, buffer: &'b mut [u8; READ_BYTES]) -> Result<&'b mut [u8], HandshakeError> {
    match io.read(buffer).await? {
        0 => Err(HandshakeError::Gone),
        count => Ok(buffer.get_mut(..count).unwrap_or_default()),
    }
}

/// Keeps a frame that came before the client was signed in.
fn keep(early: &mut Vec<ClientFrame>, frame: Result<ClientFrame, FrameError>) -> Result<(), HandshakeError> {
    match frame {
        Ok(_) if early.len() >= EARLY_FRAMES_MAX => Err(HandshakeError::TooEarly),
        Ok(frame) => {
            early.push(frame);
            Ok(())
        }
        Err(error) if error.is_fatal() => Err(error.into()),
        Err(_) => Ok(()),
    }
}

impl Framing {
    fn tcp(decoder: TcpDecoder) -> Self {
        Self::Tcp(decoder)
    }

    fn websocket(decoder: WebSocketDecoder) -> Self {
        Self::WebSocket(decoder)
    }

    /// What carries our frames. A TCP client's key is known once its CONNECT was read.
    pub(crate) fn transport(&self) -> ServerTransport {
        match self {
            Self::Tcp(decoder) => ServerTransport::Tcp(decoder.key().unwrap_or(anser_rmtp::ObfuscationKey::V3)),
            Self::WebSocket(_) => ServerTransport::WebSocket,
        }
    }
}
