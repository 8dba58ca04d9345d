//! A node that is one of several: its backends, its way to the others, and the roles that it has.

mod clock;
mod presence;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use anser_access::Registry;
use anser_backend::{ClientAddresses, MessageLog as _, Role};
use anser_backend_hbase::HbaseStore;
use anser_backend_kafka::KafkaLog;
use anser_backend_redis::{RedisConfig, RedisOpenError, RedisStore};
use anser_cluster::{AccessService, BoxFuture, ConnectionIds, DirectoryService, MessageService, OwnerService};
use anser_core::navigation::AccessNode;
use anser_message::{Backends, Cluster};
use anser_navi::{AccessPoint, AccessPoints, Address, Endpoint, Transport};
use anser_peer::{Announced, Local, PeerDeps, PeerNode};
use anser_runtime::{Clock, Fate, Tasks};
use anser_types::{LogId, PartitionCount, UserKey};
use tokio::time::{Instant, sleep};

use super::admin::Shown;
use super::retention::Retention;
use super::{Services, access, message};
use crate::ServeError;
use crate::config::NodeConfig;

/// For how long Redis may be away when a node starts. Whatever starts the node tries again after that.
const REDIS_PATIENCE: Duration = Duration::from_secs(10);
const REDIS_PAUSE: Duration = Duration::from_millis(500);
/// How often a message node says which log the cluster has.
const NOTE_PERIOD: Duration = Duration::from_secs(5);

/// The backends of a node of a cluster.
#[derive(Debug)]
pub(crate) struct ClusterStorage {
    /// Of a node with the message role.
    log: Option<Arc<KafkaLog>>,
    /// Of a node with the message role.
    history: Option<Arc<HbaseStore>>,
}

impl ClusterStorage {
    pub(crate) async fn close(&self) {
        if let Some(log) = &self.log {
            log.close().await;
        }
        if let Some(history) = &self.history {
            history.close().await;
        }
    }
}

/// What other nodes and operators are told of the ports of a node.
#[derive(Debug)]
pub(crate) struct Told {
    /// Where clients reach it.
    pub(crate) clients: ClientAddresses,
    /// Where its port for operators is bound, if it has one.
    pub(crate) admin: Option<std::net::SocketAddr>,
}

/// A node among others, before its ports are opened.
#[derive(Debug)]
pub(crate) struct Prepared {
    storage: ClusterStorage,
    peer: Arc<PeerNode>,
    message: Option<message::Message>,
    listener: tokio::net::TcpListener,
    ids: Arc<ConnectionIds>,
    /// Of a node with the access role: how often Redis may have forgotten who is where.
    forgotten: Option<tokio::sync::watch::Receiver<u64>>,
}

/// Opens the backends, and starts the message role if the node has it. Nobody is told yet that the node is there.
pub(crate) async fn prepare(
    config: &NodeConfig,
    registry: &Arc<Registry>,
    clock: &Clock,
    (tasks, show): (&Tasks, &Shown),
) -> Result<Prepared, ServeError> {
    let cluster = &config.cluster;
    let roles = cluster.roles();
    let listener = super::http::bind_to("cluster.listen", "--set cluster.listen", &cluster.listen)?;
    let offline_retention_ms = config.message.limits().offline_retention_ms;
    show.health.starts("redis");
    let redis = connect(&cluster.redis).await?;
    shown::redis(show, tasks, redis.membership());
    let redis = Arc::new(redis);
    clock::check(cluster, &redis, clock).await?;
    clock::watch(show, tasks, Arc::clone(&redis), clock.clone());
    let forgotten = if roles.has(Role::Access) {
        Some(presence::watch(&redis, Duration::from_millis(cluster.redis.lease_ms), tasks).await?)
    } else {
        None
    };
    show.health.starts("the log on kafka");
    let log = open_log(config, &redis).await?;
    let ids = Arc::new(ConnectionIds::new(access::draw_node()?));
    let peer = PeerNode::new(
        cluster.peers(),
        PeerDeps {
            name: cluster.name.clone(),
            ids: Arc::clone(&ids),
            cluster: log.id,
            partitions: log.partitions,
            terminals: roles.has(Role::Access).then(|| Arc::clone(registry) as Arc<dyn AccessService>),
            membership: redis.membership(),
            clock: clock.clone(),
            tasks: tasks.clone(),
        },
    )?;
    show.health.starts("the other nodes to be looked at");
    peer.examine().await?;
    let mut storage = ClusterStorage { log: log.kafka, history: None };
    let mut message = None;
    if let Some(kafka) = storage.log.clone().filter(|_| roles.has(Role::Message)) {
        shown::kafka(show, tasks, Arc::clone(&kafka));
        show.health.starts("hbase");
        let history = HbaseStore::open(&cluster.hbase, log.id).await?;
        let mailbox = redis.mailbox(log.id, offline_retention_ms, clock.clone()).await?;
        redis.note_cluster(log.id, log.partitions).await?;
        tasks.spawn("the note of the cluster", Fate::CutOff, keep_noted(Arc::clone(&redis), log.id, log.partitions));
        let backends = Backends {
            log: kafka,
            mailbox: Arc::clone(&mailbox) as _,
            history: Arc::clone(&history) as _,
            directory: Arc::clone(&history) as _,
            rebuilds: Some(Arc::clone(&history) as _),
        };
        shown::hbase(show, tasks, Arc::clone(&history));
        shown::mailbox(show, Arc::clone(&mailbox));
        storage.history = Some(history);
        show.health.starts("its partitions to be taken over");
        let others = Cluster { me: ids.node(), peers: peer.peers() };
        let parts = message::Parts { name: &cluster.name, backends, access: peer.access(), cluster: Some(others) };
        let started = message::start(config, parts, clock, tasks).await?;
        started.show(show);
        Retention::AmongOthers(Arc::clone(&started.handle)).start(tasks);
        message = Some(started);
    }
    Ok(Prepared { storage, peer: Arc::new(peer), message, listener, ids, forgotten })
}

