//! What all parts of a node's calls share: the routes, the links to others, the sessions of others, and the services here.

mod ask;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anser_backend::{Member, Role};
use anser_cluster::{AccessService, Claims, ConnectionIds, Publish, Settled, Way};
use anser_runtime::{Fate, Tasks};
use anser_types::{ConnectionId, NodeId, PartitionCount, UserKey};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::PeerConfig;
use crate::accept::Session;
use crate::dial;
use crate::kept::{Kept, Ways};
use crate::link::Link;
use crate::node::Local;
use crate::routes::{Claimed, Routes};
use crate::suspicions::Suspicions;
use crate::tls::Certificates;
use crate::wire::{Frame, Hello};

/// See the module.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) hello: Hello,
    pub(crate) config: PeerConfig,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) ids: Arc<ConnectionIds>,
    pub(crate) partitions: PartitionCount,
    /// The terminals of this node, if it has any.
    pub(crate) terminals: Option<Arc<dyn AccessService>>,
    pub(crate) kept: Kept,
    pub(crate) tasks: Tasks,
    /// Counts what the server API publishes.
    pub(crate) server_publishes: AtomicU64,
    /// Counts the ways on which access nodes send publishes, and that of the terminals here.
    ways: AtomicU64,
    way_here: AtomicU64,
    /// Told when somebody is suspected, or no more.
    pub(crate) recheck: Notify,
    pub(crate) local: OnceLock<Local>,
    routes: ArcSwap<Routes>,
    changes: watch::Sender<u64>,
    links: RwLock<HashMap<NodeId, Arc<Link>>>,
    sessions: RwLock<HashMap<NodeId, Arc<Session>>>,
    /// Whether all of these have ended, for good.
    has_ended: AtomicBool,
    suspicions: Mutex<Suspicions>,
    /// What each node has said last of its claims; also of this one.
    claimed: Mutex<Claimed>,
}

/// Nobody has terminals here, so nobody publishes here either.
#[derive(Debug)]
struct NoTerminals;

impl AccessService for NoTerminals {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: anser_cluster::Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: anser_types::Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: anser_types::Position, _: Option<&[NodeId]>) {}
    fn sign_out(&self, _: &UserKey, _: anser_cluster::SignOut) {}
    fn is_online(&self, _: &UserKey) -> anser_cluster::BoxFuture<'_, Result<bool, anser_cluster::Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// What a hub is made of.
pub(crate) struct HubParts {
    pub(crate) hello: Hello,
    pub(crate) config: PeerConfig,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) ids: Arc<ConnectionIds>,
    pub(crate) partitions: PartitionCount,
    pub(crate) terminals: Option<Arc<dyn AccessService>>,
    pub(crate) tasks: Tasks,
}

impl Hub {
    pub(crate) fn new(parts: HubParts) -> Arc<Self> {
        let HubParts { hello, config, certificates, ids, partitions, terminals, tasks } = parts;
        let settles = terminals.clone().unwrap_or_else(|| Arc::new(NoTerminals));
        Arc::new(Self {
            kept: Kept::new(&config, settles),
            hello,
            config,
            certificates,
            ids,
            partitions,
            terminals,
            tasks,
            server_publishes: AtomicU64::new(0),
            ways: AtomicU64::new(0),
            way_here: AtomicU64::new(0),
            recheck: Notify::new(),
            local: OnceLock::new(),
            routes: ArcSwap::from_pointee(Routes::nobody(partitions)),
            changes: watch::Sender::new(0),
            links: RwLock::default(),
            sessions: RwLock::default(),
            has_ended: AtomicBool::new(false),
            suspicions: Mutex::default(),
            claimed: Mutex::default(),
        })
    }

    pub(crate) const fn me(&self) -> NodeId {
        self.hello.node
    }

    pub(crate) fn routes(&self) -> arc_swap::Guard<Arc<Routes>> {
        self.routes.load()
    }

    pub(crate) fn local(&self) -> Local {
        self.local.get().cloned().unwrap_or_default()
    }

    pub(crate) fn link(&self, node: NodeId) -> Option<Arc<Link>> {
        self.links.read().get(&node).cloned()
    }

