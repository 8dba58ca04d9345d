//! Reading a body that a client sent, without letting two bytes on the wire become a hundred in memory without end.

use bytes::{Buf as _, Bytes};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

/// What a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Its size.
    pub bytes_max: usize,
    /// Its fields, repeated ones counted one by one, at the outermost level.
    pub fields_max: usize,
}

impl Default for BodyLimits {
    /// What any query fits in: 64 KiB, 5,000 fields. Fields within fields are not counted; the size
    /// bounds them. A publish may be larger, and names its own limits.
    fn default() -> Self {
        Self { bytes_max: 64 * 1024, fields_max: 5_000 }
    }
}

/// Why a body could not be read. The request is answered with a status; the connection goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over [`BodyLimits::bytes_max`].
    #[error("body of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The body's size.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Over [`BodyLimits::fields_max`].
    #[error("body has more than {0} fields")]
    TooManyFields(usize),
    /// No such message.
    #[error("body is not the message that its topic asks for")]
    Malformed(#[source] prost::DecodeError),
}

/// Reads a body within the default limits. Fields of type `Bytes` share the memory of `body`.
pub fn decode<M: Message + Default>(body: Bytes) -> Result<M, BodyError> {
    decode_within(body, BodyLimits::default())
}

/// Reads a body within limits. Fields of type `Bytes` share the memory of `body`.
pub fn decode_within<M: Message + Default>(body: Bytes, limits: BodyLimits) -> Result<M, BodyError> {
    if body.len() > limits.bytes_max {
        return Err(BodyError::TooLarge { size: body.len(), limit: limits.bytes_max });
    }
    // A field takes two bytes or more: most bodies are too short to hold too many, and need no counting.
    if body.len() / 2 > limits.fields_max {
        count_fields(&body, limits.fields_max)?;
    }
    M::decode(body).map_err(BodyError::Malformed)
}

fn count_fields(mut rest: &[u8], fields_max: usize) -> Result<(), BodyError> {
    let mut count = 0usize;
    while rest.has_remaining() {
        count += 1;
        if count > fields_max {
            return Err(BodyError::TooManyFields(fields_max));
        }
        let (_, wire_type) = decode_key(&mut rest).map_err(BodyError::Malformed)?;
        let skipped = match wire_type {
            WireType::Varint => decode_varint(&mut rest).map(|_| 0).map_err(BodyError::Malformed)?,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => decode_varint(&mut rest).map_err(BodyError::Malformed)?,
            // Groups are not used by any client: what is in one counts as if it were outside.
            WireType::StartGroup | WireType::EndGroup => 0,
        };
        let Some(after) = usize::try_from(skipped).ok().and_then(|skipped| rest.get(skipped..)) else {
            return Ok(());
        };
        rest = after;
    }
    Ok(())
}