/// A Redis that does not answer is waited for a while: it may be busy, or about to be there.
async fn connect(config: &RedisConfig) -> Result<RedisStore, ServeError> {
    let until = Instant::now() + REDIS_PATIENCE;
    loop {
        match RedisStore::connect(config.clone()).await {
            Err(error @ RedisOpenError::Call(_)) if Instant::now() < until => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "redis does not answer yet, it is tried again"
                );
                sleep(REDIS_PAUSE).await;
            }
            result => return Ok(result?),
        }
    }
}

/// Says again and again which log the cluster has, and that the keys are its own: Redis may lose that as well, and operators and other
/// nodes ask it.
async fn keep_noted(redis: Arc<RedisStore>, log: LogId, partitions: PartitionCount) {
    loop {
        sleep(NOTE_PERIOD).await;
        match redis.note_cluster(log, partitions).await {
            Ok(()) => {}
            Err(error @ RedisOpenError::OtherCluster { .. }) => {
                tracing::error!(%error, "redis was wiped, and another cluster has taken its keys since: stop that one");
            }
            // That it is away is said elsewhere.
            Err(error) => tracing::debug!(%error, "which log the cluster has is not noted"),
        }
    }
}

/// Which log the cluster has, and the way to it.
struct Log {
    id: LogId,
    partitions: PartitionCount,
    kafka: Option<Arc<KafkaLog>>,
}

/// A node without the message role has nothing to do with Kafka: Redis knows which log it is. If it does not, Kafka is asked.
async fn open_log(config: &NodeConfig, redis: &RedisStore) -> Result<Log, ServeError> {
    if !config.cluster.roles().has(Role::Message)
        && let Some((id, partitions)) = redis.cluster().await.map_err(ServeError::Members)?
    {
        return Ok(Log { id, partitions, kafka: None });
    }
    let offline_retention_ms = config.message.limits().offline_retention_ms;
    let kafka = Arc::new(KafkaLog::open(&config.cluster.kafka, offline_retention_ms).await?);
    Ok(Log { id: kafka.id(), partitions: kafka.partitions(), kafka: Some(kafka) })
}

/// Where others ask how the node is: as the operator says, or as the port is bound. What is bound to all addresses is reached
/// with the host by which other nodes reach this one.
fn admin_address(advertised: &str, bound: Option<std::net::SocketAddr>, address: &str) -> String {
    let Some(bound) = bound.filter(|_| advertised.is_empty()) else { return advertised.to_owned() };
    match address.rsplit_once(':') {
        Some((host, _)) if bound.ip().is_unspecified() => format!("{host}:{}", bound.port()),
        _ => bound.to_string(),
    }
}

impl Prepared {
    /// What the other roles of the node are given.
    pub(crate) fn services(&self) -> Services {
        let messages = self.peer.messages();
        Services {
            messages: Arc::clone(&messages) as Arc<dyn MessageService>,
            directory: messages as Arc<dyn DirectoryService>,
            access: self.peer.access(),
            ids: Arc::clone(&self.ids),
            cluster: Some(self.peer.access()),
            forgotten: self.forgotten.clone(),
        }
    }

    /// Where navigation sends clients.
    pub(crate) fn points(&self) -> Arc<dyn AccessPoints> {
        Arc::new(Points { peer: Arc::clone(&self.peer), messages: self.peer.messages() })
    }

