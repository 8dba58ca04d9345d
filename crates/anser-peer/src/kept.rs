//! Publishes that have no outcome yet, of all connections of this node.
//!
//! Each is sent to the node of its user and kept until it is settled. After a break of the way, or when the user's node is
//! another one, what is kept is sent again in the order in which it came, before anything newer of the same users. The owner
//! of the conversation recognises what it has accepted.
//!
//! One lock is held over choosing a node and handing the publishes on, so that nothing overtakes what is sent again. Outcomes
//! may come from below that lock (a service that refuses at once); they wait in an inbox for whoever holds it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anser_cluster::{AccessService, Publish, Refusal, Settled};
use anser_types::{ConnectionId, ConversationType, MessageClass, NodeId, TargetId, UserKey};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::PeerConfig;

#[cfg(test)]
mod tests;

/// Publishes that are sent again in one frame.
const AGAIN_MAX: usize = 128;
/// What a publish takes beside its content.
const PUBLISH_BYTES: usize = 512;

/// How publishes get to a node, and who says which.
pub(crate) trait Ways {
    /// The node of a user now.
    fn node_of(&self, user: &UserKey) -> Option<NodeId>;

    /// Hands publishes on, in order. Whether they are on their way; if not, they will be sent again once the way is open.
    fn send(&self, to: NodeId, attempt: u32, publishes: Vec<Publish>) -> bool;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Kept {
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
    deadline: Instant,
}

impl Kept {
    pub(crate) fn new(config: &PeerConfig, access: Arc<dyn AccessService>) -> Self {
        let limits = Limits {
            publishes_max: config.kept_max,
            bytes_max: config.kept_bytes_max,
            timeout: config.publish_timeout,
        };
        let state = State { entries: HashMap::new(), loads: HashMap::new(), next: 0, limits };
        Self { state: Mutex::new(state), inbox: Mutex::default(), access }
    }

    /// Takes publishes of one connection, and sends them to the node of its user. What finds no room is refused.
    pub(crate) fn publish(&self, publishes: Vec<Publish>, ways: &impl Ways, now: Instant) {
        let refused = self.with(|state| state.publish(publishes, ways, now));
        self.tell(refused);
    }

    /// The way to a node is open: what is kept for it is sent again. `open` opens it, before anything else can be sent.
    pub(crate) fn opened(&self, node: NodeId, ways: &impl Ways, open: impl FnOnce()) {
        self.with(|state| {
            open();
            state.again(ways, |entry| (entry.node == Some(node)).then_some(node));
        });
    }

    /// Users may have other nodes once `change` is made, which says so: what is kept for those whose node has changed is sent there
    /// before anything newer can be.
    pub(crate) fn reroute(&self, ways: &impl Ways, change: impl FnOnce() -> bool) {
        self.with(|state| {
            if !change() {
                return;
            }
            let mut nodes: HashMap<UserKey, Option<NodeId>> = HashMap::new();
            state.again(ways, |entry| {
                let user = &entry.publish.sender;
                let node = match nodes.get(user) {
                    Some(node) => *node,
                    None => *nodes.entry(user.clone()).or_insert_with(|| ways.node_of(user)),
                };
                node.filter(|_| node != entry.node)
            });
        });
    }

    /// Refuses what had no outcome for too long, and with it whatever follows in the same conversation: accepted, it would
    /// stand before what the client sends again.
    pub(crate) fn expire(&self, now: Instant) {
        let refused = self.with(|state| state.expire(now));
        self.tell(refused);
    }

    /// Outcomes from a node. A refusal counts only from the node that the publish was sent to last; an acceptance is true
    /// wherever it comes from.
    pub(crate) fn settled(&self, from: NodeId, settled: Vec<Settled>) {
        self.inbox.lock().extend(settled.into_iter().map(|settled| (from, settled)));
        self.work_off();
    }

