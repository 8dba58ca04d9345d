//! Who is connected: user → connections, connection id → connection.
//!
//! Presence is a hint, and it is removed by connection id alone: a late end of an old connection never hides a new one.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anser_cluster::{AccessService, Arrival, BoxFuture, Newcomer, Refusal, Settled, SignInView, SignOut};
use anser_core::terminal::Arrived;
use anser_rmtp::{DisconnectStatus, Platform};
use anser_types::{ConnectionId, DeviceId, NodeId, Position, Timestamp, UserId, UserKey};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::ban::Ban;
use crate::connection::Connection;
use crate::metrics::AccessMetrics;
use crate::outbox::End;
use crate::presence::{DEPARTURES_MAX, DOUBTS_MAX, Departure};

/// The parts of the registry, each with a lock of its own.
pub(crate) const PARTS: u32 = 64;
const SHARDS: usize = PARTS as usize;

type Connections = SmallVec<[Arc<Connection>; 1]>;

/// The connections of one user.
#[derive(Debug, Default)]
struct Present {
    connections: Connections,
    /// The newest that there was since the first of them came.
    newest: ConnectionId,
}

/// The connections of this node. It is made before the roles that use it, and outlives them.
pub struct Registry {
    by_user: [Mutex<HashMap<UserKey, Present>>; SHARDS],
    by_id: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
    hasher: std::hash::RandomState,
    count: AtomicUsize,
    bounds: Bounds,
    /// Where to tell that the last terminal of a user has gone, if anybody wants to know.
    departures: OnceLock<mpsc::Sender<Departure>>,
    /// Where to tell of users who are to be looked at, if anybody does.
    doubts: OnceLock<mpsc::Sender<UserKey>>,
    pub(crate) metrics: AccessMetrics,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("connections", &self.len()).finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            by_user: std::array::from_fn(|_| Mutex::default()),
            by_id: std::array::from_fn(|_| Mutex::default()),
            hasher: std::hash::RandomState::new(),
            count: AtomicUsize::new(0),
            bounds: Bounds::default(),
            departures: OnceLock::new(),
            doubts: OnceLock::new(),
            metrics: AccessMetrics::default(),
        }
    }
}

/// What one user and one connection may take, until the configuration says otherwise.
#[derive(Debug)]
struct Bounds {
    arrivals_max: AtomicUsize,
    terminals_max: AtomicUsize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { arrivals_max: AtomicUsize::new(256), terminals_max: AtomicUsize::new(32) }
    }
}

/// A connection's place in the registry, given back however the connection ends.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) connection: Arc<Connection>,
    registry: Arc<Registry>,
}

