//! Several message nodes and one access node: who is alive, who knows of whom, and what goes between them.

mod faults;
mod kept;
mod members;
mod streams;
mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anser_backend::Member;
use anser_cluster::Owners;
use anser_peer::{Kept, PeerConfig};
use anser_types::{ConnectionId, NodeId, PartitionCount};
use futures_util::future::select_all;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::members::View;
use crate::access::SimAccess;
use crate::node::{Among, SimNode, Turn};
use crate::rng::Rng;
use crate::service::Directory;
use crate::switch::Switch;
use crate::wires::{Parcel, Stream, Way};
use crate::world::{Happening, World};

/// How often a node says that it is there, and for how long that holds.
const ANNOUNCE_MS: u64 = 500;
const LEASE_MS: u64 = 2_000;
/// How far the clocks of nodes are apart, at most.
const AHEAD_MS_MAX: u64 = 500;
const FAR_AHEAD_MS_MAX: u64 = 3_600_000;
/// How often publishes without an outcome are looked at.
const EXPIRE_MS: u64 = 1_000;

/// What happens to nodes.
#[derive(Debug)]
pub(crate) enum Doing {
    /// A node begins.
    Start(usize),
    /// The node with this number of its start announces itself.
    Announce(usize, usize),
    /// It reads the list of members.
    Look(usize, usize),
    /// The access node does.
    AccessLooks,
    /// It gives up what had no outcome for too long.
    Expire,
    /// It begins again.
    AccessStarts,
    /// A process that was stopped goes on.
    Resume(usize, usize),
    /// What was cut off is reached again.
    Mend(usize),
    /// A node dies.
    Kill(usize, usize),
    /// A node that leaves has let go of all, or takes too long.
    Leave(usize, usize),
    /// Something arrives that was sent before so many breaks.
    Parcel(Way, u64, Box<Parcel>),
    /// The ends of a stream learn that it is broken.
    Learn(Way, u64),
    /// The access node sends elsewhere what was sent on a stream that is broken.
    Reroute,
    /// It is dialled again.
    Dial(Way, u64),
    /// An owner is told that forwards were lost.
    TellLost(Way),
    /// A node hears that an access node is gone.
    AccessLost(Way),
}

/// A place for a message node.
#[derive(Debug)]
pub(crate) struct Slot {
    name: String,
    ahead_ms: u64,
    pub(crate) node: Option<SimNode>,
    pub(crate) id: NodeId,
    /// How many times it has begun.
    starts: usize,
    is_draining: bool,
    /// No other node reaches it, nor it another one, if so.
    cut: Option<Cut>,
    view: View,
    /// Who owns what, as this node was told.
    owners: Option<Owners>,
}

/// What a node is cut off from beside the others: from the list of members, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Others,
    OthersAndList,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) slots: Vec<Slot>,
    /// The list of members, with the times at which the leases end.
    leases: BTreeMap<NodeId, (Member, u64)>,
    /// The nodes as the access node sees them, for whatever is asked.
    pub(crate) directory: Arc<Mutex<Directory>>,
    streams: BTreeMap<Way, Stream>,
    /// Nodes that are dead and of which nobody hears that: their machines are gone with them.
    silent: BTreeSet<NodeId>,
    access: NodeId,
    access_view: View,
    pub(crate) is_access_up: bool,
    /// What has no outcome; in one place.
    kepts: Vec<Kept>,
    /// Where outcomes go that are told to terminals.
    pub(crate) sink: Arc<SimAccess>,
    partitions: PartitionCount,
    rng: Rng,
    next_id: u64,
    switch: Option<Switch>,
    undone: tamper::Undone,
}

/// Waits for one process to change.
type Turning<'a> = std::pin::Pin<Box<dyn Future<Output = (usize, Turn)> + Send + 'a>>;

fn peer_config() -> PeerConfig {
    PeerConfig::default()
}

/// One, unless what has gone to different nodes is to be kept apart.
fn vec_of_kept(nodes: usize, switch: Option<Switch>, sink: &Arc<SimAccess>) -> Vec<Kept> {
    let count = if switch == Some(Switch::KeptApart) { nodes } else { 1 };
    (0..count).map(|_| Kept::new(&peer_config(), sink.clone())).collect()
}

impl Drop for Fleet {
    /// The nodes know each other, and would keep each other for ever.
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut self.directory.lock().nodes);
        drop(nodes);
    }
}

