//! The access role as the message role sees it: what it is told is kept until the world takes it.

use std::collections::{BTreeSet, VecDeque};

use anser_cluster::{AccessService, Arrival, BoxFuture, Claims, Forward, Forwarded, Refusal, Settled, SignOut};
use anser_types::{ConnectionId, NodeId, PartitionId, Position, Timestamp, UserKey};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Something that the message role told.
#[derive(Debug)]
pub(crate) enum Told {
    Settled(Vec<Settled>),
    Arrived(Arrival),
    Moved(UserKey, Position),
    /// For another message node.
    Forwards(NodeId, Vec<Forward>),
    Answers(NodeId, Vec<(u64, Forwarded)>),
    LetGo(NodeId, Vec<PartitionId>),
    /// Which claims the node holds to, for everybody.
    Claims(Claims),
    /// All that is for the node is to be sent again.
    Anew,
}

/// The access role of one process; a new one begins with each start.
#[derive(Debug, Default)]
pub(crate) struct SimAccess {
    told: Mutex<VecDeque<Told>>,
    online: Mutex<BTreeSet<UserKey>>,
    wake: Notify,
}

impl SimAccess {
    /// Waits until there is something to take.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn take(&self) -> Option<Told> {
        self.told.lock().pop_front()
    }

    pub(crate) fn set_online(&self, users: impl Iterator<Item = UserKey>) {
        *self.online.lock() = users.collect();
    }

    pub(crate) fn push(&self, told: Told) {
        self.told.lock().push_back(told);
        self.wake.notify_one();
    }
}

impl AccessService for SimAccess {
    fn settle(&self, settled: Vec<Settled>) {
        self.push(Told::Settled(settled));
    }

    fn arrive(&self, arrival: Arrival) {
        self.push(Told::Arrived(arrival));
    }

    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}

    fn moved(&self, user: &UserKey, head: Position, _: Option<&[NodeId]>) {
        self.push(Told::Moved(user.clone(), head));
    }

    fn sign_out(&self, _: &UserKey, _: SignOut) {}

    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        let online = self.online.lock().contains(user);
        Box::pin(std::future::ready(Ok(online)))
    }
}
