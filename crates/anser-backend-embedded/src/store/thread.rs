//! The thread that flushes and sweeps.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::Inner;
use super::error::StoreOpenError;

/// Buckets that are swept with each turn: at the usual interval a user that nobody asks for is let go within a minute.
const BUCKETS_PER_TURN: u8 = 4;
/// How many entries of one user stay in memory when it runs out, less and less until it fits.
const KEEPS: [usize; 4] = [256, 64, 16, 0];

/// What the thread is asked to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Nothing,
    Flush,
    Stop,
}

/// Wakes the thread.
#[derive(Debug)]
pub(super) struct Bell {
    request: Mutex<Request>,
    rung: Condvar,
}

impl Default for Bell {
    fn default() -> Self {
        Self { request: Mutex::new(Request::Nothing), rung: Condvar::new() }
    }
}

impl Bell {
    /// Asks for a flush without waiting for the interval.
    pub(super) fn ring(&self) {
        let mut request = self.request.lock();
        if *request == Request::Nothing {
            *request = Request::Flush;
            self.rung.notify_one();
        }
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        *self.request.lock() = Request::Stop;
        self.rung.notify_one();
    }

    /// Waits for a request or for the interval to pass. Returns whether the thread goes on.
    fn wait(&self, interval: Duration) -> bool {
        let mut request = self.request.lock();
        if *request == Request::Nothing {
            self.rung.wait_for(&mut request, interval);
        }
        if *request == Request::Stop {
            return false;
        }
        *request = Request::Nothing;
        true
    }
}

/// Tells when the thread dies of a defect: nothing would be flushed any more, and whoever waits for room would wait for ever.
struct TellsDeath(watch::Sender<bool>);

impl Drop for TellsDeath {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(true);
        }
    }
}

/// Starts the thread. It ends after [`Bell::stop`], without a last flush.
pub(super) fn start(inner: Arc<Inner>) -> Result<JoinHandle<()>, StoreOpenError> {
    std::thread::Builder::new()
        .name("anser-store".to_owned())
        .spawn(move || {
            let _told = TellsDeath(inner.is_dead.clone());
            let mut turn = 0;
            let mut is_failing = false;
            while inner.bell.wait(inner.options.flush_interval) {
                inner.turn(turn, &mut is_failing);
                turn = turn.wrapping_add(BUCKETS_PER_TURN);
            }
        })
        .map_err(StoreOpenError::Thread)
}

impl Inner {
    fn turn(&self, first: u8, is_failing: &mut bool) {
        // Said once when it begins and once when it ends, not with every turn.
        match self.flush() {
            Err(error) if !*is_failing => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot flush the store, trying on");
                *is_failing = true;
            }
            Ok(()) if *is_failing => {
                tracing::info!("the store is flushed again");
                *is_failing = false;
            }
            _ => {}
        }
        for bucket in (first..=u8::MAX).take(usize::from(BUCKETS_PER_TURN)) {
            self.mailbox.sweep(bucket, None);
            if bucket % 4 == 0 {
                self.history.sweep(bucket / 4, None);
            }
        }
        self.fit_into_memory();
    }

    /// Lets go of what is on disk until the rest fits.
    pub(super) fn fit_into_memory(&self) {
        let most = self.options.memory_bytes_max;
        if self.mailbox.held() + self.history.held() <= most {
            return;
        }
        for keep in KEEPS {
            let users: usize = (0..=u8::MAX).map(|bucket| self.mailbox.sweep(bucket, Some(keep))).sum();
            let history: usize = (0..super::history::SHARDS).map(|shard| self.history.sweep(shard, Some(keep))).sum();
            // A little more than needed, so that this is not done with every turn.
            if users + history <= most - most / 8 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_dies_is_told_of_and_one_that_ends_is_not() {
        for dies in [false, true] {
            let (told, is_dead) = watch::channel(false);
            let thread = std::thread::spawn(move || {
                let _told = TellsDeath(told);
                assert!(!dies, "on purpose");
            });
            assert_eq!(thread.join().is_err(), dies);
            assert_eq!(*is_dead.borrow(), dies);
        }
    }
}
