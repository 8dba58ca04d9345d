//! What the access node keeps until it has an outcome, and the ways on which it sends it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anser_cluster::Publish;
use anser_peer::{Kept, Routes, Ways};
use anser_types::{NodeId, UserKey};

use crate::wires::{Parcel, State};
use crate::world::World;

/// The ways from the access node, as they are at a moment.
#[derive(Debug)]
pub(crate) struct AccessWays<'a> {
    routes: &'a Routes,
    open: BTreeSet<NodeId>,
    sent: RefCell<Vec<(NodeId, Vec<Publish>)>>,
}

impl Ways for AccessWays<'_> {
    fn node_of(&self, user: &UserKey) -> Option<NodeId> {
        self.routes.message_node(user)
    }

    fn answers(&self, node: NodeId) -> bool {
        self.open.contains(&node) && self.routes.member(node).is_some()
    }

    fn send(&self, to: NodeId, _: u32, publishes: Vec<Publish>) -> bool {
        let is_open = self.open.contains(&to);
        if is_open {
            self.sent.borrow_mut().push((to, publishes));
        }
        is_open
    }
}

impl World {
    /// Does something with the publishes that have no outcome, and sends what comes of it.
    pub(crate) fn with_kept(&mut self, work: impl FnOnce(&Kept, &AccessWays<'_>)) {
        let Some(fleet) = &self.fleet else { return };
        let access = fleet.access;
        let directory = fleet.directory.lock();
        let open = fleet.streams.iter().filter(|((from, _), stream)| *from == access && stream.state != State::Down);
        let ways = AccessWays {
            routes: &directory.routes,
            open: open.map(|((_, to), _)| *to).collect(),
            sent: RefCell::default(),
        };
        work(&fleet.kept, &ways);
        let sent = ways.sent.into_inner();
        drop(directory);
        for (to, publishes) in sent {
            self.send_parcel((access, to), Parcel::Publishes(publishes));
        }
    }
}
