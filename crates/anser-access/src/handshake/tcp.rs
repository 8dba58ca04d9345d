//! The beginning of a TCP connection: the client's CONNECT.

use anser_rmtp::{ClientFrame, RawFrame, SignIn, TcpDecoder, TcpLimits};

use super::{Framing, Greeting, HandshakeError, Io, READ_BYTES, keep, read};
use crate::services::Services;

pub(super) async fn greet(mut io: Io, services: &Services) -> Result<Greeting, HandshakeError> {
    let limits = TcpLimits { frame_bytes_max: services.config.frame_bytes_max, ..TcpLimits::default() };
    let mut decoder = TcpDecoder::server(limits);
    let mut sign_in = None;
    let mut early = Vec::new();
    let mut buffer = [0; READ_BYTES];
    loop {
        let input = read(&mut io, &mut buffer).await?;
        decoder.push(input, |raw: RawFrame<'_>| match (ClientFrame::decode(raw), &sign_in) {
            (Ok(ClientFrame::Connect(connect)), None) => {
                sign_in = Some(SignIn::from_connect(*connect));
                Ok(())
            }
            (frame, _) => keep(&mut early, frame),
        })?;
        if let Some(sign_in) = sign_in {
            return Ok(Greeting { io, framing: Framing::tcp(decoder), sign_in, early, before: Vec::new() });
        }
        // The decoder lets nothing through before a CONNECT.
    }
}
