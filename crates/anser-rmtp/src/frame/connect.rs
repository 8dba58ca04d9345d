//! CONNECT: the first frame of a TCP connection. WebSocket connections say the same in their URL.

use std::fmt;

use super::{FrameError, FrameKind};
use crate::wire::{Reader, Truncated, put_text, text_len};

/// How the plain payload of every CONNECT begins: the protocol's name as a text field.
pub(crate) const PROTOCOL_NAME: [u8; 8] = *b"\x00\x06RCloud";

const HAS_APP: u8 = 0x80;
const HAS_TOKEN: u8 = 0x40;
const HAS_WILL: u8 = 0x04;
/// The second flags byte that clients of version 4 write; its meaning is not known.
const SECOND_FLAGS: u8 = 0x80;
/// From this version on a second flags byte and a trailer are there.
const VERSION_WITH_TRAILER: u8 = 4;
const TRAILER_LEN: usize = 8;
const KEEP_ALIVE: u16 = 0x0a00;
const WILL_TOPIC: &str = "RongIMClient";

/// What a client says about itself. `Debug` leaves the token out.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The protocol version, 3 or 4.
    pub version: u8,
    /// The installation that connects.
    pub client_id: String,
    /// `{platform}-{device}-{sdk version}`; empty if the client names none.
    pub will: String,
    /// The app.
    pub app_key: String,
    /// The token, as it came.
    pub token: String,
}

impl Connect {
    pub(super) fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let rest = payload.strip_prefix(&PROTOCOL_NAME).ok_or(FrameError::NotRmtp)?;
        Self::fields(Reader::new(rest)).map_err(FrameError::truncated(FrameKind::Connect))
    }

    fn fields(mut reader: Reader<'_>) -> Result<Self, Truncated> {
        let version = reader.u8()?;
        let flags = reader.u8()?;
        if version >= VERSION_WITH_TRAILER {
            reader.u8()?;
        }
        reader.u16()?;
        let client_id = reader.text()?.into_owned();
        let mut will = String::new();
        if flags & HAS_WILL != 0 {
            reader.text_bytes()?;
            will = reader.text()?.into_owned();
        }
        let mut present = |flag| {
            if flags & flag != 0 { reader.text() } else { Ok("".into()) }
        };
        let app_key = present(HAS_APP)?.into_owned();
        let token = present(HAS_TOKEN)?.into_owned();
        Ok(Self { version, client_id, will, app_key, token })
    }

    pub(super) fn texts(&self) -> [&str; 4] {
        [&self.client_id, &self.will, &self.app_key, &self.token]
    }

    pub(super) fn encoded_len(&self) -> usize {
        let extra = if self.version >= VERSION_WITH_TRAILER { 1 + TRAILER_LEN } else { 0 };
        PROTOCOL_NAME.len()
            + 4
            + text_len(WILL_TOPIC)
            + self.texts().iter().map(|text| text_len(text)).sum::<usize>()
            + extra
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PROTOCOL_NAME);
        out.extend_from_slice(&[self.version, HAS_APP | HAS_TOKEN | HAS_WILL]);
        if self.version >= VERSION_WITH_TRAILER {
            out.push(SECOND_FLAGS);
        }
        out.extend_from_slice(&KEEP_ALIVE.to_be_bytes());
        put_text(out, &self.client_id);
        put_text(out, WILL_TOPIC);
        put_text(out, &self.will);
        put_text(out, &self.app_key);
        put_text(out, &self.token);
        if self.version >= VERSION_WITH_TRAILER {
            out.extend_from_slice(&[0; TRAILER_LEN]);
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("app_key", &self.app_key)
            .finish_non_exhaustive()
    }
}
