//! Writing WebSocket frames.

use super::CloseCode;

/// The longest payload of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

pub(super) const FIN: u8 = 0x80;
pub(super) const MASKED: u8 = 0x80;
pub(super) const OP_CONTINUATION: u8 = 0x0;
pub(super) const OP_TEXT: u8 = 0x1;
pub(super) const OP_BINARY: u8 = 0x2;
pub(super) const OP_CLOSE: u8 = 0x8;
pub(super) const OP_PING: u8 = 0x9;
pub(super) const OP_PONG: u8 = 0xa;

/// Which side of a connection we are. A client masks what it writes, a server does not, and each demands that of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We accepted the connection.
    Server,
    /// We opened it. The mask is for the one frame that is written with it.
    Client {
        /// Unpredictable, and fresh for each frame.
        mask: [u8; 4],
    },
}

/// Appends the head of a binary message of `length` bytes, and makes room for the message itself.
pub(crate) fn put_message_head(length: usize, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    out.reserve(14 + length);
    put_head(OP_BINARY, length, mask, out);
}

fn put_head(opcode: u8, length: usize, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    let masked = if mask.is_some() { MASKED } else { 0 };
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
}

/// Masks a payload, or unmasks it: the same operation.
pub(crate) fn apply_mask(mask: [u8; 4], payload: &mut [u8]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    tail.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

fn put_control(opcode: u8, payload: &[u8], role: Role, out: &mut Vec<u8>) {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    let mask = match role {
        Role::Server => None,
        Role::Client { mask } => Some(mask),
    };
    put_head(opcode, payload.len(), mask, out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(written)) = (mask, out.get_mut(start..)) {
        apply_mask(mask, written);
    }
}

/// Appends a ping. Of a payload over 125 bytes only these are written.
pub fn put_ping(payload: &[u8], role: Role, out: &mut Vec<u8>) {
    put_control(OP_PING, payload, role, out);
}

/// Appends the answer to a ping with this payload.
pub fn put_pong(payload: &[u8], role: Role, out: &mut Vec<u8>) {
    put_control(OP_PONG, payload, role, out);
}

/// Appends a close frame, without a reason text. Nothing may be written after it.
pub fn put_close(code: CloseCode, role: Role, out: &mut Vec<u8>) {
    put_control(OP_CLOSE, &code.0.to_be_bytes(), role, out);
}
