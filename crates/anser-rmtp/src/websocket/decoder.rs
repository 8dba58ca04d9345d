//! Cutting a WebSocket stream into messages.

use super::encode::{
    CONTROL_BYTES_MAX, FIN, MASKED, OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_PING, OP_PONG, OP_TEXT, apply_mask,
};

/// The status code of a close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down or moves.
    pub const GOING_AWAY: Self = Self(1001);
    /// The other side broke the framing.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of message that is not accepted here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is no UTF-8.
    pub const INVALID_TEXT: Self = Self(1007);
    /// Refused by policy.
    pub const POLICY: Self = Self(1008);
    /// A message over the limit.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL: Self = Self(1011);
    /// The server cannot serve this client now (registered with IANA after RFC 6455).
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Whether a peer may send this code.
    const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Why a stream cannot be cut any further. Each is final: say [`WebSocketError::close_code`], then close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// A reserved bit is set, though no extension was agreed on.
    #[error("frame with a reserved bit set")]
    ReservedBits,
    /// An opcode that does not exist.
    #[error("frame with the unknown opcode {0:#x}")]
    UnknownOpcode(u8),
    /// A client's frame that is not masked, or a server's that is.
    #[error("frame is masked on the wrong side")]
    Masking,
    /// A control frame that is fragmented or too long.
    #[error("control frame is fragmented or over {CONTROL_BYTES_MAX} bytes")]
    Control,
    /// A continuation without a beginning, or a new message within one.
    #[error("fragments out of order")]
    Fragments,
    /// A text message.
    #[error("text message")]
    Text,
    /// A message over the limit.
    #[error("message of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The message's length as far as it is known.
        size: u64,
        /// What is allowed.
        limit: u32,
    },
    /// A close frame with half a code, or one that must not be sent.
    #[error("close frame with a bad code")]
    CloseForm,
    /// A close frame whose reason is no UTF-8.
    #[error("close frame with a reason that is no text")]
    CloseReason,
}

impl WebSocketError {
    /// What to tell the other side.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Text => CloseCode::UNSUPPORTED,
            Self::TooLarge { .. } => CloseCode::TOO_LARGE,
            Self::CloseReason => CloseCode::INVALID_TEXT,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// What came. Borrows the read buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum WebSocketEvent<'a> {
    /// A binary message.
    Message(&'a [u8]),
    /// A ping; answer with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The other side closes. Answer with the same code unless we closed first; nothing more will be read.
    Close(Option<CloseCode>),
}

/// Cuts a stream into messages, and unmasks them. Between messages it owns no memory on the heap.
#[derive(Debug)]
pub struct WebSocketDecoder {
    /// Whether the frames of the other side must be masked.
    expects_mask: bool,
    closed: bool,
    message_bytes_max: u32,
    /// The bytes of a frame that is not complete yet.
    partial: Vec<u8>,
    /// The fragments of a message that is not complete yet, unmasked.
    fragments: Option<Vec<u8>>,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    opcode: u8,
    fin: bool,
    mask: Option<[u8; 4]>,
    start: usize,
    end: usize,
}

impl WebSocketDecoder {
    /// A decoder for what a client sends. Messages over `message_bytes_max` bytes are refused.
    pub const fn server(message_bytes_max: u32) -> Self {
        Self { expects_mask: true, closed: false, message_bytes_max, partial: Vec::new(), fragments: None }
    }

    /// A decoder for what a server sends.
    pub const fn client(message_bytes_max: u32) -> Self {
        Self { expects_mask: false, closed: false, message_bytes_max, partial: Vec::new(), fragments: None }
    }

    /// The bytes of memory that an incomplete message holds at present; 0 between messages.
    pub fn held_bytes(&self) -> usize {
        self.partial.capacity() + self.fragments.as_ref().map_or(0, Vec::capacity)
    }

