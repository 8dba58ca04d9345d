//! Frames that wait to be sent, in batches of a handy size.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::codec::{BATCH_BYTES, BATCH_BYTES_MAX};
use crate::wire::Frame;

/// Appends frames to batches; takes whole batches from the front. What bounds it is written where it is filled.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    full: VecDeque<BytesMut>,
    last: BytesMut,
    bytes: usize,
}

impl Chunks {
    pub(crate) fn put(&mut self, frame: &Frame) {
        let before = self.last.len();
        frame.put(&mut self.last);
        self.put_done(before);
    }

    fn put_done(&mut self, before: usize) {
        self.bytes += self.last.len() - before;
        if self.last.len() >= BATCH_BYTES {
            self.full.push_back(std::mem::take(&mut self.last));
        }
    }

    /// Puts a frame unless it is larger than any batch that the other side reads.
    pub(crate) fn try_put(&mut self, frame: &Frame) -> bool {
        let before = self.last.len();
        frame.put(&mut self.last);
        if self.last.len() - before > BATCH_BYTES_MAX - BATCH_BYTES {
            self.last.truncate(before);
            return false;
        }
        self.put_done(before);
        true
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let batch = match self.full.pop_front() {
            Some(batch) => batch,
            None if self.last.is_empty() => return None,
            None => std::mem::take(&mut self.last),
        };
        self.bytes = self.bytes.saturating_sub(batch.len());
        Some(batch.freeze())
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
