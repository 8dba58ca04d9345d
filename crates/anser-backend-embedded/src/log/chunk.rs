//! A piece of a segment in memory, cut into frames. The bodies that it hands out share its memory: nothing is copied, and
//! the piece lives as long as any of them.

use std::io;

use anser_types::LogId;
use bytes::Bytes;

use super::files::{LogFile, read_block};
use super::frame::{FrameHeader, HEADER_LEN, Salt};

/// An open segment, as a reader needs it.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) salt: Salt,
    pub(super) file: std::sync::Arc<dyn LogFile>,
}

/// Whole frames from one place on.
#[derive(Debug)]
pub(super) struct Chunk {
    salt: Salt,
    bytes: Bytes,
    /// Where the next frame lies in the segment, and in `bytes`.
    position: u32,
    at: usize,
}

/// One frame of a chunk.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    body: usize,
}

/// Why a chunk does not come.
#[derive(Debug)]
pub(super) enum ChunkFault {
    Io(io::Error),
    /// No whole frame lies at this position, though one was durable there.
    Damaged(u32),
}

impl SegmentFile {
    pub(super) fn new(log: LogId, number: u64, file: std::sync::Arc<dyn LogFile>) -> Self {
        Self { number, salt: Salt::of(log, number), file }
    }

    /// Reads about `len` bytes from `position` on, never beyond `end`, and at least one frame.
    pub(super) fn chunk(&self, position: u32, end: u32, len: usize) -> Result<Chunk, ChunkFault> {
        let durable = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        let read = |len: usize| read_block(&*self.file, u64::from(position), len.min(durable)).map_err(ChunkFault::Io);
        let mut bytes = read(len.max(HEADER_LEN))?;
        let first = FrameHeader::decode(self.salt, position, &bytes).map_err(|_| ChunkFault::Damaged(position))?;
        let first_len = usize::try_from(first.frame_len()).unwrap_or(usize::MAX);
        if first_len > bytes.len() {
            bytes = read(first_len)?;
        }
        if first_len > bytes.len() {
            return Err(ChunkFault::Damaged(position));
        }
        Ok(Chunk { salt: self.salt, bytes: bytes.into(), position, at: 0 })
    }
}

impl Chunk {
    /// Where the next frame lies.
    pub(super) fn position(&self) -> u32 {
        self.position
    }

    /// The next frame without checking its body; `None` where the chunk has no further whole frame.
    pub(super) fn peek(&self) -> Result<Option<Frame>, ChunkFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.len() < HEADER_LEN {
            return Ok(None);
        }
        let header =
            FrameHeader::decode(self.salt, self.position, rest).map_err(|_| ChunkFault::Damaged(self.position))?;
        let whole = header.frame_len() <= rest.len() as u64;
        Ok(whole.then_some(Frame { header, body: self.at + HEADER_LEN }))
    }

    /// Steps over the frame that was peeked at.
    pub(super) fn skip(&mut self, frame: &Frame) {
        // A frame that was peeked at lies in the chunk, so its length is that of something in memory.
        let len = u32::try_from(frame.header.frame_len()).unwrap_or(u32::MAX);
        self.position = self.position.saturating_add(len);
        self.at = self.at.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
    }

    /// The body of the frame that was peeked at, checked.
    pub(super) fn body(&self, frame: &Frame) -> Result<Bytes, ChunkFault> {
        let len = usize::try_from(frame.header.body_len).unwrap_or(usize::MAX);
        let body = self.bytes.slice(frame.body..frame.body.saturating_add(len));
        if frame.header.matches(&body) { Ok(body) } else { Err(ChunkFault::Damaged(self.position)) }
    }
}