impl Fleet {
    pub(crate) fn new(nodes: usize, partitions: PartitionCount, mut rng: Rng, switch: Option<Switch>) -> Self {
        let slots = (0..nodes).map(|place| Slot {
            name: format!("m{place}"),
            ahead_ms: rng.between(0, if switch == Some(Switch::ClocksApart) { FAR_AHEAD_MS_MAX } else { AHEAD_MS_MAX }),
            node: None,
            id: NodeId(0),
            starts: 0,
            is_draining: false,
            cut: None,
            view: View::default(),
            owners: None,
        });
        let slots = slots.collect();
        let directory = Directory {
            routes: View::default().routes(partitions),
            partitions,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
        };
        let sink = Arc::new(SimAccess::default());
        Self {
            slots,
            leases: BTreeMap::new(),
            directory: Arc::new(Mutex::new(directory)),
            streams: BTreeMap::new(),
            silent: BTreeSet::new(),
            access: NodeId::drawn(1 << 32),
            access_view: View::default(),
            is_access_up: true,
            kepts: vec_of_kept(nodes, switch, &sink),
            sink,
            partitions,
            rng,
            next_id: 1,
            switch,
            undone: tamper::Undone::default(),
        }
    }

    /// A connection of the access node.
    pub(crate) const fn connection(&self, number: u32) -> ConnectionId {
        ConnectionId::of_node(self.access, number)
    }

    pub(crate) const fn is_of_access(&self, id: ConnectionId) -> bool {
        id.is_of(self.access)
    }

    fn draw_id(&mut self) -> NodeId {
        self.next_id += 1;
        NodeId::drawn(self.next_id << 32)
    }

    fn place_of(&self, id: NodeId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id && slot.node.is_some())
    }

    fn node(&self, id: NodeId) -> Option<&SimNode> {
        self.place_of(id).and_then(|place| self.slots[place].node.as_ref())
    }

    fn is_alive(&self, id: NodeId) -> bool {
        if id == self.access { self.is_access_up } else { self.place_of(id).is_some() }
    }

    /// Whether all nodes are there and have nothing on.
    pub(crate) fn is_whole(&self) -> bool {
        let is_well = |slot: &Slot| {
            let node = slot.node.as_ref();
            node.is_some_and(|node| node.is_serving() && !node.gate.is_closed()) && !slot.is_draining
        };
        self.is_access_up && self.slots.iter().all(is_well)
    }

    /// Waits for one of the processes to change. Cancel-safe.
    pub(crate) async fn turn(&mut self) -> (usize, Turn) {
        let nodes = self.slots.iter_mut().enumerate().filter_map(|(place, slot)| Some((place, slot.node.as_mut()?)));
        let mut turns: Vec<Turning<'_>> = Vec::new();
        for (place, node) in nodes {
            turns.push(Box::pin(async move { (place, node.turn().await) }));
        }
        let sink = Arc::clone(&self.sink);
        turns.push(Box::pin(async move {
            sink.wait().await;
            (usize::MAX, Turn::Told)
        }));
        select_all(turns).await.0
    }
}

impl World {
    pub(crate) fn begin_fleet(&mut self) {
        let Some(fleet) = &mut self.fleet else { return };
        let places = fleet.slots.len();
        for place in 0..places {
            let millis = self.rng.between(0, 200);
            self.plan_in(millis, Happening::Fleet(Doing::Start(place)));
        }
        self.plan_in(250, Happening::Fleet(Doing::AccessLooks));
        self.plan_in(EXPIRE_MS, Happening::Fleet(Doing::Expire));
    }

    pub(crate) fn do_fleet(&mut self, doing: Doing) {
        match doing {
            Doing::Start(place) => self.start_slot(place),
            Doing::Announce(place, start) => self.announce(place, start),
            Doing::Look(place, start) => self.look(place, start),
            Doing::AccessLooks => self.access_looks(),
            Doing::Expire if self.broken(Switch::NotSentAgain) => {}
            Doing::Expire => {
                self.with_kept(|kept, ways| kept.expire(Instant::now(), ways));
                self.plan_in(EXPIRE_MS, Happening::Fleet(Doing::Expire));
            }
            Doing::AccessStarts => self.start_access(),
            Doing::Resume(place, start) => {
                if let Some(node) = self.life(place, start) {
                    node.gate.open();
                }
            }
            Doing::Mend(place) => self.set_cut(place, None),
            Doing::Kill(place, start) => {
                if !self.work.is_over && self.life(place, start).is_some() {
                    self.kill_slot(place, 300);
                }
            }
            Doing::Leave(place, start) => self.leave(place, start),
            Doing::Parcel(way, epoch, parcel) => self.arrive(way, epoch, *parcel),
            Doing::Learn(way, epoch) => self.learn(way, epoch),
            Doing::Reroute => self.with_kept(|kept, ways| kept.reroute(ways, || true)),
            Doing::Dial(way, epoch) => self.dial_node(way, epoch),
            Doing::TellLost(way) => self.tell_lost(way),
            Doing::AccessLost(way) => self.tell_access_lost(way),
        }
    }