impl Entry {
    /// The connection is being closed: it hears of nothing any more, and its user may be offline.
    pub(crate) fn leave(&self) {
        self.registry.remove_user(&self.connection);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.remove(&self.connection);
        tracing::debug!(conn = %self.connection.id, user = %self.connection.user, "connection ended");
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// How many connections are signed in.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody is signed in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a terminal of the user is signed in here.
    pub fn has(&self, user: &UserKey) -> bool {
        self.users(user).lock().contains_key(user)
    }

    /// What the access role counts.
    pub const fn metrics(&self) -> &AccessMetrics {
        &self.metrics
    }

    /// Tells a connection to end, and counts why.
    pub(crate) fn end(&self, connection: &Connection, end: End, why: &'static str) {
        if connection.outbox.end(end) && !connection.stamps.is_closing() {
            self.metrics.ended(why);
        }
    }

    /// How many arrivals may wait for one connection, and how many terminals a user may have.
    pub(crate) fn set_bounds(&self, arrivals_max: usize, terminals_max: usize) {
        self.bounds.arrivals_max.store(arrivals_max, Ordering::Relaxed);
        self.bounds.terminals_max.store(terminals_max, Ordering::Relaxed);
    }

    /// From now on the departures of users are told. To be called once.
    pub(crate) fn report_departures(&self) -> mpsc::Receiver<Departure> {
        let (departures, departed) = mpsc::channel(DEPARTURES_MAX);
        // A second receiver would hear nothing, and end.
        self.departures.set(departures).ok();
        departed
    }

    /// From now on it is told which users are to be looked at. To be called once.
    pub(crate) fn report_doubts(&self) -> mpsc::Receiver<UserKey> {
        let (doubts, doubted) = mpsc::channel(DOUBTS_MAX);
        // A second receiver would hear nothing, and end.
        self.doubts.set(doubts).ok();
        doubted
    }

    /// Has a user looked at. Returns whether somebody does.
    fn doubt(&self, user: &UserKey) -> bool {
        self.doubts.get().is_some_and(|doubts| doubts.try_send(user.clone()).is_ok())
    }

    fn users(&self, user: &UserKey) -> &Mutex<HashMap<UserKey, Present>> {
        let place = usize::try_from(self.hasher.hash_one(user) % u64::from(PARTS)).unwrap_or(0);
        &self.by_user[place % SHARDS]
    }

    fn ids(&self, id: ConnectionId) -> &Mutex<HashMap<u64, Arc<Connection>>> {
        &self.by_id[usize::try_from(id.0 % u64::from(PARTS)).unwrap_or(0) % SHARDS]
    }

    /// Adds a connection. Where a user has one terminal per platform, the older ones of its platform are told to end: the
    /// same installation silently, another one with the word that it was replaced. So is the oldest of all, where a user has too
    /// many. The connection stays for as long as the entry lives.
    pub(crate) fn insert(self: &Arc<Self>, connection: Connection) -> Entry {
        let connection = &Arc::new(connection);
        let entry = Entry { connection: Arc::clone(connection), registry: Arc::clone(self) };
        self.ids(connection.id).lock().insert(connection.id.0, Arc::clone(connection));
        self.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.came(connection.transport);
        let one_per_platform = connection.one_per_platform;
        let rival = Rival { platform: &connection.platform, device: connection.device.as_ref(), one_per_platform };
        let terminals_max = self.bounds.terminals_max.load(Ordering::Relaxed).max(1);
        let older = {
            let mut users = self.users(&connection.user).lock();
            let present = users.entry(connection.user.clone()).or_default();
            let mut older = take_older(present, |other| rival.ends(other));
            while present.connections.len() >= terminals_max {
                older.push((present.connections.remove(0), End::Told(DisconnectStatus::Kicked)));
            }
            present.connections.push(Arc::clone(connection));
            present.newest = present.newest.max(connection.id);
            older
        };
        self.end_all(older);
        entry
    }

    /// Takes a connection out, and only that one.
    fn remove(&self, connection: &Connection) {
        if self.ids(connection.id).lock().remove(&connection.id.0).is_none() {
            return;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.went(connection.transport);
        self.remove_user(connection);
    }

    fn remove_user(&self, connection: &Connection) {
        let mut users = self.users(&connection.user).lock();
        if let Some(present) = users.get_mut(&connection.user) {
            present.connections.retain(|other| other.id != connection.id);
        }
        self.forget_absent(&mut users, &connection.user);
    }

    fn end_all(&self, older: Older) {
        for (other, end) in older {
            self.end(&other, end, if end == End::Quiet { "came_back" } else { "replaced" });
        }
    }

    /// Drops a user without connections, and tells that.
    fn forget_absent(&self, users: &mut HashMap<UserKey, Present>, user: &UserKey) {
        if users.get(user).is_none_or(|present| !present.connections.is_empty()) {
            return;
        }
        if let Some((user, present)) = users.remove_entry(user)
            && let Some(departures) = self.departures.get()
        {
            // Told under the lock: whoever comes back later is announced by a newer connection. Full: a hint is lost.
            departures.try_send(Departure { user, newest: present.newest }).ok();
        }
    }

    /// Calls `visit` for every connection, without holding a lock over more than a part of them.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<Connection>)) {
        for shard in &self.by_id {
            for connection in shard.lock().values() {
                visit(connection);
            }
        }
    }

    /// All users who are here, each with its newest connection; the users of one part of the registry at a time.
    pub(crate) fn present(&self) -> impl Iterator<Item = Vec<(UserKey, ConnectionId)>> + '_ {
        self.by_user.iter().map(|users| {
            let users = users.lock();
            users.iter().map(|(user, present)| (user.clone(), present.newest)).collect()
        })
    }

    /// The newest connection that a user has here.
    pub(crate) fn newest(&self, user: &UserKey) -> Option<ConnectionId> {
        self.users(user).lock().get(user).map(|present| present.newest)
    }

    /// The terminals of a user, as those of other nodes may have to give way to them.
    pub(crate) fn newcomers(&self, user: &UserKey) -> Vec<Newcomer> {
        let mut newcomers = Vec::new();
        self.with_user(user, |connection| newcomers.push(connection.newcomer()));
        newcomers
    }

    /// The terminals of a user hear that they were overlooked. Whether there are any.
    pub(crate) fn overlooked(&self, user: &UserKey) -> bool {
        let mut is_here = false;
        self.with_user(user, |connection| {
            connection.outbox.overlooked();
            is_here = true;
        });
        is_here
    }

    /// Ends those connections of a user that may not be here.
    pub(crate) fn hold_to(&self, user: &UserKey, view: &SignInView, now: Timestamp) {
        self.with_user(user, |connection| self.judge(connection, view, now));
    }

    /// Ends a connection that may not be here.
    pub(crate) fn judge(&self, connection: &Connection, view: &SignInView, now: Timestamp) {
        if let Some(ban) = Ban::of(view, connection.token_issued, now) {
            let (end, why) = ban.end();
            self.end(connection, end, why);
        }
    }

