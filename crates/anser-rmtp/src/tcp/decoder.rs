//! Cutting a TCP stream into frames.

use super::{LENGTH_BYTES_MAX, ObfuscationKey, SIGNATURE_LEN};
use crate::frame::{FrameKind, Header, PROTOCOL_NAME, RawFrame};

/// How large frames may be, in bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpLimits {
    /// The first frame, sent by somebody unknown.
    pub connect_bytes_max: u32,
    /// Every frame after it.
    pub frame_bytes_max: u32,
}

impl Default for TcpLimits {
    /// 4 KiB for CONNECT, 256 KiB for the rest.
    fn default() -> Self {
        Self { connect_bytes_max: 4 * 1024, frame_bytes_max: 256 * 1024 }
    }
}

/// Why a stream cannot be cut any further. Each is final: the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TcpError {
    /// The checksum of a head is wrong, so its length cannot be trusted and the next frame cannot be found.
    #[error("frame head has checksum {found:#04x} instead of {expected:#04x}")]
    Checksum {
        /// What the head says.
        found: u8,
        /// What its bytes give.
        expected: u8,
    },
    /// A length of more than four bytes.
    #[error("frame length has more than {LENGTH_BYTES_MAX} bytes")]
    LengthForm,
    /// A frame over the limit.
    #[error("frame of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The payload's length.
        size: usize,
        /// What is allowed.
        limit: u32,
    },
    /// The first frame is no CONNECT: another protocol, or an attack.
    #[error("stream does not begin with a connect frame")]
    NotConnect,
    /// A frame shorter than its fixed fields.
    #[error("{0:?} frame is shorter than its fixed fields")]
    TooShort(FrameKind),
}

/// The bytes of a CONNECT that are there whatever the client says: name, version, flags, keep-alive.
const CONNECT_BYTES_MIN: usize = PROTOCOL_NAME.len() + 4;

#[derive(Debug, Clone, Copy)]
enum Side {
    /// We are the server; the client has not said anything yet.
    ServerAtStart,
    /// We are the server, and know the client's key.
    Server(ObfuscationKey),
    /// We are the client.
    Client(ObfuscationKey),
}

/// Cuts a stream into frames, and uncovers their payloads. Between frames it owns no memory on the heap.
#[derive(Debug)]
pub struct TcpDecoder {
    side: Side,
    limits: TcpLimits,
    /// The bytes of a frame that is not complete yet.
    partial: Vec<u8>,
}

/// Where a frame's payload lies from the frame's first byte on.
#[derive(Debug, Clone, Copy)]
struct Extent {
    start: usize,
    end: usize,
}

impl TcpDecoder {
    /// A decoder for what a client sends. The first frame must be its CONNECT.
    pub const fn server(limits: TcpLimits) -> Self {
        Self { side: Side::ServerAtStart, limits, partial: Vec::new() }
    }

    /// A decoder for what a server sends to a client that writes under `key`.
    pub const fn client(key: ObfuscationKey, limits: TcpLimits) -> Self {
        Self { side: Side::Client(key), limits, partial: Vec::new() }
    }

    /// The connection's key; `None` until the CONNECT was there.
    pub const fn key(&self) -> Option<ObfuscationKey> {
        match self.side {
            Side::ServerAtStart => None,
            Side::Server(key) | Side::Client(key) => Some(key),
        }
    }

