//! Publishes that have no outcome yet, of all connections of this node.
//!
//! Each is sent to the node of its user and kept until it is settled. After a break of the way what is kept is sent again in the
//! order in which it came, before anything newer of the same users. The owner of the conversation recognises what it has
//! accepted.
//!
//! When a user gets another node, what the old one has stays with it as long as it answers, and what is newer is held until that
//! is settled: in the queues of two nodes, the newer could overtake the older. If the old node does not answer, all of it goes
//! to the new one, and the way to the old one is broken, though it may be open: so that node drops what it has. What was given up
//! stays there in the same way: its client was told to try again, and the old node may accept it still.
//!
//! The queue of a user gives each message a time above that of the one before. It is in the memory of one node, so a queue that
//! begins anew on another knows nothing of what the first had accepted, and its clock may be behind. Therefore the newest times
//! that users were told are remembered here, for longer than clocks may be apart, and go along as floors.
//!
//! One lock is held over choosing a node and handing the publishes on, so that nothing overtakes what is sent again. Outcomes
//! may come from below that lock (a service that refuses at once); they wait in an inbox for whoever holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{AccessService, Publish, Settled};
use anser_types::{ConnectionId, ConversationType, MessageClass, NodeId, TargetId, Timestamp, UserKey};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::PeerConfig;
use crate::link::TOGETHER_BYTES_MAX;

mod given_up;
#[cfg(test)]
mod tests;

/// Publishes that are sent again in one frame.
const AGAIN_MAX: usize = 128;
/// What a publish takes beside its content.
const PUBLISH_BYTES: usize = 512;
/// How long it is remembered which time a user was told, and of how many users. Clocks of nodes are nearer to each other.
const TOLD_FOR: Duration = Duration::from_secs(5);
const TOLD_MAX: usize = 262_144;

/// How publishes get to a node, and who says which.
pub trait Ways {
    /// The node of a user now.
    fn node_of(&self, user: &UserKey) -> Option<NodeId>;

    /// Whether a node is there and the way to it is open: what it has is settled soon.
    fn answers(&self, node: NodeId) -> bool;

    /// Hands publishes on, in order. Whether they are on their way; if not, they will be sent again once the way is open.
    fn send(&self, to: NodeId, attempt: u32, publishes: Vec<Publish>) -> bool;

    /// Breaks the way to a node, if it is open: what was sent on it goes to others, and must not be passed on there.
    fn break_off(&self, node: NodeId);
}

/// See the module.
#[derive(Debug)]
pub struct Kept {
    state: Mutex<State>,
    /// Outcomes that have come, with the nodes that they are from. Empty but for moments.
    inbox: Mutex<Vec<(NodeId, Settled)>>,
    /// Who gets the outcomes.
    access: Arc<dyn AccessService>,
}

#[derive(Debug)]
struct State {
    entries: HashMap<Key, Entry>,
    loads: HashMap<Option<NodeId>, Load>,
    /// The newest time that a user was told, and when.
    told: HashMap<UserKey, (Timestamp, Instant)>,
    /// The node that has publishes of a user, and how many.
    places: HashMap<UserKey, (NodeId, usize)>,
    /// What is held of each user, in the order in which it came. Some of it may have been given up meanwhile.
    held: HashMap<UserKey, Vec<Key>>,
    /// Users of whom no node has anything any more, and something is held.
    free: Vec<UserKey>,
    next: u64,
    limits: Limits,
}

type Key = (ConnectionId, u64);

#[derive(Debug, Clone, Copy)]
struct Limits {
    publishes_max: usize,
    bytes_max: usize,
    timeout: std::time::Duration,
}

/// What is kept for one node: its own bound, so that a slow node refuses only what is for itself.
#[derive(Debug, Default)]
struct Load {
    publishes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    publish: Publish,
    /// Where it was sent, or is to be sent.
    node: Option<NodeId>,
    /// In which order it came.
    order: u64,
    /// How often it was sent.
    attempts: u32,
    /// Whether it waits until another node has settled what it has of the user.
    is_held: bool,
    /// Whether its client was told to try again. It stays until its node has settled it.
    is_given_up: bool,
    /// When it is given up; once it is, until when it stays.
    deadline: Instant,
}

impl Kept {
    /// Nothing is kept yet.
    pub fn new(config: &PeerConfig, access: Arc<dyn AccessService>) -> Self {
        let limits = Limits {
            publishes_max: config.kept_max,
            bytes_max: config.kept_bytes_max,
            timeout: config.publish_timeout,
        };
        let state = State {
            entries: HashMap::new(),
            loads: HashMap::new(),
            told: HashMap::new(),
            places: HashMap::new(),
            held: HashMap::new(),
            free: Vec::new(),
            next: 0,
            limits,
        };
        Self { state: Mutex::new(state), inbox: Mutex::default(), access }
    }