    /// Takes the next bytes of the stream and hands everything that is complete now to `sink`, in order. The bytes are
    /// changed in place; an event borrows them, so the sink copies what it keeps. What comes after a close frame is dropped.
    /// An error of the stream or of the sink ends it: the decoder must not be used again after one.
    pub fn push<E: From<WebSocketError>>(
        &mut self,
        input: &mut [u8],
        mut sink: impl FnMut(WebSocketEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.resume(input, &mut sink)?;
        while !self.closed {
            let Some(head) = self.head(rest)? else { break };
            if rest.len() < head.end {
                break;
            }
            let (whole, after) = rest.split_at_mut(head.end);
            self.deliver(whole, head, &mut sink)?;
            rest = after;
        }
        if !rest.is_empty() && !self.closed {
            self.partial = rest.to_vec();
        }
        Ok(())
    }

    /// Gives the incomplete frame what belongs to it, and delivers it when that was all. Returns the bytes after it.
    fn resume<'i, E: From<WebSocketError>>(
        &mut self,
        mut rest: &'i mut [u8],
        sink: &mut impl FnMut(WebSocketEvent<'_>) -> Result<(), E>,
    ) -> Result<&'i mut [u8], E> {
        while !self.partial.is_empty() {
            let head = self.head(&self.partial)?;
            let missing = head.map_or(1, |head| head.end.saturating_sub(self.partial.len()));
            if let (Some(head), 0) = (head, missing) {
                let mut whole = std::mem::take(&mut self.partial);
                self.deliver(&mut whole, head, sink)?;
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

    /// Reads and judges the head of the first frame of these bytes; `None` while it is not complete.
    fn head(&self, bytes: &[u8]) -> Result<Option<Head>, WebSocketError> {
        let Some((&[first, second], after)) = bytes.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let opcode = first & 0x0f;
        let fin = first & FIN != 0;
        self.check(first, opcode, fin, second)?;
        let (length, length_bytes) = match second & 0x7f {
            126 => match after.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match after.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        let length = self.within_limit(length, opcode)?;
        let mask = match self.expects_mask {
            false => None,
            true => match after.get(length_bytes..).and_then(<[u8]>::first_chunk::<4>) {
                Some(mask) => Some(*mask),
                None => return Ok(None),
            },
        };
        let start = 2 + length_bytes + mask.map_or(0, |mask| mask.len());
        Ok(Some(Head { opcode, fin, mask, start, end: start + length }))
    }

    /// Judges the first two bytes of a frame.
    const fn check(&self, first: u8, opcode: u8, fin: bool, second: u8) -> Result<(), WebSocketError> {
        if first & 0x70 != 0 {
            return Err(WebSocketError::ReservedBits);
        }
        if (second & MASKED != 0) != self.expects_mask {
            return Err(WebSocketError::Masking);
        }
        match opcode {
            OP_TEXT => Err(WebSocketError::Text),
            OP_BINARY if self.fragments.is_some() => Err(WebSocketError::Fragments),
            OP_CONTINUATION if self.fragments.is_none() => Err(WebSocketError::Fragments),
            OP_BINARY | OP_CONTINUATION => Ok(()),
            OP_CLOSE | OP_PING | OP_PONG if !fin || second & 0x7f > 125 => Err(WebSocketError::Control),
            OP_CLOSE | OP_PING | OP_PONG => Ok(()),
            unknown => Err(WebSocketError::UnknownOpcode(unknown)),
        }
    }

    /// The length, if a message with this frame is within the limit. Control frames are no part of a message.
    fn within_limit(&self, length: u64, opcode: u8) -> Result<usize, WebSocketError> {
        let is_data = opcode < OP_CLOSE;
        let before = if is_data { self.fragments.as_ref().map_or(0, Vec::len) } else { 0 };
        let size = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(length);
        let limit = self.message_bytes_max;
        let within = !is_data || size <= u64::from(limit);
        usize::try_from(length).ok().filter(|_| within).ok_or(WebSocketError::TooLarge { size, limit })
    }

    /// Unmasks a whole frame and hands on what it completes.
    fn deliver<E: From<WebSocketError>>(
        &mut self,
        whole: &mut [u8],
        head: Head,
        sink: &mut impl FnMut(WebSocketEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let payload = whole.get_mut(head.start..head.end).unwrap_or_default();
        if let Some(mask) = head.mask {
            apply_mask(mask, payload);
        }
        match (head.opcode, head.fin) {
            (OP_BINARY, true) => sink(WebSocketEvent::Message(payload)),
            (OP_BINARY, false) => {
                self.fragments = Some(payload.to_vec());
                Ok(())
            }
            (OP_CONTINUATION, fin) => self.continuation(payload, fin, sink),
            (OP_PING, _) => sink(WebSocketEvent::Ping(payload)),
            (OP_PONG, _) => sink(WebSocketEvent::Pong(payload)),
            _ => {
                let code = close_code(payload)?;
                self.closed = true;
                self.fragments = None;
                sink(WebSocketEvent::Close(code))
            }
        }
    }

    fn continuation<E>(
        &mut self,
        payload: &[u8],
        fin: bool,
        sink: &mut impl FnMut(WebSocketEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(fragments) = &mut self.fragments {
            fragments.extend_from_slice(payload);
        }
        match self.fragments.take_if(|_| fin) {
            Some(message) => sink(WebSocketEvent::Message(&message)),
            None => Ok(()),
        }
    }
}

/// The code of a close frame's payload, if it has one.
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, WebSocketError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(WebSocketError::CloseForm)?;
    let code = CloseCode(u16::from_be_bytes(*code));
    if !code.may_be_sent() {
        return Err(WebSocketError::CloseForm);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(WebSocketError::CloseReason);
    }
    Ok(Some(code))
}
