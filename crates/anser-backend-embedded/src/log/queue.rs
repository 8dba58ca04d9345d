//! Where appends wait for the next commit. Bounded in bytes; policy when full: refuse as retryable, at the call, so that the
//! order of calls is the order in the log and nobody waits in a second line in front of this one.

use std::collections::VecDeque;

use anser_backend::AppendError;
use anser_types::{Offset, PartitionId};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// One call of `append`, waiting.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) partition: PartitionId,
    /// Where the first record must land, if the caller demands it.
    pub(super) expected: Option<Offset>,
    pub(super) records: Vec<Bytes>,
    /// What the records take in a segment.
    pub(super) frames_len: usize,
    pub(super) done: oneshot::Sender<Result<Offset, AppendError>>,
}

/// The line in front of the committer.
#[derive(Debug)]
pub(super) struct AppendQueue {
    state: Mutex<State>,
    filled: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Append>,
    /// Of what waits and of what is being committed.
    bytes: usize,
    closed: bool,
}

impl AppendQueue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), bytes_max }
    }

    /// Takes the next place in the line. An append that is larger than the bound is let in when nothing else is there.
    pub(super) fn push(&self, append: Append) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Failed);
        }
        let bytes = state.bytes.saturating_add(append.frames_len);
        if bytes > self.bytes_max && state.bytes > 0 {
            return Err(AppendError::Full);
        }
        state.bytes = bytes;
        state.waiting.push_back(append);
        if state.waiting.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for appends and moves them into `batch`: all that wait, or as many as fit into `bytes_max`, but at least one.
    /// Returns false, with an empty batch, once the queue is closed and empty.
    pub(super) fn take(&self, batch: &mut Vec<Append>, bytes_max: usize) -> bool {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return false;
            }
            self.filled.wait(&mut state);
        }
        let mut bytes = 0_usize;
        while let Some(append) = state.waiting.front() {
            bytes = bytes.saturating_add(append.frames_len);
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.extend(state.waiting.pop_front());
        }
        true
    }

    /// Moves everything that waits into `batch`.
    pub(super) fn take_rest(&self, batch: &mut Vec<Append>) {
        batch.extend(self.state.lock().waiting.drain(..));
    }

    /// How many bytes of appends wait or are under way.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Says that appends of so many bytes are no longer under way.
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Refuses further appends. What waits is still handed out.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }
}
