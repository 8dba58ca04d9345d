//! Waking senders when they are due, finer than a runtime's timers do: those count whole milliseconds, and the latencies to
//! be measured are a few of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::stopwatch::Stopwatch;

/// How often the pacer looks.
const TICK: Duration = Duration::from_micros(250);

/// One who may be woken.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// When to wake it; the end of time if not at all.
    due_us: AtomicU64,
    waker: AtomicWaker,
}

impl Default for Sleeper {
    fn default() -> Self {
        Self {
            due_us: AtomicU64::new(u64::MAX),
            waker: AtomicWaker::new(),
        }
    }
}

impl Sleeper {
    /// Whom to wake; to be said at each poll.
    pub(crate) fn register(&self, cx: &std::task::Context<'_>) {
        self.waker.register(cx.waker());
    }

    pub(crate) fn wake_at(&self, due_us: u64) {
        self.due_us.store(due_us, Ordering::Release);
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}

/// The pacing thread. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    pub(crate) fn start(sleepers: Vec<Arc<Sleeper>>, watch: Stopwatch) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let body = move || {
            while !stopped.load(Ordering::Relaxed) {
                let now = watch.now_us();
                for sleeper in &sleepers {
                    if sleeper.due_us.load(Ordering::Acquire) <= now {
                        sleeper.due_us.store(u64::MAX, Ordering::Release);
                        sleeper.wake();
                    }
                }
                rest();
            }
        };
        let thread = Builder::new().name("pacer".to_owned()).spawn(body)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pacer has a thread of its own, and blocks nobody"
)]
fn rest() {
    std::thread::sleep(TICK);
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a tick, and has nothing to report.
            drop(thread.join());
        }
    }
}
