//! The end of a process, in phases: running, draining, stopping. It only goes forward.

use std::sync::Arc;

use tokio::sync::watch;

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Work as usual.
    Running,
    /// Take nothing new; finish or hand over what there is.
    Draining,
    /// Stop now.
    Stopping,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    failed: Option<&'static str>,
}

/// Tells everybody how far the end has come. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Drain(Arc<watch::Sender<State>>);

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// In the phase [`Phase::Running`].
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State { phase: Phase::Running, failed: None })))
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.0.borrow().phase
    }

    /// What failed, if the end began with a failure.
    pub fn failure(&self) -> Option<&'static str> {
        self.0.borrow().failed
    }

    /// Begins to drain, unless that has begun.
    pub fn begin(&self) {
        self.advance(Phase::Draining, None);
    }

    /// Begins to drain because a task failed that the process cannot do without.
    pub fn fail(&self, task: &'static str) {
        self.advance(Phase::Draining, Some(task));
    }

    /// The time for draining is over.
    pub fn stop(&self) {
        self.advance(Phase::Stopping, None);
    }

    fn advance(&self, phase: Phase, failed: Option<&'static str>) {
        self.0.send_if_modified(|state| {
            let moved = phase > state.phase;
            state.phase = state.phase.max(phase);
            state.failed = state.failed.or(failed);
            moved
        });
    }

    /// Returns once draining has begun. Cancel-safe.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Returns once it is time to stop. Cancel-safe.
    pub async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut states = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let reached = states.wait_for(|state| state.phase >= phase).await;
        debug_assert!(reached.is_ok(), "the sender is alive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_go_forward() {
        let drain = Drain::new();
        assert_eq!(drain.phase(), Phase::Running);
        drain.stop();
        drain.begin();
        assert_eq!(drain.phase(), Phase::Stopping);
        drain.draining().await;
        drain.stopping().await;
        assert_eq!(drain.failure(), None);
    }

    #[tokio::test]
    async fn a_failure_is_remembered() {
        let drain = Drain::new();
        drain.fail("log");
        drain.fail("other");
        assert_eq!((drain.phase(), drain.failure()), (Phase::Draining, Some("log")));
    }
}