    /// How many publishes are kept.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().entries.len()
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
            let settled = inbox.into_iter().filter(|(from, settled)| state.settle(*from, settled));
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
        let mut node = None;
        let mut group: Vec<Publish> = Vec::with_capacity(publishes.len());
        for publish in publishes {
            // Mostly all are of one user.
            if group.last().is_none_or(|last| last.sender != publish.sender) {
                self.send_new(node, std::mem::take(&mut group), ways);
                node = ways.node_of(&publish.sender);
            }
            if publish.class == MessageClass::Status {
                group.push(publish);
            } else if self.is_full(node) {
                refused.push(refusal_of(&publish));
            } else {
                self.keep(publish.clone(), node, now);
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

    fn keep(&mut self, publish: Publish, node: Option<NodeId>, now: Instant) {
        self.next += 1;
        let key = key_of(&publish);
        let deadline = now + self.limits.timeout;
        self.load(node, &publish, true);
        let entry = Entry { publish, node, order: self.next, attempts: 0, deadline };
        if let Some(earlier) = self.entries.insert(key, entry) {
            self.load(earlier.node, &earlier.publish, false);
        }
    }

    fn send_new(&mut self, node: Option<NodeId>, group: Vec<Publish>, ways: &impl Ways) {
        let Some(node) = node.filter(|_| !group.is_empty()) else { return };
        let keys: Vec<_> = group.iter().map(key_of).collect();
        if ways.send(node, 0, group) {
            for key in keys {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.attempts = 1;
                }
            }
        }
    }

    /// Sends those again for which `node` names one, in order.
    fn again(&mut self, ways: &impl Ways, mut node: impl FnMut(&Entry) -> Option<NodeId>) {
        let mut due: Vec<(u64, Key, NodeId)> = Vec::new();
        for (key, entry) in &self.entries {
            if let Some(node) = node(entry) {
                due.push((entry.order, *key, node));
            }
        }
        due.sort_unstable();
        for (_, key, node) in &due {
            self.move_to(key, *node);
        }
        let mut groups: HashMap<NodeId, (u32, Vec<Publish>)> = HashMap::new();
        for (_, key, node) in due {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let (attempt, group) = groups.entry(node).or_default();
            if !group.is_empty() && (*attempt != entry.attempts || group.len() >= AGAIN_MAX) {
                ways.send(node, *attempt, std::mem::take(group));
            }
            *attempt = entry.attempts;
            group.push(entry.publish.clone());
            entry.attempts = entry.attempts.saturating_add(1);
        }
        for (node, (attempt, group)) in groups {
            ways.send(node, attempt, group);
        }
    }

    fn move_to(&mut self, key: &Key, node: NodeId) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let before = entry.node.replace(node);
        if before != Some(node) {
            let publish = entry.publish.clone();
            self.load(before, &publish, false);
            self.load(Some(node), &publish, true);
        }
    }

    fn settle(&mut self, from: NodeId, settled: &Settled) -> bool {
        let key = (settled.connection, settled.publish);
        let counts = |entry: &Entry| entry.node == Some(from) || settled.outcome.is_ok();
        self.entries.get(&key).is_some_and(counts) && self.remove(&key).is_some()
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.load(entry.node, &entry.publish, false);
        Some(entry)
    }

    fn expire(&mut self, now: Instant) -> Vec<Settled> {
        let late = self.entries.values().filter(|entry| entry.deadline <= now).map(|entry| stream_of(&entry.publish));
        let late: HashSet<Stream> = late.collect();
        if late.is_empty() {
            return Vec::new();
        }
        let behind = self.entries.iter().filter(|(_, entry)| late.contains(&stream_of(&entry.publish)));
        let mut keys: Vec<_> = behind.map(|(key, entry)| (entry.order, *key)).collect();
        keys.sort_unstable();
        let removed = keys.iter().filter_map(|(_, key)| self.remove(key));
        removed.map(|entry| refusal_of(&entry.publish)).collect()
    }

    fn load(&mut self, node: Option<NodeId>, publish: &Publish, more: bool) {
        let load = self.loads.entry(node).or_default();
        let bytes = PUBLISH_BYTES + publish.content.len();
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

/// What has to stay in order: the publishes of one connection to one conversation.
type Stream = (ConnectionId, ConversationType, TargetId);

fn stream_of(publish: &Publish) -> Stream {
    (publish.origin.connection, publish.kind, publish.target.clone())
}

const fn key_of(publish: &Publish) -> Key {
    (publish.origin.connection, publish.origin.publish)
}

const fn refusal_of(publish: &Publish) -> Settled {
    Settled {
        connection: publish.origin.connection,
        publish: publish.origin.publish,
        outcome: Err(Refusal::UNAVAILABLE),
    }
}
