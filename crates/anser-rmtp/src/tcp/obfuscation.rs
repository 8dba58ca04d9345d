//! The key under which payloads are hidden. It protects nothing: it is found in the first frame. TLS is what protects.

use crate::frame::PROTOCOL_NAME;

/// Eight bytes that every payload of a connection is combined with, from its first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObfuscationKey([u8; 8]);

impl ObfuscationKey {
    /// The key of all clients that speak version 3.
    pub const V3: Self = Self([0x6c, 0x4d, 0x15, 0x21, 0x10, 0x27, 0x16, 0x77]);

    /// A key of our own choice, as clients of version 4 make one for each connection.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Finds the key from the first eight bytes of a CONNECT's payload, since those are always the same when plain.
    pub(super) fn from_connect(start: &[u8; 8]) -> Self {
        let mut key = *start;
        key.iter_mut().zip(PROTOCOL_NAME).for_each(|(byte, plain)| *byte ^= plain);
        Self(key)
    }

    /// Hides a payload, or uncovers it: the same operation.
    pub fn apply(self, payload: &mut [u8]) {
        let word = u64::from_ne_bytes(self.0);
        let (words, tail) = payload.as_chunks_mut::<8>();
        for chunk in words {
            *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
        }
        tail.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
    }
}
