//! What waits for a connection: reads and writes in queues of their own, so that neither keeps the other waiting for long.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::GatewayError;
use super::worker::Link;

/// What a call costs in the queue beside its content.
const CALL_BYTES: usize = 1024;

/// A call under way.
pub(super) type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// Which queue a call waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody waits for an answer.
    Read,
    /// Derived tables are brought up to date.
    Write,
}

/// Both queues. When one is full, callers wait; when that takes too long, they are refused.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    bytes_max: usize,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Job>,
    writes: VecDeque<Job>,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        let room = || Arc::new(Semaphore::new(bytes_max));
        Self { waiting: Mutex::default(), more: Condvar::new(), bytes_max, reads: room(), writes: room() }
    }

    const fn semaphore(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Read => &self.reads,
            Lane::Write => &self.writes,
        }
    }

    /// Waits for room for a call with so many bytes of content; one that is larger than the queue waits for all of it. `None` after
    /// the end.
    pub(super) async fn room(&self, lane: Lane, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes.saturating_add(CALL_BYTES).min(self.bytes_max);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(self.semaphore(lane)).acquire_many_owned(bytes).await.ok()
    }

    /// Adds a call that has its room.
    pub(super) fn push(&self, lane: Lane, job: Job) -> Result<(), GatewayError> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(GatewayError::Closed);
        }
        match lane {
            Lane::Read => waiting.reads.push_back(job),
            Lane::Write => waiting.writes.push_back(job),
        }
        self.more.notify_one();
        Ok(())
    }

    /// Waits for a call, if there are both from the lane given; `None` when nothing is left after the end.
    pub(super) fn take(&self, first: Lane) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        loop {
            let job = match first {
                Lane::Read => waiting.reads.pop_front().or_else(|| waiting.writes.pop_front()),
                Lane::Write => waiting.writes.pop_front().or_else(|| waiting.reads.pop_front()),
            };
            if job.is_some() || waiting.is_closed {
                return job;
            }
            self.more.wait(&mut waiting);
        }
    }

    /// No call is taken any more; those that wait are still done.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.reads.close();
        self.writes.close();
        self.more.notify_all();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
