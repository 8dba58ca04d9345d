//! The framing of TCP connections: cutting a byte stream into frames, and the head that goes before each.
//!
//! `header byte | checksum | length | payload`. The length is a varint of 7-bit groups, low first, and counts the payload;
//! the checksum is the exclusive or of the header byte and all bytes of the length. The payload is hidden under a key of
//! eight bytes that the server finds in the client's CONNECT. The two requests of a client and a server's PUBLISH begin
//! with eight bytes of signature that no key covers; nobody can check them.
//!
//! Knows nothing of what a frame means, and holds no memory between frames.

mod decoder;
mod obfuscation;
#[cfg(test)]
mod tests;

pub use decoder::{TcpDecoder, TcpError, TcpLimits};
pub use obfuscation::ObfuscationKey;

use crate::frame::Header;

/// The bytes before a signed payload.
pub(crate) const SIGNATURE_LEN: usize = 8;
/// The most bytes that a length may have.
const LENGTH_BYTES_MAX: usize = 4;
/// The longest payload that four length bytes can say.
const PAYLOAD_MAX: usize = (1 << (7 * LENGTH_BYTES_MAX)) - 1;

/// What goes before a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    bytes: [u8; 2 + LENGTH_BYTES_MAX],
    used: usize,
}

impl Head {
    /// The head of a payload with this many bytes; `None` if no head can say so many.
    pub(crate) fn new(header: Header, payload_len: usize) -> Option<Self> {
        if payload_len > PAYLOAD_MAX {
            return None;
        }
        let mut bytes = [header.0; 2 + LENGTH_BYTES_MAX];
        let mut used = 2;
        let mut left = payload_len;
        for byte in bytes.iter_mut().skip(2) {
            let group = u8::try_from(left & 0x7f).unwrap_or(0);
            left >>= 7;
            *byte = group | if left > 0 { 0x80 } else { 0 };
            used += 1;
            if left == 0 {
                break;
            }
        }
        bytes[1] = bytes.get(2..used)?.iter().fold(header.0, |sum, byte| sum ^ byte);
        Some(Self { bytes, used })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}
