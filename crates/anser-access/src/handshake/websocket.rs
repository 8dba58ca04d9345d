//! The beginning of a WebSocket connection: an HTTP request. Also the speed test, which is nothing but one.

use anser_rmtp::websocket::{
    HttpRequest, PING_RESPONSE, RequestReader, UpgradeRequest, WebSocketDecoder, WebSocketEvent,
};
use anser_rmtp::{ClientFrame, RawFrame, SignIn};

use super::{Framing, Greeting, HandshakeError, Io, READ_BYTES, keep, read, say_goodbye};
use crate::services::Services;

pub(super) async fn greet(mut io: Io, services: &Services) -> Result<Greeting, HandshakeError> {
    let mut reader = RequestReader::new();
    let mut buffer = [0; READ_BYTES];
    loop {
        let input = read(&mut io, &mut buffer).await?;
        let (request, used) = match reader.push(input) {
            Ok(None) => continue,
            Ok(Some(complete)) => complete,
            Err(refusal) => return answer(io, refusal.response()).await,
        };
        return match request {
            HttpRequest::Ping => answer(io, PING_RESPONSE).await,
            HttpRequest::Upgrade(upgrade) => {
                upgraded(io, *upgrade, input.get_mut(used..).unwrap_or_default(), services)
            }
        };
    }
}

async fn answer(io: Io, response: &[u8]) -> Result<Greeting, HandshakeError> {
    say_goodbye(io, response).await?;
    Err(HandshakeError::Answered)
}

/// The WebSocket is open whoever asks: a refusal is told by a CONNACK.
fn upgraded(io: Io, upgrade: UpgradeRequest, rest: &mut [u8], services: &Services) -> Result<Greeting, HandshakeError> {
    let mut before = Vec::with_capacity(256);
    upgrade.put_response(&mut before);
    let mut decoder = WebSocketDecoder::server(services.config.frame_bytes_max);
    let mut early = Vec::new();
    decoder.push(rest, |event| match event {
        WebSocketEvent::Message(message) => {
            keep(&mut early, RawFrame::from_message(message).and_then(ClientFrame::decode))
        }
        WebSocketEvent::Ping(_) | WebSocketEvent::Pong(_) => Ok(()),
        WebSocketEvent::Close(_) => Err(HandshakeError::Gone),
    })?;
    Ok(Greeting { io, framing: Framing::websocket(decoder), sign_in: SignIn::from_query(upgrade.query), early, before })
}