    /// Takes publishes of one connection, and sends them to the node of its user. What finds no room is refused.
    pub fn publish(&self, publishes: Vec<Publish>, ways: &impl Ways, now: Instant) {
        let refused = self.with(|state| state.publish(publishes, ways, now));
        self.tell(refused);
    }

    /// The way to a node is open: what is kept for it is sent again. `open` opens it, before anything else can be sent.
    pub fn opened(&self, node: NodeId, ways: &impl Ways, open: impl FnOnce()) {
        self.with(|state| {
            open();
            state.again(ways, |entry| (entry.node == Some(node) && !entry.is_held).then_some(node));
            state.release(ways);
        });
    }

    /// Users may have other nodes once `change` is made, which says so, or nodes do not answer any more: what is kept for those
    /// whose node has changed is sent there before anything newer can be, unless it is where it is settled soon.
    pub fn reroute(&self, ways: &impl Ways, change: impl FnOnce() -> bool) {
        self.with(|state| {
            if change() {
                state.move_to_homes(ways);
            }
        });
    }

    /// Refuses what had no outcome for too long, and with it whatever follows in the same conversation: accepted, it would
    /// stand before what the client sends again.
    pub fn expire(&self, now: Instant, ways: &impl Ways) {
        let refused = self.with(|state| {
            let refused = state.expire(now, ways);
            state.free = state.held.keys().cloned().collect();
            state.release(ways);
            refused
        });
        self.tell(refused);
    }

    /// Outcomes from a node. A refusal counts only from the node that the publish was sent to last; an acceptance is true
    /// wherever it comes from.
    pub fn settled(&self, from: NodeId, settled: Vec<Settled>, ways: &impl Ways) {
        self.inbox.lock().extend(settled.into_iter().map(|settled| (from, settled)));
        self.work_off();
        // If somebody holds the lock, the next outcome or the next look releases what is held.
        let is_some_free = self.state.try_lock().is_some_and(|state| !state.free.is_empty());
        if is_some_free {
            self.with(|state| state.release(ways));
        } else {
            // Of what came while the lock was held for the look.
            self.work_off();
        }
    }

    /// How many publishes have no outcome.
    pub fn len(&self) -> usize {
        self.with(|state| state.entries.values().filter(|entry| !entry.is_given_up).count())
    }

    /// Whether all have one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock());
        self.work_off();
        result
    }

    /// Takes in what is in the inbox. If somebody else holds the lock, that one does it afterwards.
    fn work_off(&self) {
        loop {
            if self.inbox.lock().is_empty() {
                return;
            }
            let Some(mut state) = self.state.try_lock() else { return };
            let inbox = std::mem::take(&mut *self.inbox.lock());
            let now = Instant::now();
            let settled = inbox.into_iter().filter(|(from, settled)| state.settle(*from, settled, now));
            let settled: Vec<_> = settled.map(|(_, settled)| settled).collect();
            drop(state);
            self.tell(settled);
        }
    }

    fn tell(&self, settled: Vec<Settled>) {
        if !settled.is_empty() {
            self.access.settle(settled);
        }
    }
}

impl State {
    fn publish(&mut self, publishes: Vec<Publish>, ways: &impl Ways, now: Instant) -> Vec<Settled> {
        let mut refused = Vec::new();
        let (mut node, mut is_held) = (None, false);
        let mut group: Vec<Publish> = Vec::with_capacity(publishes.len());
        for mut publish in publishes {
            publish.floor = publish.floor.max(self.told_to(&publish.sender));
            // Mostly all are of one user.
            if group.last().is_none_or(|last| last.sender != publish.sender) {
                self.send_new(node, std::mem::take(&mut group), ways);
                node = ways.node_of(&publish.sender);
                is_held = self.is_held_up(&publish.sender, node, ways);
            }
            if publish.class == MessageClass::Status {
                group.push(publish);
            } else if self.is_full(node) {
                refused.push(publish.refused());
            } else if is_held {
                self.keep(publish, node, true, now);
            } else {
                self.keep(publish.clone(), node, false, now);
                group.push(publish);
            }
        }
        self.send_new(node, group, ways);
        refused
    }

    fn is_full(&self, node: Option<NodeId>) -> bool {
        let full = |load: &Load| load.publishes >= self.limits.publishes_max || load.bytes >= self.limits.bytes_max;
        self.loads.get(&node).is_some_and(full)
    }