    /// The link to a node, made if there is none: it leads nowhere until the node is a member. Whoever is new was named by a user's
    /// presence or a claim before the list of members was read again: what it is to be told waits in the link.
    pub(crate) fn link_or_new(&self, node: NodeId) -> Arc<Link> {
        if let Some(link) = self.link(node) {
            return link;
        }
        let new = || Arc::new(Link::new(node, &self.config));
        Arc::clone(self.links.write().entry(node).or_insert_with(new))
    }

    /// The sessions of the nodes that a connection may be of: mostly one.
    pub(crate) fn sessions_of(&self, connection: ConnectionId) -> Vec<Arc<Session>> {
        let sessions = self.sessions.read();
        sessions.iter().filter(|(node, _)| connection.is_of(**node)).map(|(_, session)| Arc::clone(session)).collect()
    }

    pub(crate) fn session(&self, node: NodeId) -> Option<Arc<Session>> {
        self.sessions.read().get(&node).cloned()
    }

    fn new_way(&self) -> Way {
        Way(self.ways.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A node has dialled this one. Its earlier session, if there is one, is over. Returns the way on which it sends.
    pub(crate) fn enter(&self, node: NodeId, session: &Arc<Session>) -> Way {
        let mut sessions = self.sessions.write();
        // Under the lock: of two at the same time, the one that stays has the later way.
        let way = self.new_way();
        let earlier = sessions.insert(node, Arc::clone(session));
        drop(sessions);
        if self.has_ended.load(Ordering::SeqCst) {
            // Whoever dials this node has not heard yet that it has left.
            session.close();
        }
        if let Some(earlier) = earlier {
            earlier.close();
            self.tell_access_lost(node, way);
        }
        let claimed = self.claimed.lock();
        session.put(&Frame::Claims(claimed.get(&self.me()).cloned().unwrap_or_default()));
        drop(claimed);
        way
    }

    pub(crate) fn leave(&self, node: NodeId, session: &Arc<Session>) {
        let mut sessions = self.sessions.write();
        if sessions.get(&node).is_some_and(|present| Arc::ptr_eq(present, session)) {
            sessions.remove(&node);
            let next = self.new_way();
            drop(sessions);
            self.tell_access_lost(node, next);
        }
    }

    /// Tells the queues here that what a node sent them on earlier ways it will send again.
    fn tell_access_lost(&self, node: NodeId, before: Way) {
        if let Some(owner) = self.local().owner {
            owner.access_lost(node, before);
        }
    }

    /// Has everybody dial anew, and send again what has no outcome. This node's own terminals, too.
    pub(crate) fn begin_anew(&self) {
        let (sessions, next) = {
            let mut sessions = self.sessions.write();
            (std::mem::take(&mut *sessions), self.new_way())
        };
        for (node, session) in sessions {
            session.close();
            self.tell_access_lost(node, next);
        }
        self.kept.opened(self.me(), self, || {
            self.way_here.store(next.0, Ordering::Relaxed);
            self.tell_access_lost(self.me(), next);
        });
    }

    /// A node does not answer. `refused`: nobody listens there any more.
    pub(crate) fn suspect(&self, node: NodeId, refused: bool) {
        self.suspicions.lock().suspect(node, refused, Instant::now());
        self.recheck.notify_one();
    }

    /// A node answers.
    pub(crate) fn trust(&self, node: NodeId) {
        if self.suspicions.lock().trust(node) {
            self.recheck.notify_one();
        }
    }

    /// Whether a member does not answer.
    pub(crate) fn suspects_anybody(&self) -> bool {
        !self.suspicions.lock().is_empty()
    }

    /// Tells the owner here that what it forwarded to a node is lost.
    pub(crate) fn tell_lost(&self, node: NodeId) {
        if let Some(owner) = self.local().owner {
            owner.lost(node);
        }
    }

    /// Tells the owner here that the list was read again.
    pub(crate) fn tell_listed(&self) {
        if let Some(owner) = self.local().owner {
            owner.listed();
        }
    }

    /// Takes the list of members in: routes, links, and whatever is kept follow it.
    pub(crate) fn take_members(self: &Arc<Self>, members: &[Member]) {
        let claimed = {
            let mut claimed = self.claimed.lock();
            claimed.retain(|node, _| *node == self.me() || members.iter().any(|member| member.id == *node));
            claimed.clone()
        };
        let suspects = self.suspicions.lock().among(members, Instant::now(), self.config.refusal_counts);
        let routes = Routes::new(members, &suspects, &claimed, self.partitions);
        self.tend_links(&routes);
        let now = Arc::new(routes);
        let mut differs = false;
        self.kept.reroute(&**self, || {
            let before = self.routes.swap(Arc::clone(&now));
            if now.differs_for_owners(&before)
                && let Some(owner) = self.local().owner
            {
                owner.owners_changed(now.owners().clone());
            }
            differs = now.moves_what_is_sent(&before);
            differs
        });
        if differs {
            self.changes.send_modify(|version| *version = version.wrapping_add(1));
        }
    }

    /// A node has said which claims it holds to.
    pub(crate) fn note_claims(&self, node: NodeId, claims: Claims) {
        let known = self.claimed.lock().insert(node, claims.clone());
        if known.as_ref() != Some(&claims) {
            self.recheck.notify_one();
        }
    }

    /// Tells all nodes that have dialled this one what was taken of what they sent, as far as they do not know.
    pub(crate) fn tell_taken(&self) {
        self.sessions.read().values().for_each(|session| session.tell_taken());
    }

    /// Tells all nodes that have dialled this one which claims it holds to.
    pub(crate) fn tell_claims(&self, claims: Claims) {
        // Under the lock: a node that dials meanwhile gets these last.
        let mut claimed = self.claimed.lock();
        claimed.insert(self.me(), claims.clone());
        let frame = Frame::Claims(claims);
        self.sessions.read().values().for_each(|session| session.put(&frame));
        drop(claimed);
        self.recheck.notify_one();
    }

    /// Dials new members, and ends the links to those that have left the list and do not answer either.
    fn tend_links(self: &Arc<Self>, routes: &Routes) {
        let serves = |member: &&Member| member.roles.has(Role::Message) || member.roles.has(Role::Access);
        for member in routes.members().iter().filter(serves).filter(|member| member.id != self.me()) {
            let link = self.link_or_new(member.id);
            if link.begin() {
                let dialling = dial::keep(Arc::clone(self), link, member.address.clone());
                self.tasks.spawn("peer link", Fate::CutOff, dialling);
            }
        }
        let mut over = Vec::new();
        self.links.write().retain(|node, link| {
            let stays = routes.member(*node).is_some() || link.is_up() || !link.is_stale();
            if !stays {
                over.push(Arc::clone(link));
            }
            stays
        });
        over.iter().for_each(|link| link.end());
        let links: Vec<_> = self.links.read().values().cloned().collect();
        for link in links.iter().chain(&over).filter(|link| link.take_lost()) {
            self.tell_lost(link.node());
        }
    }

    /// Ends all links and sessions.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.links.read().values().for_each(|link| link.end());
        self.sessions.read().values().for_each(|session| session.close());
    }

    /// Sends something to nodes with terminals, this one left out.
    pub(crate) fn tell_nodes(&self, nodes: &[NodeId], frame: &Frame) {
        for node in nodes.iter().filter(|node| **node != self.me()) {
            self.link_or_new(*node).tell(frame.clone());
        }
    }
}

impl Ways for Hub {
    fn node_of(&self, user: &UserKey) -> Option<NodeId> {
        self.routes().message_node(user)
    }

    fn answers(&self, node: NodeId) -> bool {
        node == self.me() || self.routes().member(node).is_some() && self.link(node).is_some_and(|link| link.is_up())
    }

    fn send(&self, to: NodeId, attempt: u32, publishes: Vec<Publish>) -> bool {
        if to != self.me() {
            return self.link(to).is_some_and(|link| link.publish(attempt, publishes));
        }
        let Some(messages) = self.local().messages else { return false };
        take_publishes(&*messages, publishes, Way(self.way_here.load(Ordering::Relaxed)));
        true
    }

    fn break_off(&self, node: NodeId) {
        if let Some(link) = self.link(node) {
            link.break_off();
        }
    }
}

/// Hands publishes to the message role: those of one connection in one call.
pub(crate) fn take_publishes(messages: &dyn anser_cluster::MessageService, mut publishes: Vec<Publish>, way: Way) {
    while let Some(first) = publishes.first() {
        let connection = first.origin.connection;
        let rest = publishes.iter().position(|publish| publish.origin.connection != connection);
        let rest = rest.map(|at| publishes.split_off(at)).unwrap_or_default();
        messages.publish(std::mem::replace(&mut publishes, rest), way);
    }
}
