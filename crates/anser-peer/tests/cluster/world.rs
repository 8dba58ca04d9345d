//! Nodes that are made, joined, and ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_backend::memory::MemoryMembership;
use anser_backend::{ClientAddresses, Membership, Role, Roles};
use anser_cluster::{AccessService, ConnectionIds, MessageService as _, Publish, Settled};
use anser_peer::{Announced, Local, PeerConfig, PeerDeps, PeerNode, Peers, RoutedAccess, RoutedMessages};
use anser_runtime::{Clock, Drain, Tasks};
use anser_types::{
    AppKey, ConnectionId, ConversationType, LogId, MessageClass, MessageFlags, NodeId, Origin, PartitionCount,
    TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use tokio::net::TcpListener;

use crate::fakes::{FakeMessages, FakeOwner, FakeTerminals, Log};
use crate::proxy::Proxy;

pub(crate) const CLUSTER: LogId = LogId(0xC1);

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let waiting = async {
        while !holds() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Quick to notice and patient where machines are slow.
pub(crate) fn config() -> PeerConfig {
    PeerConfig {
        announce_every: Duration::from_millis(100),
        poll_every: Duration::from_millis(50),
        connect_timeout: Duration::from_secs(5),
        keepalive_every: Duration::from_secs(20),
        keepalive_timeout: Duration::from_secs(20),
        publish_timeout: Duration::from_secs(50),
        ..PeerConfig::default()
    }
}

/// What all nodes share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) membership: Arc<MemoryMembership>,
    pub(crate) log: Arc<Log>,
    next: AtomicU64,
}

/// What a node is to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) roles: Roles,
    pub(crate) config: PeerConfig,
    pub(crate) cluster: LogId,
    /// Dialled by a name instead of an address.
    pub(crate) host: Option<&'static str>,
}

impl Plan {
    pub(crate) fn new(name: &'static str, roles: &[Role]) -> Self {
        Self { name, roles: roles.iter().copied().collect(), config: config(), cluster: CLUSTER, host: None }
    }

    pub(crate) fn access(name: &'static str) -> Self {
        Self::new(name, &[Role::Access])
    }

    pub(crate) fn message(name: &'static str) -> Self {
        Self::new(name, &[Role::Message])
    }

    pub(crate) fn with(mut self, config: PeerConfig) -> Self {
        self.config = config;
        self
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) peer: PeerNode,
    pub(crate) ids: Arc<ConnectionIds>,
    pub(crate) messages: Arc<FakeMessages>,
    pub(crate) terminals: Arc<FakeTerminals>,
    pub(crate) owner: Arc<FakeOwner>,
    pub(crate) routed: Arc<RoutedMessages>,
    pub(crate) access: Arc<RoutedAccess>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Proxy,
    tasks: Tasks,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_leases(2_000)
    }

    /// Leases that run for so long. Tests that are to see what streams tell use long ones.
    pub(crate) fn with_leases(lease_ms: u64) -> Self {
        let clock = Clock::system();
        let membership = Arc::new(MemoryMembership::new(lease_ms, move || clock.now()));
        Self { membership, log: Arc::default(), next: AtomicU64::new(1) }
    }

    /// Starts a node and makes it a member. Others reach it through its proxy.
    pub(crate) async fn node(&self, plan: Plan) -> Node {
        let Plan { name, roles, config, cluster, host } = plan;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ids = Arc::new(ConnectionIds::new(NodeId::drawn(number << 32)));
        let tasks = Tasks::new(Drain::new());
        let terminals = Arc::new(FakeTerminals::default());
        let deps = PeerDeps {
            name: name.to_owned(),
            ids: Arc::clone(&ids),
            cluster,
            partitions: PartitionCount::EMBEDDED,
            terminals: roles.has(Role::Access).then(|| Arc::clone(&terminals) as Arc<dyn AccessService>),
            membership: Arc::clone(&self.membership) as Arc<dyn Membership>,
            clock: Clock::system(),
            tasks: tasks.clone(),
        };
        let peer = PeerNode::new(config, deps).unwrap();
        let messages = FakeMessages::new(&self.log);
        messages.access.set(peer.access()).unwrap();
        let owner = Arc::new(FakeOwner::default());
        let local = if roles.has(Role::Message) {
            Local {
                messages: Some(Arc::clone(&messages) as _),
                directory: Some(Arc::clone(&messages) as _),
                owner: Some(Arc::clone(&owner) as _),
            }
        } else {
            Local::default()
        };
        let address = peer.start(local, TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let proxy = Proxy::before(address).await;
        let reached = match host {
            Some(host) => format!("{host}:{}", proxy.address.port()),
            None => proxy.address.to_string(),
        };
        peer.announce(Announced {
            name: name.to_owned(),
            roles,
            address: reached,
            clients: ClientAddresses::default(),
            weight: 1,
            version: "test".to_owned(),
            admin: String::new(),
            connections: Box::new(|| 0),
        });
        let (routed, access, peers) = (peer.messages(), peer.access(), peer.peers());
        Node { id: ids.node(), peer, ids, messages, terminals, owner, routed, access, peers, address, proxy, tasks }
    }
}

impl Node {
    /// Waits until this node has streams to the others.
    pub(crate) async fn reaches(&self, others: &[&Self]) {
        for other in others {
            until("a stream", || self.peer.reaches(other.id)).await;
        }
    }

    /// Ends the node as a crash does: its lease runs on, nobody is told anything.
    pub(crate) async fn crash(&self) {
        self.tasks.drain().stop();
        self.proxy.cut();
        self.tasks.finished().await;
    }

    pub(crate) fn settled(&self) -> Vec<Settled> {
        self.terminals.settled.lock().clone()
    }

    /// Publishes on a connection of this node, numbered from `first`.
    pub(crate) fn publish(&self, connection: ConnectionId, user: &str, numbers: std::ops::RangeInclusive<u64>) {
        self.routed
            .publish(numbers.map(|number| publish(connection, user, number)).collect(), anser_cluster::Way::WITHIN);
    }
}

pub(crate) fn key(user: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(user).unwrap())
}

pub(crate) fn publish(connection: ConnectionId, user: &str, number: u64) -> Publish {
    Publish {
        sender: key(user),
        kind: ConversationType::Private,
        target: TargetId::new("peer").unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{\"content\":\"hello\"}"),
        origin: Origin { connection, publish: number, client_id: None },
        floor: Timestamp::ZERO,
        extras: None,
    }
}

/// A user whose queue is at this node, as `asked` sees it.
pub(crate) fn user_at(asked: &Node, node: &Node) -> String {
    let mut names = (0..10_000).map(|number| format!("user{number}"));
    names.find(|name| asked.peer.routes().message_node(&key(name)) == Some(node.id)).unwrap()
}

/// Checks that every publish of a connection was settled once, and decided once and in order.
pub(crate) fn check_once_and_in_order(log: &Log, settled: &[Settled], connection: ConnectionId, count: u64) {
    let mut numbers: Vec<u64> =
        settled.iter().filter(|one| one.connection == connection).map(|one| one.publish).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "each settled once");
    assert!(settled.iter().all(|one| one.outcome.is_ok()), "none refused");
    let decided: Vec<u64> =
        log.order().into_iter().filter(|(other, _)| *other == connection).map(|(_, number)| number).collect();
    assert_eq!(decided, (1..=count).collect::<Vec<_>>(), "decided once and in order");
}
