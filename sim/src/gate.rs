//! Stopping a process where it is, and letting it go on: as SIGSTOP and SIGCONT do.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Holds the tasks of a process up while it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
    }

    pub(crate) fn open(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.is_closed = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }
}

/// A task behind a gate.
pub(crate) struct Gated<F: ?Sized> {
    pub(crate) gate: Arc<Gate>,
    pub(crate) task: Pin<Box<F>>,
}

impl<F: Future + ?Sized> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut state = self.gate.0.lock();
        if state.is_closed {
            state.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.task.as_mut().poll(context)
    }
}
