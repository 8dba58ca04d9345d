//! What the access node keeps until it has an outcome, and the ways on which it sends it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anser_cluster::{Publish, Settled};
use anser_peer::{Kept, Routes, Ways};
use anser_types::{NodeId, UserKey};
use tokio::time::Instant;

use crate::switch::Switch;
use crate::wires::{Parcel, State};
use crate::world::World;

/// The ways from the access node, as they are at a moment.
#[derive(Debug)]
pub(crate) struct AccessWays<'a> {
    routes: &'a Routes,
    open: BTreeSet<NodeId>,
    switch: Option<Switch>,
    sent: RefCell<Vec<(NodeId, Vec<Publish>)>>,
    broken: RefCell<BTreeSet<NodeId>>,
}

impl Ways for AccessWays<'_> {
    fn node_of(&self, user: &UserKey) -> Option<NodeId> {
        self.routes.message_node(user)
    }

    fn answers(&self, node: NodeId) -> bool {
        self.open.contains(&node) && self.routes.member(node).is_some()
    }

    fn send(&self, to: NodeId, attempt: u32, mut publishes: Vec<Publish>) -> bool {
        let is_open = self.open.contains(&to);
        match self.switch.filter(|_| attempt > 0) {
            Some(Switch::NotSentAgain) => return is_open,
            Some(Switch::SentAgainShuffled) => publishes.reverse(),
            _ => {}
        }
        if is_open {
            self.sent.borrow_mut().push((to, publishes));
        }
        is_open
    }

    fn break_off(&self, node: NodeId) {
        // Whoever stood still would hear of it before it passes anything on: here it always does, elsewhere not always.
        if self.switch != Some(Switch::StandstillUnnoticed) {
            self.broken.borrow_mut().insert(node);
        }
    }
}

impl World {
    /// Does something with the publishes that have no outcome, and sends what comes of it.
    pub(crate) fn with_kept(&mut self, work: impl Fn(&Kept, &AccessWays<'_>)) {
        self.with_kepts(|kepts, ways| kepts.iter().for_each(|kept| work(kept, ways)));
    }

    fn with_kepts(&mut self, work: impl FnOnce(&[Kept], &AccessWays<'_>)) {
        let Some(fleet) = &self.fleet else { return };
        let access = fleet.access;
        let directory = fleet.directory.lock();
        let open = fleet.streams.iter().filter(|((from, _), stream)| *from == access && stream.state != State::Down);
        let ways = AccessWays {
            routes: &directory.routes,
            open: open.map(|((_, to), _)| *to).collect(),
            switch: fleet.switch,
            sent: RefCell::default(),
            broken: RefCell::default(),
        };
        work(&fleet.kepts, &ways);
        let (sent, broken) = (ways.sent.into_inner(), ways.broken.into_inner());
        drop(directory);
        broken.into_iter().for_each(|node| self.break_off((access, node)));
        for (to, publishes) in sent {
            self.send_parcel((access, to), Parcel::Publishes(publishes));
        }
    }

    /// Takes in the outcomes that a node has told.
    pub(super) fn settle_kept(&mut self, from: NodeId, settled: Vec<Settled>) {
        self.with_kept(|kept, ways| kept.settled(from, settled.clone(), ways));
    }

    /// Publishes what terminals have sent.
    pub(crate) fn publish_kept(&mut self, publishes: Vec<Publish>) {
        self.note_published(&publishes);
        let Some(user) = publishes.first().map(|publish| publish.sender.clone()) else { return };
        let slots = self.fleet.iter().flat_map(|fleet| &fleet.slots);
        let ids: Vec<NodeId> = slots.map(|slot| slot.id).collect();
        self.with_kepts(|kepts, ways| {
            let home = ways.node_of(&user);
            let place = ids.iter().position(|id| Some(*id) == home).unwrap_or(0);
            if let Some(kept) = kepts.get(place).or_else(|| kepts.first()) {
                kept.publish(publishes, ways, Instant::now());
            }
        });
    }
}
