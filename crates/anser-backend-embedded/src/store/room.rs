//! How much is not on disk yet, and the wait for it to become less. Nothing is ever dropped for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use anser_backend::StoreError;

/// Why there is no room: what was to be written cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the last flush failed, and no more changes fit into memory")]
struct NoRoom;

/// Counts bytes that are not on disk.
#[derive(Debug)]
pub(super) struct Room {
    dirty: AtomicUsize,
    dirty_max: usize,
    is_failing: AtomicBool,
    flushed: Notify,
}

impl Room {
    pub(super) fn new(dirty_max: usize) -> Self {
        Self { dirty: AtomicUsize::new(0), dirty_max, is_failing: AtomicBool::new(false), flushed: Notify::new() }
    }

    /// Adds to what is not on disk. Returns how much that is now.
    pub(super) fn add(&self, bytes: usize) -> usize {
        self.dirty.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    pub(super) fn dirty(&self) -> usize {
        self.dirty.load(Ordering::Relaxed)
    }

    /// So many bytes are on disk now.
    pub(super) fn release(&self, bytes: usize) {
        self.dirty.fetch_sub(bytes, Ordering::Relaxed);
        self.flushed.notify_waiters();
    }

    /// Tells those who wait how the last flush went.
    pub(super) fn note_flush(&self, is_ok: bool) {
        self.is_failing.store(!is_ok, Ordering::Relaxed);
        self.flushed.notify_waiters();
    }

    /// Waits until more changes fit; an error if flushes fail and none do.
    pub(super) async fn wait(&self) -> Result<(), StoreError> {
        loop {
            if self.dirty() <= self.dirty_max {
                return Ok(());
            }
            let mut flushed = std::pin::pin!(self.flushed.notified());
            // Registered before looking again, so that no flush between is missed.
            flushed.as_mut().enable();
            if self.is_failing.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable(NoRoom.into()));
            }
            if self.dirty() > self.dirty_max {
                flushed.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn changes_wait_for_room_and_are_told_if_there_will_be_none() {
        let room = Arc::new(Room::new(10));
        assert_eq!(room.add(10), 10);
        room.wait().await.unwrap();
        room.add(5);
        let waits = room.wait();
        let frees = async {
            tokio::task::yield_now().await;
            assert_eq!(room.dirty(), 15);
            room.release(15);
        };
        let (waited, ()) = tokio::join!(waits, frees);
        waited.unwrap();
        room.add(11);
        room.note_flush(false);
        assert!(room.wait().await.unwrap_err().is_retryable());
        room.note_flush(true);
        room.release(11);
        room.wait().await.unwrap();
    }
}
