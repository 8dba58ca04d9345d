//! The buffers of a thread, lent to whichever connection is polled on it.

use std::cell::Cell;

use anser_cluster::Publish;

const INPUT_BYTES: usize = 64 * 1024;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

thread_local! {
    static KEPT: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Empty, but for what the input buffer last held.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) input: Vec<u8>,
    /// What goes out at the end of the turn.
    pub(super) out: Vec<u8>,
    /// A body on its way into a frame.
    pub(super) body: Vec<u8>,
    /// The publishes of the turn.
    pub(super) publishes: Vec<Publish>,
}

impl Scratch {
    /// Borrows the thread's buffers, or makes new ones while those are lent.
    pub(super) fn take() -> Box<Self> {
        KEPT.take().unwrap_or_else(|| {
            Box::new(Self { input: vec![0; INPUT_BYTES], out: Vec::new(), body: Vec::new(), publishes: Vec::new() })
        })
    }

    pub(super) fn give_back(mut self: Box<Self>) {
        self.out.clear();
        self.body.clear();
        self.publishes.clear();
        for buffer in [&mut self.out, &mut self.body] {
            if buffer.capacity() > KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        KEPT.set(Some(self));
    }
}