    fn keep(&mut self, publish: Publish, node: Option<NodeId>, is_held: bool, now: Instant) {
        self.next += 1;
        let key = key_of(&publish);
        let deadline = now + self.limits.timeout;
        self.load(node, &publish, true);
        self.remove(&key);
        if is_held {
            self.held.entry(publish.sender.clone()).or_default().push(key);
        }
        let entry = Entry { publish, node, order: self.next, attempts: 0, is_held, is_given_up: false, deadline };
        self.entries.insert(key, entry);
    }

    /// Whether another node than this one has publishes of the user.
    fn is_elsewhere(&self, user: &UserKey, node: Option<NodeId>) -> bool {
        self.places.get(user).is_some_and(|(place, _)| node != Some(*place))
    }

    /// Whether what is new of a user waits for what came before. What need not wait any more goes out first: whoever had the rest may have
    /// settled it just now.
    fn is_held_up(&mut self, user: &UserKey, node: Option<NodeId>, ways: &impl Ways) -> bool {
        if self.held.contains_key(user) && !self.is_elsewhere(user, node) {
            self.free.push(user.clone());
            self.release(ways);
        }
        self.held.contains_key(user) || self.is_elsewhere(user, node)
    }

    /// A publish of a user went to a node.
    fn note_place(&mut self, user: &UserKey, node: NodeId) {
        match self.places.get_mut(user) {
            Some(place) => *place = (node, place.1 + 1),
            None => drop(self.places.insert(user.clone(), (node, 1))),
        }
    }

    /// A publish of a user is at no node any more.
    fn forget_place(&mut self, user: &UserKey) {
        if let Some(place) = self.places.get_mut(user) {
            place.1 = place.1.saturating_sub(1);
            if place.1 == 0 {
                self.places.remove(user);
                if self.held.contains_key(user) {
                    self.free.push(user.clone());
                }
            }
        }
    }

    fn send_new(&mut self, node: Option<NodeId>, group: Vec<Publish>, ways: &impl Ways) {
        let Some(node) = node.filter(|_| !group.is_empty()) else { return };
        let keys: Vec<_> = group.iter().map(key_of).collect();
        if ways.send(node, 0, group) {
            for key in keys {
                let Some(entry) = self.entries.get_mut(&key) else { continue };
                entry.attempts = 1;
                let user = entry.publish.sender.clone();
                self.note_place(&user, node);
            }
        }
    }

    /// Sends to the nodes of their users what is elsewhere, or was held, where nothing is at an old node that answers.
    fn move_to_homes(&mut self, ways: &impl Ways) {
        let mut homes: HashMap<UserKey, Option<NodeId>> = HashMap::new();
        for entry in self.entries.values() {
            let user = &entry.publish.sender;
            if !homes.contains_key(user) {
                homes.insert(user.clone(), self.free_home(user, ways));
            }
        }
        self.held.retain(|user, _| homes.get(user).is_some_and(Option::is_none));
        let left = homes.iter().filter_map(|(user, home)| {
            let (place, _) = *self.places.get(user)?;
            home.is_some_and(|home| home != place).then_some(place)
        });
        let left: BTreeSet<NodeId> = left.collect();
        left.into_iter().for_each(|node| ways.break_off(node));
        self.again(ways, |entry| {
            let home = homes.get(&entry.publish.sender).copied().flatten();
            home.filter(|_| home != entry.node || entry.is_held)
        });
    }

    /// Sends what was held of users of whom no other node has anything any more. What is at one that does not answer goes first: see
    /// [`Kept::reroute`].
    fn release(&mut self, ways: &impl Ways) {
        let mut due = Vec::new();
        for user in std::mem::take(&mut self.free) {
            let home = ways.node_of(&user);
            let Some(home) = home.filter(|_| !self.is_elsewhere(&user, home)) else { continue };
            let held = self.held.remove(&user).unwrap_or_default();
            let still_held = held.into_iter().filter_map(|key| Some((key, self.entries.get(&key)?)));
            due.extend(still_held.filter(|(_, entry)| entry.is_held).map(|(key, entry)| (entry.order, key, home)));
        }
        self.send_again(due, ways);
    }

    /// The node of a user, if nothing of the user is at another one that answers.
    fn free_home(&self, user: &UserKey, ways: &impl Ways) -> Option<NodeId> {
        let home = ways.node_of(user);
        let place = self.places.get(user).map(|(node, _)| *node).filter(|node| home != Some(*node));
        home.filter(|_| !place.is_some_and(|place| ways.answers(place)))
    }

