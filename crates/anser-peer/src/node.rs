//! A node among others: what it is made of, how it starts, drains and leaves.

use std::net::SocketAddr;
use std::sync::Arc;

use anser_backend::{ClientAddresses, Member, Membership, Role, Roles, Spoken, StoreError};
use anser_cluster::{AccessService, ConnectionIds, DirectoryService, MessageService, OwnerService};
use anser_runtime::{Clock, Fate, Tasks};
use anser_types::{LogId, NodeId, PartitionCount, Timestamp};
use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::accept::PeerService;
use crate::dial::WINDOW_BYTES;
use crate::hub::{Hub, HubParts};
use crate::incoming::Incoming;
use crate::members::Word;
use crate::tls::Certificates;
use crate::wire::{Hello, OLDEST, VERSION};
use crate::{PeerConfig, Peers, RoutedAccess, RoutedMessages, Routes, TlsError, members};

#[cfg(test)]
mod tests;

/// What this program speaks with other nodes.
const SPOKEN: Spoken = Spoken { oldest: OLDEST, newest: VERSION };

/// What a node says of itself when it is announced.
pub struct Announced {
    /// Its name; the same over restarts, and different for every node.
    pub name: String,
    /// What it does.
    pub roles: Roles,
    /// Where other nodes reach it, as HOST:PORT.
    pub address: String,
    /// Where clients reach it.
    pub clients: ClientAddresses,
    /// Its share of terminals.
    pub weight: u32,
    /// The program's version.
    pub version: String,
    /// Where operators ask it how it is; empty: nowhere.
    pub admin: String,
    /// How many terminals it holds now.
    pub connections: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl std::fmt::Debug for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announced").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Announced {
    pub(crate) fn member(&self, id: NodeId, draining: bool, clock: Timestamp) -> Member {
        Member {
            id,
            name: self.name.clone(),
            roles: self.roles,
            address: self.address.clone(),
            clients: self.clients.clone(),
            draining,
            connections: (self.connections)(),
            weight: self.weight,
            version: self.version.clone(),
            admin: self.admin.clone(),
            speaks: SPOKEN,
            clock,
        }
    }
}

/// What a node needs before its roles are made.
#[derive(Debug)]
pub struct PeerDeps {
    /// Its name.
    pub name: String,
    /// The ids of its connections, which name its run.
    pub ids: Arc<ConnectionIds>,
    /// The cluster: the identity of the log.
    pub cluster: LogId,
    /// How many partitions the log has.
    pub partitions: PartitionCount,
    /// The terminals of this node, if it has the access role.
    pub terminals: Option<Arc<dyn AccessService>>,
    /// Who the members are.
    pub membership: Arc<dyn Membership>,
    /// The time of day.
    pub clock: Clock,
    /// Where its tasks run.
    pub tasks: Tasks,
}

/// The services of this node that others call. Absent: it has not the role.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// The message role.
    pub messages: Option<Arc<dyn MessageService>>,
    /// Its reads.
    pub directory: Option<Arc<dyn DirectoryService>>,
    /// Its owners.
    pub owner: Option<Arc<dyn OwnerService>>,
}

/// Why a node cannot be one among others.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates cannot be used.
    #[error("prepare tls between nodes")]
    Tls(#[from] TlsError),
    /// The port cannot be used.
    #[error("listen for other nodes")]
    Listen(#[from] std::io::Error),
    /// The list of members cannot be read.
    #[error("the list of members cannot be read")]
    Members(#[from] StoreError),
    /// A member speaks other versions.
    #[error(
        "node {name} ({program}, at {address}) speaks versions {} to {} between nodes, and this one {} to {}: they would not \
         understand each other. Start a version here that understands both, or end that node first",
        speaks.oldest, speaks.newest, SPOKEN.oldest, SPOKEN.newest
    )]
    Versions {
        /// Its name.
        name: String,
        /// The version of its program.
        program: String,
        /// Where it is.
        address: String,
        /// What it speaks.
        speaks: Spoken,
    },
    /// A member has the same name.
    #[error(
        "a node with the name {name} is alive at {address}: names are different for every node. Give this one another in \
         cluster.name, or end that one first"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one is.
        address: String,
    },
}

/// One node among others. First it is made, then the roles are, with the services that it gives them; then it starts.
#[derive(Debug)]
pub struct PeerNode {
    hub: Arc<Hub>,
    membership: Arc<dyn Membership>,
    clock: Clock,
    word: Arc<Word>,
}

impl PeerNode {
    /// Makes the node. Nobody is dialled, and nobody can dial it.
    pub fn new(config: PeerConfig, deps: PeerDeps) -> Result<Self, StartError> {
        let PeerDeps { name, ids, cluster, partitions, terminals, membership, clock, tasks } = deps;
        let certificates = config.tls.as_ref().map(Certificates::read).transpose()?;
        let hello = Hello { version: VERSION, oldest: OLDEST, cluster, node: ids.node(), name, to: None };
        let hub = Hub::new(HubParts { hello, config, certificates, ids, partitions, terminals, tasks });
        Ok(Self { hub, membership, clock, word: Arc::new(Word::new()) })
    }

