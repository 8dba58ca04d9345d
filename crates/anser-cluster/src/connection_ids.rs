//! The ids of connections of one node.

use std::sync::atomic::{AtomicU32, Ordering};

use anser_types::{ConnectionId, NodeId};

/// Gives out the ids of a node's connections: the node's half, and a number that rises. One for all roles of a node: what the
/// server API sends counts as a connection of its own.
#[derive(Debug)]
pub struct ConnectionIds {
    node: NodeId,
    newest: AtomicU32,
}

impl ConnectionIds {
    /// For one run of a node.
    pub const fn new(node: NodeId) -> Self {
        Self { node, newest: AtomicU32::new(0) }
    }

    /// The node.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Another id. After four thousand million of them the numbers begin again; a node is restarted long before that.
    pub fn next(&self) -> ConnectionId {
        ConnectionId::of_node(self.node, self.newest.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    /// The newest id that was given out.
    pub fn newest(&self) -> ConnectionId {
        ConnectionId::of_node(self.node, self.newest.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_name_their_node() {
        let ids = ConnectionIds::new(NodeId::drawn(5 << 32));
        let (first, second) = (ids.next(), ids.next());
        assert!(first < second && second.is_of(ids.node()));
        assert_eq!(ids.newest(), second);
    }
}
