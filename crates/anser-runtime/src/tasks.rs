//! Tasks. None is detached: each says what becomes of it at the end, and what it means when it ends by itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::{Drain, Phase};

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The process cannot do without it: when it ends or panics before draining began, draining begins. It ends by itself
    /// once it sees the drain, and is waited for.
    Vital,
    /// The process cannot do without it: when it ends or panics before draining began, draining begins. It is cut off when
    /// draining ends.
    VitalCutOff,
    /// It ends by itself, and is waited for. A panic is logged.
    Finished,
    /// It is cut off when draining ends. A panic is logged.
    CutOff,
}

impl Fate {
    const fn is_vital(self) -> bool {
        matches!(self, Self::Vital | Self::VitalCutOff)
    }

    const fn is_cut_off(self) -> bool {
        matches!(self, Self::CutOff | Self::VitalCutOff)
    }
}

/// How many tasks are alive. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TaskCount(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    alive: AtomicUsize,
    none: Notify,
}

impl TaskCount {
    /// How many are alive now.
    pub fn alive(&self) -> usize {
        self.0.alive.load(Ordering::Acquire)
    }

    /// Returns once none is alive. Cancel-safe.
    pub async fn none(&self) {
        loop {
            let notified = self.0.none.notified();
            if self.alive() == 0 {
                return;
            }
            notified.await;
        }
    }

    fn enter(&self) -> Alive {
        self.0.alive.fetch_add(1, Ordering::AcqRel);
        Alive(Arc::clone(&self.0))
    }
}

/// Counts one task for as long as it is there.
#[derive(Debug)]
struct Alive(Arc<Count>);

impl Drop for Alive {
    fn drop(&mut self) {
        if self.0.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

/// Starts tasks, and waits for them at the end. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Tasks {
    drain: Drain,
    count: TaskCount,
}

impl Tasks {
    /// Tasks that live and end with `drain`.
    pub fn new(drain: Drain) -> Self {
        Self { drain, count: TaskCount::default() }
    }

    /// The drain that they end with.
    pub const fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Starts a task. The handle may be dropped; the task goes on.
    pub fn spawn<F>(&self, name: &'static str, fate: Fate, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guard = Ending { drain: self.drain.clone(), name, fate, returned: false };
        let alive = self.count.enter();
        let drain = self.drain.clone();
        let task = async move {
            let (mut guard, _alive) = (guard, alive);
            if fate.is_cut_off() {
                tokio::select! {
                    () = future => {}
                    () = drain.stopping() => {}
                }
            } else {
                future.await;
            }
            guard.returned = true;
        };
        spawn_raw(task)
    }

    /// Starts one of very many tasks, with nothing beside the future but a count. It ends by itself, and is waited for.
    pub fn spawn_light<F>(&self, count: &TaskCount, future: F)
    where
        F: Future<Output = ()> + Send + Unpin + 'static,
    {
        drop(spawn_raw(Light { future, _own: count.enter(), _all: self.count.enter() }));
    }

    /// Returns once all tasks have ended. Cancel-safe.
    pub async fn finished(&self) {
        self.count.none().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
fn spawn_raw<F>(future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(future)
}

struct Light<F> {
    future: F,
    _own: Alive,
    _all: Alive,
}

impl<F: Future<Output = ()> + Unpin> Future for Light<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Sees to it that an ending means what the fate says, a panic included.
struct Ending {
    drain: Drain,
    name: &'static str,
    fate: Fate,
    returned: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let running = self.drain.phase() == Phase::Running;
        match (self.returned, self.fate) {
            (true, fate) if fate.is_vital() && running => {
                tracing::error!(task = self.name, "a vital task ended");
                self.drain.fail(self.name);
            }
            (true, _) => {}
            (false, fate) => {
                // Not returned: it panicked, or the runtime was torn down under it.
                tracing::error!(task = self.name, ?fate, "a task did not end by itself");
                if fate.is_vital() {
                    self.drain.fail(self.name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vital_task_that_ends_or_panics_begins_the_drain() {
        for (fate, panics) in
            [Fate::Vital, Fate::VitalCutOff].into_iter().flat_map(|fate| [(fate, false), (fate, true)])
        {
            let tasks = Tasks::new(Drain::new());
            tasks.spawn("vital", fate, async move { assert!(!panics, "on purpose") });
            tasks.drain().draining().await;
            assert_eq!(tasks.drain().failure(), Some("vital"));
            tasks.finished().await;
        }
    }

    #[tokio::test]
    async fn all_tasks_are_waited_for_and_some_are_cut_off() {
        let tasks = Tasks::new(Drain::new());
        tasks.spawn("for ever", Fate::CutOff, std::future::pending());
        tasks.spawn("to the end", Fate::VitalCutOff, std::future::pending());
        let drain = tasks.drain().clone();
        tasks.spawn("finishes", Fate::Finished, async move { drain.draining().await });
        let count = TaskCount::default();
        let drain = tasks.drain().clone();
        tasks.spawn_light(&count, Box::pin(async move { drain.draining().await }));
        assert_eq!(count.alive(), 1);
        tasks.drain().begin();
        count.none().await;
        tasks.drain().stop();
        tasks.finished().await;
        assert_eq!(tasks.drain().failure(), None);
    }
}