    fn with_user(&self, user: &UserKey, mut visit: impl FnMut(&Connection)) {
        if let Some(present) = self.users(user).lock().get(user) {
            for connection in &present.connections {
                visit(connection);
            }
        }
    }
}

/// A new terminal, as older ones of its user see it.
struct Rival<'a> {
    platform: &'a Platform,
    device: Option<&'a DeviceId>,
    one_per_platform: bool,
}

impl Rival<'_> {
    /// How an older terminal ends before it: the same installation silently, another one with the word that it was
    /// replaced; `None` if it may stay.
    fn ends(&self, other: &Connection) -> Option<End> {
        if other.platform != *self.platform {
            return None;
        }
        if other.device.is_some() && other.device.as_ref() == self.device {
            return Some(End::Quiet);
        }
        self.one_per_platform.then_some(End::Told(DisconnectStatus::Kicked))
    }
}

type Older = SmallVec<[(Arc<Connection>, End); 1]>;

/// Takes out those that end. From then on they hear of nothing any more; by their ids they are known until they are gone.
fn take_older(present: &mut Present, mut ends: impl FnMut(&Connection) -> Option<End>) -> Older {
    let mut older = Older::new();
    present.connections.retain(|other| match ends(other) {
        Some(end) => {
            older.push((Arc::clone(other), end));
            false
        }
        None => true,
    });
    older
}

impl AccessService for Registry {
    fn settle(&self, settled: Vec<Settled>) {
        // Outcomes come in runs of one connection; a run costs one look-up and one wake-up.
        for run in settled.chunk_by(|one, next| one.connection == next.connection) {
            let Some(Settled { connection, .. }) = run.first() else { continue };
            if let Some(found) = self.ids(*connection).lock().get(&connection.0) {
                found.outbox.settled(run.iter().map(|settled| (settled.publish, settled.outcome)));
            }
        }
    }

    fn arrive(&self, arrival: Arrival) {
        let arrivals_max = self.bounds.arrivals_max.load(Ordering::Relaxed);
        let Arrival { app, message, to } = arrival;
        let nobody: UserId = message.sender.clone();
        let mut key = UserKey::new(app, nobody);
        for deliver in to {
            key.user = deliver.user;
            self.with_user(&key, |connection| {
                let arrived = Arrived {
                    message: Arc::clone(&message),
                    position: deliver.position,
                    previous: deliver.previous,
                    sent_on: deliver.sent_on,
                };
                let uid = &message.uid;
                if connection.outbox.arrived(arrived, arrivals_max) {
                    tracing::debug!(%uid, conn = %connection.id, "message arrives");
                } else {
                    self.metrics.arrivals_dropped.inc();
                    tracing::debug!(%uid, conn = %connection.id, "arrival dropped, the terminal pulls it");
                }
            });
        }
    }

    fn settings_changed(&self, user: &UserKey, time: Timestamp, by: ConnectionId, _: Option<&[NodeId]>) {
        self.with_user(user, |connection| {
            if connection.id != by {
                connection.outbox.settings(time, by);
            }
        });
    }

    fn moved(&self, user: &UserKey, head: Position, _: Option<&[NodeId]>) {
        self.with_user(user, |connection| connection.outbox.behind(head));
    }

    fn sign_out(&self, user: &UserKey, why: SignOut) {
        let view = match why {
            // The word may be late, and the block over.
            SignOut::Blocked if self.doubt(user) => return,
            SignOut::Blocked => SignInView { blocked_until: Timestamp(u64::MAX), ..SignInView::default() },
            SignOut::TokensVoid { before } => SignInView { tokens_from: before, ..SignInView::default() },
        };
        self.hold_to(user, &view, Timestamp::ZERO);
    }

    fn gives_way(&self, newcomer: &Newcomer, _: &[NodeId]) {
        let one_per_platform = newcomer.one_per_platform;
        let rival = Rival { platform: &newcomer.platform, device: newcomer.device.as_ref(), one_per_platform };
        let mut has_to_go = false;
        let older = {
            let mut users = self.users(&newcomer.user).lock();
            let Some(present) = users.get_mut(&newcomer.user) else { return };
            let older = take_older(present, |other| {
                let end = rival.ends(other).filter(|_| other.id != newcomer.connection)?;
                // By the clocks of two nodes, so that both judge alike: one of two goes, and one stays.
                let is_newer = (other.entered, other.id) > (newcomer.time, newcomer.connection);
                has_to_go |= is_newer;
                (!is_newer).then_some(end)
            });
            self.forget_absent(&mut users, &newcomer.user);
            older
        };
        self.end_all(older);
        if has_to_go {
            // It is the newcomer that has to go, and may not have heard of it. Untold, that is seen the next time all are looked at.
            self.doubt(&newcomer.user);
        }
    }

    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        let online = self.has(user);
        Box::pin(std::future::ready(Ok(online)))
    }
}