    /// The process with this number of its start in a place, if it is alive.
    fn life(&self, place: usize, start: usize) -> Option<&SimNode> {
        let slot = self.fleet.as_ref()?.slots.get(place)?;
        slot.node.as_ref().filter(|_| slot.starts == start)
    }

    fn start_slot(&mut self, place: usize) {
        let Some(fleet) = self.fleet.as_mut().filter(|fleet| fleet.slots[place].node.is_none()) else { return };
        let id = fleet.draw_id();
        let slot = &mut fleet.slots[place];
        slot.id = id;
        slot.starts += 1;
        slot.is_draining = false;
        slot.view = View::default();
        slot.owners = None;
        let among = Among {
            name: slot.name.clone(),
            id,
            ahead_ms: slot.ahead_ms,
            directory: Arc::clone(&fleet.directory),
            goes_on: fleet.switch == Some(Switch::StandstillUnnoticed),
            asks_nobody: fleet.switch == Some(Switch::ArchiverUnasked),
        };
        let node = SimNode::start(&self.fakes, &self.message_config, &self.clock, Some(&among));
        fleet.directory.lock().nodes.insert(id, node.reachable());
        slot.node = Some(node);
        let (start, cut) = (slot.starts, slot.cut);
        self.set_cut(place, cut);
        self.starts += 1;
        self.note_online();
        let killed = !self.work.is_over && self.rng.chance(self.plan.killed_starts);
        if killed {
            let millis = self.rng.delay(40, 4_000, 300);
            self.plan_in(millis, Happening::Fleet(Doing::Kill(place, start)));
        }
        self.announce(place, start);
        self.look(place, start);
    }

    /// The access node begins anew: nobody is connected, and nothing is kept.
    fn start_access(&mut self) {
        let Some(fleet) = self.fleet.as_mut().filter(|fleet| !fleet.is_access_up) else { return };
        fleet.access = fleet.draw_id();
        fleet.access_view = View::default();
        fleet.is_access_up = true;
    }

    pub(crate) fn crash_access(&mut self, down_ms: u64) {
        let Some(fleet) = self.fleet.as_mut().filter(|fleet| fleet.is_access_up) else { return };
        fleet.is_access_up = false;
        fleet.sink = Arc::new(SimAccess::default());
        fleet.kepts = vec_of_kept(fleet.slots.len(), fleet.switch, &fleet.sink);
        let access = fleet.access;
        self.end_streams(access);
        self.lose_connections();
        self.plan_in(down_ms, Happening::Fleet(Doing::AccessStarts));
    }

    /// A node dies with everything in it, and begins again later.
    pub(crate) fn kill_slot(&mut self, place: usize, down_ms: u64) {
        let Some(fleet) = &mut self.fleet else { return };
        let slot = &mut fleet.slots[place];
        let Some(node) = slot.node.take() else { return };
        // What it had said before is on its way, or was never sent.
        drop(node);
        let id = slot.id;
        if fleet.rng.chance(500) {
            fleet.silent.insert(id);
        }
        fleet.directory.lock().nodes.remove(&id);
        self.fakes.crash_of(id);
        self.end_streams(id);
        self.plan_in(down_ms, Happening::Fleet(Doing::Start(place)));
    }

    /// A node gave up on an error that it cannot mend, or was told to end.
    pub(crate) fn slot_ended(&mut self, place: usize) {
        let why = self.fleet.as_mut().and_then(|fleet| fleet.slots.get_mut(place)?.node.as_mut());
        if let Some(node) = why {
            self.last_error = std::mem::take(&mut node.why_ended);
        }
        self.kill_slot(place, 300);
    }

    /// A node that was told to leave has nothing left, or is cut off.
    fn leave(&mut self, place: usize, start: usize) {
        if self.life(place, start).is_some() {
            if let Some(fleet) = &mut self.fleet
                && !fleet.is_cut_from_list(place)
            {
                let id = fleet.slots[place].id;
                fleet.leases.remove(&id);
            }
            let millis = self.rng.between(100, 2_000);
            self.kill_slot(place, millis);
        }
    }
}