    /// The bytes of memory that an incomplete frame holds at present; 0 between frames.
    pub const fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Takes the next bytes of the stream and hands every frame that is complete now to `sink`, in order. The bytes are
    /// changed in place; a frame borrows them, so the sink copies what it keeps. An error of the stream or of the sink ends
    /// it: the decoder must not be used again after one.
    pub fn push<E: From<TcpError>>(
        &mut self,
        input: &mut [u8],
        mut sink: impl FnMut(RawFrame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.resume(input, &mut sink)?;
        while let Some(extent) = self.extent(rest)? {
            if rest.len() < extent.end {
                break;
            }
            let (whole, after) = rest.split_at_mut(extent.end);
            self.deliver(whole, extent, &mut sink)?;
            rest = after;
        }
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
        Ok(())
    }

    /// Gives the incomplete frame what belongs to it, and delivers it when that was all. Returns the bytes after it.
    fn resume<'i, E: From<TcpError>>(
        &mut self,
        mut rest: &'i mut [u8],
        sink: &mut impl FnMut(RawFrame<'_>) -> Result<(), E>,
    ) -> Result<&'i mut [u8], E> {
        while !self.partial.is_empty() {
            let extent = self.extent(&self.partial)?;
            let missing = extent.map_or(1, |extent| extent.end.saturating_sub(self.partial.len()));
            if let (Some(extent), 0) = (extent, missing) {
                let mut whole = std::mem::take(&mut self.partial);
                self.deliver(&mut whole, extent, sink)?;
                break;
            }
            if rest.is_empty() {
                break;
            }
            let (taken, after) = rest.split_at_mut(missing.min(rest.len()));
            self.partial.extend_from_slice(taken);
            rest = after;
        }
        Ok(rest)
    }

    /// Where the first frame of these bytes ends; `None` while that is not known.
    fn extent(&self, bytes: &[u8]) -> Result<Option<Extent>, TcpError> {
        let Some(&header) = bytes.first() else {
            return Ok(None);
        };
        let limit = match self.side {
            Side::ServerAtStart if Header(header).kind() != FrameKind::Connect => {
                return Err(TcpError::NotConnect);
            }
            Side::ServerAtStart => self.limits.connect_bytes_max,
            Side::Server(_) | Side::Client(_) => self.limits.frame_bytes_max,
        };
        let mut expected = header;
        let mut size = 0usize;
        for (place, &byte) in bytes.iter().skip(2).take(LENGTH_BYTES_MAX).enumerate() {
            expected ^= byte;
            size |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let found = bytes.get(1).copied().unwrap_or_default();
                if found != expected {
                    return Err(TcpError::Checksum { found, expected });
                }
                if u32::try_from(size).is_ok_and(|size| size <= limit) {
                    let start = 3 + place;
                    return Ok(Some(Extent { start, end: start + size }));
                }
                return Err(TcpError::TooLarge { size, limit });
            }
        }
        if bytes.len() >= 2 + LENGTH_BYTES_MAX { Err(TcpError::LengthForm) } else { Ok(None) }
    }

    /// Uncovers a whole frame and hands it on.
    fn deliver<E: From<TcpError>>(
        &mut self,
        whole: &mut [u8],
        extent: Extent,
        sink: &mut impl FnMut(RawFrame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let header = Header(whole.first().copied().unwrap_or_default());
        let kind = header.kind();
        let payload = whole.get_mut(extent.start..extent.end).unwrap_or_default();
        let (key, signed) = match self.side {
            Side::ServerAtStart => (self.learn_key(payload)?, false),
            Side::Server(key) => (key, matches!(kind, FrameKind::Publish | FrameKind::Query)),
            Side::Client(key) => (key, kind == FrameKind::Publish),
        };
        let covered = if signed { SIGNATURE_LEN } else { 0 };
        let payload = payload.get_mut(covered..).ok_or(TcpError::TooShort(kind))?;
        key.apply(payload);
        sink(RawFrame { header, payload })
    }

    fn learn_key(&mut self, payload: &[u8]) -> Result<ObfuscationKey, TcpError> {
        let too_short = TcpError::TooShort(FrameKind::Connect);
        if payload.len() < CONNECT_BYTES_MIN {
            return Err(too_short);
        }
        let key = ObfuscationKey::from_connect(payload.first_chunk().ok_or(too_short)?);
        self.side = Side::Server(key);
        Ok(key)
    }
}