    /// Tells the others that the node is there. They send it what is its from now on.
    pub(crate) fn announce(
        self,
        config: &NodeConfig,
        told: Told,
        registry: &Arc<Registry>,
        show: &Shown,
    ) -> Result<Serving, ServeError> {
        let Self { storage, peer, message, listener, ids: _, forgotten: _ } = self;
        let handle = message.as_ref().map(|message| Arc::clone(&message.handle));
        let local = Local {
            messages: handle.clone().map(|handle| handle as Arc<dyn MessageService>),
            directory: handle.clone().map(|handle| handle as Arc<dyn DirectoryService>),
            owner: handle.map(|handle| handle as Arc<dyn OwnerService>),
        };
        let bound = peer.start(local, listener)?;
        let cluster = &config.cluster;
        let address = if cluster.advertise.is_empty() { bound.to_string() } else { cluster.advertise.clone() };
        let admin = admin_address(&config.admin.advertise, told.admin, &address);
        let counted = Arc::clone(registry);
        peer.announce(Announced {
            name: cluster.name.clone(),
            roles: cluster.roles(),
            address,
            clients: told.clients,
            weight: cluster.weight,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            admin,
            connections: Box::new(move || u64::try_from(counted.len()).unwrap_or(u64::MAX)),
        });
        show.parts.tell_name(&cluster.name);
        shown::others(show, &peer, message.is_some());
        Ok(Serving { storage, peer, message })
    }
}

/// A node among others that serves.
pub(crate) struct Serving {
    storage: ClusterStorage,
    peer: Arc<PeerNode>,
    message: Option<message::Message>,
}

impl Serving {
    /// The others send nothing new here any more, and take over what is this node's.
    pub(crate) fn drain(&self) {
        self.peer.drain();
    }

    /// A role has failed, which may hold up whatever waits for it: nobody is to wait until the rest has ended in order.
    pub(crate) async fn give_up(&self) {
        self.peer.leave().await;
    }

    /// Ends what is left when the terminals have gone: the partitions leave, what was accepted is decided and applied.
    pub(crate) async fn finish(self, has_failed: bool) {
        let Self { storage, peer, message } = self;
        if let Some(message) = message {
            // Where nobody is left who could take them over, or whom to tell, partitions stay until the end.
            if peer.has_successor() && !has_failed {
                message.hand_over().await;
            }
            message.finish().await;
        }
        if !has_failed {
            peer.leave().await;
        }
        storage.close().await;
    }
}

/// The access nodes of the cluster, as the list of members has them.
#[derive(Debug)]
struct Points {
    peer: Arc<PeerNode>,
    messages: Arc<dyn MessageService>,
}

/// How long navigation waits to be told where a user is. Without an answer it goes by the hash.
const HOME_PATIENCE: Duration = Duration::from_millis(300);

impl AccessPoints for Points {
    fn live(&self) -> Vec<AccessPoint> {
        let routes = self.peer.routes();
        let with_terminals = routes.members().iter().filter(|member| member.roles.has(Role::Access));
        with_terminals
            .map(|member| AccessPoint {
                node: AccessNode {
                    name: member.name.clone(),
                    weight: member.weight,
                    users: member.connections,
                    draining: member.draining,
                },
                endpoints: endpoints(&member.clients),
            })
            .collect()
    }

    fn home<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let online = tokio::time::timeout(HOME_PATIENCE, self.messages.online(user)).await.ok()?.ok()?;
            let routes = self.peer.routes();
            online.iter().find_map(|node| routes.member(*node)).map(|member| member.name.clone())
        })
    }
}

fn endpoints(clients: &ClientAddresses) -> Vec<Endpoint> {
    let ClientAddresses { tcp, tls_tcp, ws, tls_ws } = clients;
    let all = [(Transport::Tcp, tcp), (Transport::Tls, tls_tcp), (Transport::Ws, ws), (Transport::Wss, tls_ws)];
    let told = all.into_iter().filter(|(_, address)| !address.is_empty());
    told.map(|(transport, address)| Endpoint { transport, address: Address::Fixed(address.clone()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_for_operators_is_told_as_others_reach_it() {
        let bound = |text: &str| Some(text.parse().unwrap());
        for (advertised, bound, told) in [
            ("", None, ""),
            ("", bound("10.0.0.1:8084"), "10.0.0.1:8084"),
            ("", bound("0.0.0.0:8084"), "message-1:8084"),
            ("outside:1", bound("0.0.0.0:8084"), "outside:1"),
        ] {
            assert_eq!(admin_address(advertised, bound, "message-1:8083"), told);
        }
    }
}
