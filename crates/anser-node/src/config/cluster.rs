//! The settings of a node that is one of several.

use anser_backend::{Role, Roles};
use anser_backend_hbase::HbaseConfig;
use anser_backend_kafka::KafkaConfig;
use anser_backend_redis::RedisConfig;
use anser_peer::{PeerConfig, TlsFiles};
use serde::{Deserialize, Serialize};

use super::Listen;

/// The shortest lease: twice what may pass between two words of a node.
const LEASE_MS_MIN: u64 = 1_000;
/// A Redis that writes its file every second may have lost that when it comes back.
const FORGET_MS_MIN: u64 = 1_000;
/// By so much messages may be ahead of the clock of their node, and that of another clock.
const LEAD_MS_MIN: u64 = 3_000;

/// A node that is one of several, on Kafka, Redis and HBase. Without a name, a node is by itself, on its embedded store, and
/// nothing in these sections counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The name of this node: the same over restarts, and different for every node of the cluster. It says which partitions and
    /// users are this node's. Empty: the node is by itself. Since 0.2.
    pub name: String,
    /// What this node does: any of "navi", "api", "access" and "message". Since 0.2.
    pub roles: Vec<String>,
    /// Where other nodes reach this one, as HOST:PORT. Keep it in a private network, or set the certificates below. Since 0.2.
    pub listen: Listen,
    /// Where other nodes are told to reach this one, if not as it is bound: HOST:PORT. Has to be given where it is bound to all
    /// addresses. Since 0.2.
    pub advertise: String,
    /// How many terminals this node takes in proportion to other access nodes. Since 0.2.
    pub weight: u32,
    /// How far the clock of a node may be from that of Redis for it to start, in milliseconds. More is refused: it would be wrong
    /// about how long tokens are good and messages are kept. 0 starts with any clock. Default 1000. Since 0.2.
    pub clock_off_ms_max: u64,
    /// Certificates for the calls between nodes.
    pub tls: ClusterTlsConfig,
    /// Where the log is.
    pub kafka: KafkaConfig,
    /// Where timelines and the list of members are.
    pub redis: RedisConfig,
    /// Where history and the directory are.
    pub hbase: HbaseConfig,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            roles: Role::ALL.into_iter().map(|role| role.name().to_owned()).collect(),
            listen: Listen::local(8083),
            advertise: String::new(),
            weight: 100,
            clock_off_ms_max: 1_000,
            tls: ClusterTlsConfig::default(),
            kafka: KafkaConfig::default(),
            redis: RedisConfig::default(),
            hbase: HbaseConfig::default(),
        }
    }
}

/// Certificates for the calls between nodes. Without them nodes talk in the clear, and whoever reaches the port is believed to
/// be one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterTlsConfig {
    /// The authority that signed the certificates of all nodes, a PEM file: your own, and nobody else's. Since 0.2.
    pub authority: String,
    /// The certificate of this node with its chain, a PEM file. Since 0.2.
    pub certificate: String,
    /// Its private key, a PEM file. Since 0.2.
    pub key: String,
    /// The name that the certificates of nodes are for. Empty: the host by which a node is dialled. Since 0.2.
    pub server_name: String,
}

impl ClusterConfig {
    /// Whether the node is one of several.
    pub const fn is_on(&self) -> bool {
        !self.name.is_empty()
    }

    /// What the node does.
    pub fn roles(&self) -> Roles {
        self.roles.iter().filter_map(|name| Role::from_name(name)).collect()
    }

    /// How the node talks to the others.
    pub(crate) fn peers(&self) -> PeerConfig {
        let ClusterTlsConfig { authority, certificate, key, server_name } = &self.tls;
        let tls = (!authority.is_empty()).then(|| TlsFiles {
            authority: authority.into(),
            certificate: certificate.into(),
            key: key.into(),
            server_name: server_name.clone(),
        });
        PeerConfig { tls, ..PeerConfig::default() }
    }

    /// Whether the settings fit together; the text says which do not.
    pub(super) fn check(&self, offline_retention_ms: u64) -> Result<(), String> {
        if !self.is_on() {
            return Ok(());
        }
        if let Some(unknown) = self.roles.iter().find(|name| Role::from_name(name).is_none()) {
            return Err(format!("cluster.roles: there is no role {unknown}; there are navi, api, access and message"));
        }
        if self.roles.is_empty() {
            return Err("cluster.roles: a node has at least one role: navi, api, access or message".to_owned());
        }
        if !self.listen.is_on() {
            return Err("cluster.listen: a node among others has to be reached by them".to_owned());
        }
        if self.listen.is_everywhere() && self.advertise.is_empty() {
            return Err(format!(
                "cluster.advertise is not set: other nodes would be told to connect to {}; say by which HOST:PORT they reach it",
                self.listen
            ));
        }
        let files = [&self.tls.authority, &self.tls.certificate, &self.tls.key];
        if files.iter().any(|file| file.is_empty()) && !files.iter().all(|file| file.is_empty()) {
            return Err("cluster.tls: authority, certificate and key go together; give all or none".to_owned());
        }
        self.kafka.check(offline_retention_ms).map_err(|error| format!("cluster.kafka: {error}"))?;
        self.redis.check().map_err(|error| format!("cluster.redis: {error}"))?;
        if self.redis.lease_ms < LEASE_MS_MIN {
            return Err(format!(
                "cluster.redis.lease_ms: at least {LEASE_MS_MIN}, as a node says twice a second that it is there"
            ));
        }
        if self.redis.forget_window_ms < FORGET_MS_MIN {
            return Err(format!(
                "cluster.redis.forget_window_ms: at least {FORGET_MS_MIN}, as Redis writes its file once a second"
            ));
        }
        if self.redis.rollback_lead_ms < LEAD_MS_MIN {
            return Err(format!(
                "cluster.redis.rollback_lead_ms: at least {LEAD_MS_MIN}, as messages may be two seconds ahead of the time, and clocks differ by one"
            ));
        }
        self.hbase.check().map_err(|error| format!("cluster.hbase: {error}"))
    }
}