    /// Sends those again for which `node` names one, in order. What was given up is not: whoever had it has it no more.
    fn again(&mut self, ways: &impl Ways, mut node: impl FnMut(&Entry) -> Option<NodeId>) {
        let mut due: Vec<(u64, Key, NodeId)> = Vec::new();
        let mut gone: Vec<Key> = Vec::new();
        for (key, entry) in &self.entries {
            match node(entry) {
                Some(_) if entry.is_given_up => gone.push(*key),
                Some(node) => due.push((entry.order, *key, node)),
                None => {}
            }
        }
        for key in gone {
            self.remove(&key);
        }
        self.send_again(due, ways);
    }

    fn send_again(&mut self, mut due: Vec<(u64, Key, NodeId)>, ways: &impl Ways) {
        due.sort_unstable();
        for (_, key, node) in &due {
            self.move_to(key, *node);
        }
        let mut groups: BTreeMap<NodeId, Group> = BTreeMap::new();
        for (_, key, node) in due {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let group = groups.entry(node).or_default();
            if !group.has_room_for(entry) {
                let Group { attempt, publishes, .. } = std::mem::take(group);
                ways.send(node, attempt, publishes);
            }
            group.attempt = entry.attempts;
            group.bytes += entry.publish.payload_bytes();
            let told = self.told.get(&entry.publish.sender).map_or(Timestamp::ZERO, |(time, _)| *time);
            entry.publish.floor = entry.publish.floor.max(told);
            group.publishes.push(entry.publish.clone());
            entry.attempts = entry.attempts.saturating_add(1);
        }
        for (node, Group { attempt, publishes, .. }) in groups {
            ways.send(node, attempt, publishes);
        }
    }

    fn move_to(&mut self, key: &Key, node: NodeId) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let before = entry.node.replace(node);
        entry.is_held = false;
        let (publish, was_sent) = (entry.publish.clone(), entry.attempts > 0);
        if before != Some(node) {
            self.load(before, &publish, false);
            self.load(Some(node), &publish, true);
        }
        if was_sent {
            self.forget_place(&publish.sender);
        }
        self.note_place(&publish.sender, node);
    }

    fn settle(&mut self, from: NodeId, settled: &Settled, now: Instant) -> bool {
        let key = (settled.connection, settled.publish);
        let counts = |entry: &Entry| entry.node == Some(from) || settled.outcome.is_ok();
        if !self.entries.get(&key).is_some_and(counts) {
            return false;
        }
        let Some(entry) = self.remove(&key) else { return false };
        if let Ok(accepted) = settled.outcome {
            self.note_told(entry.publish.sender, accepted.sent, now);
        }
        !entry.is_given_up
    }

    fn note_told(&mut self, user: UserKey, time: Timestamp, now: Instant) {
        if self.told.len() < TOLD_MAX || self.told.contains_key(&user) {
            let told = self.told.entry(user).or_insert((time, now));
            *told = (told.0.max(time), now);
        }
    }

    fn told_to(&self, user: &UserKey) -> Timestamp {
        self.told.get(user).map_or(Timestamp::ZERO, |(time, _)| *time)
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.load(entry.node, &entry.publish, false);
        if entry.attempts > 0 {
            self.forget_place(&entry.publish.sender);
        }
        Some(entry)
    }

    fn load(&mut self, node: Option<NodeId>, publish: &Publish, more: bool) {
        let load = self.loads.entry(node).or_default();
        let bytes = PUBLISH_BYTES + publish.payload_bytes();
        if more {
            load.publishes += 1;
            load.bytes += bytes;
        } else {
            load.publishes = load.publishes.saturating_sub(1);
            load.bytes = load.bytes.saturating_sub(bytes);
            if load.publishes == 0 {
                self.loads.remove(&node);
            }
        }
    }
}

/// Publishes that are sent again in one frame.
#[derive(Default)]
struct Group {
    attempt: u32,
    bytes: usize,
    publishes: Vec<Publish>,
}

impl Group {
    fn has_room_for(&self, entry: &Entry) -> bool {
        let bytes = self.bytes + entry.publish.payload_bytes();
        let has_room = self.publishes.len() < AGAIN_MAX && bytes <= TOGETHER_BYTES_MAX;
        self.publishes.is_empty() || (self.attempt == entry.attempts && has_room)
    }
}

/// What has to stay in order: the publishes of one connection to one conversation.
type Stream = (ConnectionId, ConversationType, TargetId);

fn stream_of(publish: &Publish) -> Stream {
    (publish.origin.connection, publish.kind, publish.target.clone())
}

const fn key_of(publish: &Publish) -> Key {
    (publish.origin.connection, publish.origin.publish)
}
