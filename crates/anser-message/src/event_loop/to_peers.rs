//! What the loop has for other nodes at the end of a turn.

use std::collections::BTreeMap;

use anser_cluster::{Forward, Forwarded, PeerService};
use anser_types::NodeId;

/// What a turn has for other nodes.
#[derive(Debug, Default)]
pub(super) struct ToPeers {
    pub(super) forwards: BTreeMap<NodeId, Vec<Forward>>,
    pub(super) answers: BTreeMap<NodeId, Vec<(u64, Forwarded)>>,
}

impl ToPeers {
    pub(super) fn send(self, peers: &dyn PeerService) {
        for (to, answers) in self.answers {
            peers.answer(to, answers);
        }
        for (to, forwards) in self.forwards {
            peers.forward(to, forwards);
        }
    }
}
