//! What was decided and the applier has not done. Nobody waits for it: while Redis is away, publishes are decided and acked all the
//! same. So it is counted in bytes, and when it is too much, intake stops until there is less.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anser_core::owner::Committed;
use tokio::sync::{mpsc, oneshot, watch};

use crate::applier::ToApply;
use crate::role::RoleError;

/// Bytes that may wait: a minute of 1,000 messages a second.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of what is replayed that may wait: they are in the log, and need not be read before there is room.
const REPLAYED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that may be put aside until something is replayed. With half of that nothing is taken in; what is more is let go of.
pub(crate) const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a record takes beside its bytes.
const RECORD_BYTES: usize = 512;
/// How many may wait to hear that everything before them is applied.
const WAITERS_MAX: usize = 8_192;

/// How much waits for the applier. Clones count the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backlog(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Of what is new.
    bytes: AtomicUsize,
    replayed: watch::Sender<usize>,
    /// Of what is put aside, which the applier does not wait with.
    kept: AtomicUsize,
    waiters: AtomicUsize,
}

impl Backlog {
    /// Records are put aside.
    pub(crate) fn keep(&self, records: &[Committed]) {
        self.applied(records);
        self.0.kept.fetch_add(bytes_of(records), Ordering::Relaxed);
    }

    /// Records that were put aside wait again.
    pub(crate) fn wait_again(&self, records: &[Committed]) {
        self.let_go(records);
        self.waits(records);
    }

    /// Records that were put aside are not to be applied.
    pub(crate) fn let_go(&self, records: &[Committed]) {
        self.0.kept.fetch_sub(bytes_of(records), Ordering::Relaxed);
    }

    /// Whether more is put aside than there is room for.
    pub(crate) fn keeps_too_much(&self) -> bool {
        self.0.kept.load(Ordering::Relaxed) > KEPT_BYTES_MAX
    }

    /// Records are handed to the applier.
    fn waits(&self, records: &[Committed]) {
        let [new, replayed] = new_and_replayed(records);
        self.0.bytes.fetch_add(new, Ordering::Relaxed);
        if replayed > 0 {
            self.0.replayed.send_modify(|waiting| *waiting += replayed);
        }
    }

    /// Records are applied, or are not to be.
    pub(crate) fn applied(&self, records: &[Committed]) {
        let [new, replayed] = new_and_replayed(records);
        let less = |waiting: usize| Some(waiting.saturating_sub(new));
        // It always has a value.
        self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
        if replayed > 0 {
            self.0.replayed.send_modify(|waiting| *waiting = waiting.saturating_sub(replayed));
        }
    }

    /// Somebody who waited was told.
    pub(crate) fn told(&self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether nothing is to be taken in that makes it more.
    pub(crate) fn is_full(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) > BYTES_MAX || self.0.kept.load(Ordering::Relaxed) > KEPT_BYTES_MAX / 2
    }

    /// Returns when there is room for what is replayed.
    pub(crate) async fn has_room(&self) {
        // The sender is this one: it is not gone.
        self.0.replayed.subscribe().wait_for(|waiting| *waiting <= REPLAYED_BYTES_MAX).await.ok();
    }
}

/// The loop's end of the way to the applier.
#[derive(Debug)]
pub(crate) struct ToApplier {
    inputs: mpsc::UnboundedSender<ToApply>,
    pub(crate) backlog: Backlog,
}

impl ToApplier {
    /// A way to the applier, and its other end.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<ToApply>) {
        #[expect(clippy::disallowed_methods, reason = "whoever sends sees to it that the backlog is not too much")]
        let (inputs, outputs) = mpsc::unbounded_channel();
        (Self { inputs, backlog: Backlog::default() }, outputs)
    }

    /// Hands something over, behind all that was before.
    pub(crate) fn send(&self, input: ToApply) -> Result<(), RoleError> {
        match &input {
            ToApply::Records(records) => self.backlog.waits(records),
            ToApply::Barrier(_) => drop(self.backlog.0.waiters.fetch_add(1, Ordering::Relaxed)),
            ToApply::Suspend(..)
            | ToApply::ReplayAlone(_)
            | ToApply::KeepNew(_)
            | ToApply::EndReplay(_)
            | ToApply::Resume(_)
            | ToApply::TakenOver(_) => {}
        }
        self.inputs.send(input).map_err(|_| RoleError::Ended)
    }

    /// Has somebody told when everything before is applied. If too many wait for that, `done` is dropped.
    pub(crate) fn tell_when_applied(&self, done: oneshot::Sender<()>) -> Result<(), RoleError> {
        if self.backlog.0.waiters.load(Ordering::Relaxed) >= WAITERS_MAX {
            return Ok(());
        }
        self.send(ToApply::Barrier(done))
    }
}

fn new_and_replayed(records: &[Committed]) -> [usize; 2] {
    let all = bytes_of(records);
    let new = records.iter().filter(|record| !record.replayed).map(|record| RECORD_BYTES + record.record.len()).sum();
    [new, all - new]
}

pub(crate) fn bytes_of(records: &[Committed]) -> usize {
    records.iter().map(|record| RECORD_BYTES + record.record.len()).sum()
}