    /// The message role of the whole cluster, and its reads.
    pub fn messages(&self) -> Arc<RoutedMessages> {
        Arc::new(RoutedMessages::new(Arc::clone(&self.hub)))
    }

    /// The terminals of the whole cluster.
    pub fn access(&self) -> Arc<RoutedAccess> {
        Arc::new(RoutedAccess::new(Arc::clone(&self.hub)))
    }

    /// The other message nodes.
    pub fn peers(&self) -> Arc<Peers> {
        Arc::new(Peers::new(Arc::clone(&self.hub)))
    }

    /// Who is asked for what at this moment.
    pub fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.hub.routes())
    }

    /// The id of this run of the node.
    pub fn id(&self) -> NodeId {
        self.hub.me()
    }

    /// Whether there is a stream to a node.
    pub fn reaches(&self, node: NodeId) -> bool {
        self.hub.link(node).is_some_and(|link| link.is_up())
    }

    /// Whether there is another message node that goes on: it takes over what this one owns.
    pub fn has_successor(&self) -> bool {
        let routes = self.hub.routes();
        let mut others = routes.members().iter().filter(|member| member.id != self.hub.me() && !member.draining);
        others.any(|member| member.roles.has(Role::Message))
    }

    /// How many publishes of this node's connections wait for an outcome.
    pub fn unsettled(&self) -> usize {
        self.hub.kept.len()
    }

    /// Looks whether the node can be one of the members: they speak a version that it speaks, and none that is alive has its name.
    /// A run that has ended without a word counts as alive for as long as it takes to see that it says nothing any more.
    pub async fn examine(&self) -> Result<(), StartError> {
        let members = self.membership.members().await?;
        if let Some(other) = members.iter().find(|member| !member.speaks.fits(SPOKEN)) {
            let Member { name, version, address, speaks, .. } = other.clone();
            return Err(StartError::Versions { name, program: version, address, speaks });
        }
        let is_namesake = |member: &&Member| member.name == self.hub.hello.name && member.id != self.hub.me();
        for before in members.iter().filter(is_namesake) {
            tokio::time::sleep(self.hub.config.announce_every * 2).await;
            let now = self.membership.members().await?;
            if let Some(alive) = now.iter().find(|member| member.id == before.id && member.clock != before.clock) {
                let Member { name, address, .. } = alive.clone();
                return Err(StartError::NameTaken { name, address });
            }
        }
        Ok(())
    }

    /// Starts: others can dial this node, it reads who the members are and dials them. It is no member itself until it
    /// announces itself. To be called once.
    pub fn start(&self, local: Local, listener: TcpListener) -> Result<SocketAddr, StartError> {
        let address = listener.local_addr()?;
        // Started twice, the first services stay.
        self.hub.local.set(local).ok();
        let config = &self.hub.config;
        let mut server = Server::builder()
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_concurrent_streams(16)
            .http2_keepalive_interval(Some(config.keepalive_every))
            .http2_keepalive_timeout(Some(config.keepalive_timeout));
        if let Some(certificates) = &self.hub.certificates {
            server = server.tls_config(certificates.of_server(config.connect_timeout)).map_err(TlsError::from)?;
        }
        let service = PeerService { hub: Arc::clone(&self.hub) };
        let incoming = Incoming::new(listener, config.connect_timeout);
        let serving = server.add_service(service).serve_with_incoming(incoming);
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::error!(error = &error as &dyn std::error::Error, "other nodes can no longer be listened to");
            }
        };
        let tasks = &self.hub.tasks;
        tasks.spawn("peer server", Fate::VitalCutOff, serving);
        tasks.spawn("members", Fate::VitalCutOff, members::watch(Arc::clone(&self.hub), Arc::clone(&self.membership)));
        tasks.spawn("unsettled publishes", Fate::VitalCutOff, members::sweep(Arc::clone(&self.hub)));
        Ok(address)
    }

    /// From now on the node is a member: others send it what is its.
    pub fn announce(&self, announced: Announced) {
        let announcing = members::announce(
            Arc::clone(&self.hub),
            Arc::clone(&self.membership),
            announced,
            self.clock.clone(),
            Arc::clone(&self.word),
        );
        self.hub.tasks.spawn("announcing", Fate::VitalCutOff, announcing);
    }

    /// Gets nothing new any more: others learn that it drains.
    pub fn drain(&self) {
        self.word.drain();
    }

    /// Is no member any more, and ends all streams. To be called when the roles have ended.
    pub async fn leave(&self) {
        let leaving = self.word.leave(&*self.membership, self.hub.me());
        match tokio::time::timeout(self.hub.config.connect_timeout, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "the lease runs out by itself"),
            Err(_) => tracing::warn!("the lease runs out by itself: the list of members does not answer"),
        }
        self.hub.end();
    }
}
