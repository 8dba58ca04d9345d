//! Who is connected: user → connections, connection id → connection.
//!
//! Presence is a hint, and it is removed by connection id alone: a late end of an old connection never hides a new one.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anser_cluster::{AccessService, Arrival, Settled, SignOut};
use anser_core::terminal::Arrived;
use anser_rmtp::DisconnectStatus;
use anser_types::{ConnectionId, Position, Timestamp, UserId, UserKey};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::connection::Connection;
use crate::outbox::End;

const SHARDS: usize = 64;
/// Arrivals that may wait for one connection, until the configuration says otherwise.
const ARRIVALS_MAX: usize = 256;

type Connections = SmallVec<[Arc<Connection>; 1]>;

/// The connections of this node. It is made before the roles that use it, and outlives them.
pub struct Registry {
    by_user: [Mutex<HashMap<UserKey, Connections>>; SHARDS],
    by_id: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
    hasher: std::hash::RandomState,
    count: AtomicUsize,
    arrivals_max: AtomicUsize,
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
            arrivals_max: AtomicUsize::new(ARRIVALS_MAX),
        }
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

    pub(crate) fn set_arrivals_max(&self, arrivals_max: usize) {
        self.arrivals_max.store(arrivals_max, Ordering::Relaxed);
    }

    fn users(&self, user: &UserKey) -> &Mutex<HashMap<UserKey, Connections>> {
        let place = usize::try_from(self.hasher.hash_one(user) % 64).unwrap_or(0);
        // A remainder of 64 is below the number of shards.
        &self.by_user[place % SHARDS]
    }

    fn ids(&self, id: ConnectionId) -> &Mutex<HashMap<u64, Arc<Connection>>> {
        &self.by_id[usize::try_from(id.0 % 64).unwrap_or(0) % SHARDS]
    }

    /// Adds a connection. Where a user has one terminal per platform, the older ones of its platform are told to end: the
    /// same installation silently, another one with the word that it was replaced. The connection stays for as long as the
    /// entry lives.
    pub(crate) fn insert(self: &Arc<Self>, connection: Connection, one_per_platform: bool) -> Entry {
        let connection = &Arc::new(connection);
        let entry = Entry { connection: Arc::clone(connection), registry: Arc::clone(self) };
        self.ids(connection.id).lock().insert(connection.id.0, Arc::clone(connection));
        self.count.fetch_add(1, Ordering::Relaxed);
        let older: Connections = {
            let mut users = self.users(&connection.user).lock();
            let present = users.entry(connection.user.clone()).or_default();
            let gives_way = |other: &Arc<Connection>| {
                is_same_device(other, connection) || (one_per_platform && other.platform == connection.platform)
            };
            let older = present.iter().filter(|other| gives_way(other)).cloned().collect();
            // From now on they hear of nothing any more; by their ids they are known until they are gone.
            present.retain(|other| !gives_way(other));
            present.push(Arc::clone(connection));
            older
        };
        for other in older {
            let same = is_same_device(&other, connection);
            other.outbox.end(if same { End::Quiet } else { End::Told(DisconnectStatus::Kicked) });
        }
        entry
    }

    /// Takes a connection out, and only that one.
    fn remove(&self, connection: &Connection) {
        if self.ids(connection.id).lock().remove(&connection.id.0).is_none() {
            return;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.remove_user(connection);
    }

    fn remove_user(&self, connection: &Connection) {
        let mut users = self.users(&connection.user).lock();
        if let Some(present) = users.get_mut(&connection.user) {
            present.retain(|other| other.id != connection.id);
            if present.is_empty() {
                users.remove(&connection.user);
            }
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

    fn with_user(&self, user: &UserKey, mut visit: impl FnMut(&Connection)) {
        if let Some(connections) = self.users(user).lock().get(user) {
            for connection in connections {
                visit(connection);
            }
        }
    }
}

fn is_same_device(one: &Connection, other: &Connection) -> bool {
    one.device.is_some() && one.device == other.device && one.platform == other.platform
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
        let arrivals_max = self.arrivals_max.load(Ordering::Relaxed);
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
                connection.outbox.arrived(arrived, arrivals_max);
            });
        }
    }

    fn settings_changed(&self, user: &UserKey, time: Timestamp, by: ConnectionId) {
        self.with_user(user, |connection| {
            if connection.id != by {
                connection.outbox.settings(time, by);
            }
        });
    }

    fn moved(&self, user: &UserKey, head: Position) {
        self.with_user(user, |connection| connection.outbox.behind(head));
    }

    fn sign_out(&self, user: &UserKey, why: SignOut) {
        self.with_user(user, |connection| match why {
            SignOut::Blocked => connection.outbox.end(End::Told(DisconnectStatus::Blocked)),
            SignOut::TokensVoid { before } if connection.token_issued < before => {
                connection.outbox.end(End::Told(DisconnectStatus::TokenExpired));
            }
            SignOut::TokensVoid { .. } => {}
        });
    }

    fn is_online(&self, user: &UserKey) -> bool {
        self.users(user).lock().contains_key(user)
    }
}
