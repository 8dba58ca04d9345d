//! The other message nodes, as the owners and queues of this one see them.

use std::sync::Arc;

use anser_cluster::{BoxFuture, Claims, Forward, Forwarded, PeerService, Refusal};
use anser_types::{NodeId, PartitionId};

use crate::hub::Hub;
use crate::wire::{Frame, Request};

/// Forwards on the stream to the owner, and answers on the stream on which something was forwarded.
#[derive(Debug, Clone)]
pub struct Peers {
    hub: Arc<Hub>,
}

impl Peers {
    pub(crate) const fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl PeerService for Peers {
    fn forward(&self, to: NodeId, forwards: Vec<Forward>) {
        if !forwards.is_empty() {
            self.hub.link_or_new(to).forward(forwards);
        }
    }

    fn answer(&self, to: NodeId, answers: Vec<(u64, Forwarded)>) {
        if let Some(session) = self.hub.session(to) {
            session.answer(answers);
        }
    }

    fn claims(&self, claims: Claims) {
        self.hub.tell_claims(claims);
    }

    fn ask_to_let_go(&self, of: NodeId, partitions: Vec<PartitionId>) {
        if let Some(link) = self.hub.link(of) {
            link.tell(Frame::LetGo(partitions));
        }
    }

    fn begin_anew(&self) {
        self.hub.begin_anew();
    }

    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.hub.ask(Request::Archived(partition)).await.map(|_| ()) })
    }
}
