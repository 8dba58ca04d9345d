//! What the role talks to: terminals, and the other nodes. It takes notes, and answers nothing.

use anser_cluster::{
    AccessService, Arrival, BoxFuture, Claims, Forward, Forwarded, Outcome, PeerService, Refusal, Settled, SignOut,
};
use anser_types::{ConnectionId, NodeId, PartitionId, Position, Timestamp, UserKey};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What the role has said.
#[derive(Debug, Default)]
pub(crate) struct Around {
    settled: Mutex<Vec<Settled>>,
    arrivals: Mutex<usize>,
    claims: Mutex<Claims>,
    asked: Mutex<Vec<(NodeId, Vec<PartitionId>)>>,
    said: Notify,
}

impl Around {
    /// Returns when the role says the next thing, or has said it since the call.
    pub(crate) fn said(&self) -> impl Future<Output = ()> {
        self.said.notified()
    }

    /// What became of a publish.
    pub(crate) fn outcome(&self, publish: u64) -> Option<Outcome> {
        self.settled.lock().iter().find(|settled| settled.publish == publish).map(|settled| settled.outcome)
    }

    /// How many messages terminals were told of.
    pub(crate) fn arrivals(&self) -> usize {
        *self.arrivals.lock()
    }

    /// The claims that other nodes were told last.
    pub(crate) fn claims_told(&self) -> Claims {
        self.claims.lock().clone()
    }

    /// Which nodes were asked to let go of what.
    pub(crate) fn asked(&self) -> Vec<(NodeId, Vec<PartitionId>)> {
        self.asked.lock().clone()
    }
}

impl AccessService for Around {
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.lock().extend(settled);
        self.said.notify_waiters();
    }

    fn arrive(&self, _: Arrival) {
        *self.arrivals.lock() += 1;
        self.said.notify_waiters();
    }

    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}

    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.said.notify_waiters();
    }

    fn sign_out(&self, _: &UserKey, _: SignOut) {}

    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

impl PeerService for Around {
    fn forward(&self, _: NodeId, _: Vec<Forward>) {}

    fn answer(&self, _: NodeId, _: Vec<(u64, Forwarded)>) {}

    fn claims(&self, claims: Claims) {
        *self.claims.lock() = claims;
        self.said.notify_waiters();
    }

    fn ask_to_let_go(&self, of: NodeId, partitions: Vec<PartitionId>) {
        self.asked.lock().push((of, partitions));
        self.said.notify_waiters();
    }

    fn begin_anew(&self) {}

    fn archived(&self, _: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
