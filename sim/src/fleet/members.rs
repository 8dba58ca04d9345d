//! The list of members, what each node makes of it, and whom it suspects.

use anser_backend::{ClientAddresses, Member, Role, Roles};
use anser_cluster::{Claims, OwnerService as _};
use anser_peer::{Claimed, Routes, Suspicions};
use anser_types::{NodeId, PartitionCount};
use tokio::time::Instant;

use super::{ANNOUNCE_MS, Cut, Doing, Fleet, LEASE_MS, peer_config};
use crate::switch::Switch;
use crate::wires::Way;
use crate::world::{Happening, World};

/// What a node knows of the others.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The list of members, as it was read last.
    pub(super) members: Vec<Member>,
    pub(super) suspicions: Suspicions,
    pub(super) claimed: Claimed,
}

impl View {
    /// Takes in the list of members, and forgets what others claimed who have left it.
    fn read(&mut self, me: NodeId, members: &[Member]) {
        self.members = members.to_vec();
        self.claimed.retain(|node, _| *node == me || members.iter().any(|member| member.id == *node));
    }

    pub(super) fn routes(&mut self, partitions: PartitionCount) -> Routes {
        let suspects = self.suspicions.among(&self.members, Instant::now(), peer_config().refusal_counts);
        Routes::new(&self.members, &suspects, &self.claimed, partitions)
    }
}

/// Nobody answered: whether nobody listens there, or nothing came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused(pub(super) bool);

impl Fleet {
    /// Whether no other node reaches a node.
    pub(super) fn is_cut(&self, id: NodeId) -> bool {
        self.place_of(id).is_some_and(|place| self.slots[place].cut.is_some())
    }

    /// Whether a node does not reach the list of members.
    pub(super) fn is_cut_from_list(&self, place: usize) -> bool {
        self.slots[place].cut == Some(Cut::OthersAndList)
    }

    pub(super) fn view(&mut self, id: NodeId) -> Option<&mut View> {
        if id == self.access {
            return Some(&mut self.access_view);
        }
        self.place_of(id).map(|place| &mut self.slots[place].view)
    }

    /// Tells a node who owns what, if it is something new.
    fn tell_owners(&mut self, place: usize) {
        let partitions = self.partitions;
        let slot = &mut self.slots[place];
        let owners = slot.view.routes(partitions).owners().clone();
        if let Some(node) = &slot.node
            && slot.owners.as_ref() != Some(&owners)
        {
            node.handle.owners_changed(owners.clone());
            slot.owners = Some(owners);
        }
    }

    fn members(&self, now: u64) -> Vec<Member> {
        self.leases.values().filter(|(_, until)| *until > now).map(|(member, _)| member.clone()).collect()
    }
}

impl World {
    pub(super) fn announce(&mut self, place: usize, start: usize) {
        let now = self.now();
        let clock = self.clock.now();
        let Some(node) = self.life(place, start) else { return };
        let stands_still = node.gate.is_closed();
        let reaches_it = self.fleet.as_ref().is_some_and(|fleet| !fleet.is_cut_from_list(place));
        if !stands_still && reaches_it {
            self.renew(place, now + LEASE_MS, clock);
        }
        self.plan_in(ANNOUNCE_MS, Happening::Fleet(Doing::Announce(place, start)));
    }

    pub(super) fn renew(&mut self, place: usize, until: u64, clock: anser_types::Timestamp) {
        let Some(fleet) = &mut self.fleet else { return };
        let slot = &fleet.slots[place];
        let member = Member {
            id: slot.id,
            name: slot.name.clone(),
            roles: [Role::Message].into_iter().collect::<Roles>(),
            address: String::new(),
            clients: ClientAddresses::default(),
            draining: slot.is_draining,
            connections: 0,
            weight: 1,
            version: String::new(),
            speaks: anser_backend::Spoken { oldest: 1, newest: 1 },
            admin: String::new(),
            clock,
        };
        fleet.leases.insert(slot.id, (member, until));
    }

    pub(super) fn look(&mut self, place: usize, start: usize) {
        let now = self.now();
        let Some(node) = self.life(place, start) else { return };
        let is_closed = node.gate.is_closed();
        let millis = self.rng.between(200, 500);
        self.plan_in(millis, Happening::Fleet(Doing::Look(place, start)));
        let Some(fleet) = &mut self.fleet else { return };
        if is_closed || fleet.is_cut_from_list(place) {
            return;
        }
        let members = fleet.members(now);
        let slot = &mut fleet.slots[place];
        let me = slot.id;
        slot.view.read(me, &members);
        fleet.tell_owners(place);
        if let Some(node) = &fleet.slots[place].node
            && members.iter().any(|member| member.id == me)
            && fleet.switch != Some(Switch::EndsUnlooked)
        {
            node.handle.listed();
        }
        for member in members.iter().filter(|member| member.id != me) {
            self.open_way((me, member.id));
        }
        self.open_way((me, self.access_id()));
    }

    pub(super) fn access_id(&self) -> NodeId {
        self.fleet.as_ref().map_or(NodeId(0), |fleet| fleet.access)
    }

    pub(super) fn access_looks(&mut self) {
        let now = self.now();
        let millis = self.rng.between(200, 500);
        self.plan_in(millis, Happening::Fleet(Doing::AccessLooks));
        let Some(fleet) = self.fleet.as_mut().filter(|fleet| fleet.is_access_up) else { return };
        let members = fleet.members(now);
        fleet.access_view.read(fleet.access, &members);
        let access = fleet.access;
        for member in &members {
            self.open_way((access, member.id));
        }
        self.reroute_access();
    }

    fn reroute_access(&mut self) {
        let Some(fleet) = self.fleet.as_mut() else { return };
        let routes = fleet.access_view.routes(fleet.partitions);
        let moves = {
            let mut directory = fleet.directory.lock();
            let moves = routes.moves_what_is_sent(&directory.routes);
            directory.routes = routes;
            moves
        };
        if moves {
            self.with_kept(|kept, ways| kept.reroute(ways, || true));
        }
    }

    /// A node does not answer another one, or the access node; or it does.
    pub(super) fn note_answer(&mut self, (from, to): Way, answers: Result<(), Refused>) {
        let Some(fleet) = self.fleet.as_mut() else { return };
        let Some(view) = fleet.view(from) else { return };
        match answers {
            Ok(()) if !view.suspicions.trust(to) => return,
            Ok(()) => {}
            Err(Refused(refused)) => view.suspicions.suspect(to, refused, Instant::now()),
        }
        self.route_anew(from);
    }

    fn route_anew(&mut self, node: NodeId) {
        let Some(fleet) = self.fleet.as_mut() else { return };
        if node == fleet.access {
            self.reroute_access();
        } else if let Some(place) = fleet.place_of(node) {
            fleet.tell_owners(place);
        }
    }

    /// A node says to another one, or to the access node, which claims it holds to.
    pub(super) fn note_claims(&mut self, from: NodeId, to: NodeId, claims: Claims) {
        let Some(view) = self.fleet.as_mut().and_then(|fleet| fleet.view(to)) else { return };
        view.claimed.insert(from, claims);
        self.route_anew(to);
    }
}
