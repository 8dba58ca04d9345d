//! Waking senders when they are due, finer than a runtime's timers do: those count whole milliseconds, and the latencies to
//! be measured are a few of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::stopwatch::Stopwatch;

/// The shortest rest: what falls due within it is woken together.
const TICK_US: u64 = 250;
/// The longest rest: a sender may set an earlier time meanwhile.
const REST_MAX_US: u64 = 500;

/// One who may be woken.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// When to wake it; the end of time if not at all.
    due_us: AtomicU64,
    waker: AtomicWaker,
}

impl Default for Sleeper {
    fn default() -> Self {
        Self { due_us: AtomicU64::new(u64::MAX), waker: AtomicWaker::new() }
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
                let mut next = u64::MAX;
                for sleeper in &sleepers {
                    let due = sleeper.due_us.load(Ordering::Acquire);
                    if due <= now {
                        sleeper.due_us.store(u64::MAX, Ordering::Release);
                        sleeper.wake();
                    } else {
                        next = next.min(due);
                    }
                }
                rest(next.saturating_sub(now).clamp(TICK_US, REST_MAX_US));
            }
        };
        let thread = Builder::new().name("pacer".to_owned()).spawn(body)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

#[expect(clippy::disallowed_methods, reason = "the pacer has a thread of its own, and blocks nobody")]
fn rest(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
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
