//! The configuration of a node: one file with a section for each part, every key optional.
//!
//! Each part owns its section's type; this module puts them side by side. What a field's documentation says here is what
//! `anser config reference` prints, so it is written for operators. It reads no file but the one it is given.

use std::path::PathBuf;
use std::time::Duration;

use anser_access::AccessConfig;
use anser_api::ApiConfig;
use anser_backend::Role;
use anser_backend_embedded::{LogConfig, StoreOptions};
use anser_message::MessageConfig;
use anser_navi::NaviConfig;
use serde::{Deserialize, Serialize};

use crate::apps::{Judgement, judge};
pub use crate::wiring::HttpPortConfig;

mod address;
mod cluster;
mod load;

pub use address::{Listen, ListenError};
pub use cluster::{ClusterConfig, ClusterTlsConfig};
pub use load::{ConfigError, Loaded, Sources};

/// The commented reference of all settings with their defaults, as `anser config reference` prints it.
pub const REFERENCE: &str = include_str!("../../../config/reference.toml");

/// What a frame holds at most beside the content of a message.
const FRAME_BYTES_AROUND: usize = 64 * 1024;

/// All settings of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The data folder: the log, the store, and the apps with their secrets. Made at the first start, readable by its owner
    /// alone. One server at a time uses it. Since 0.1.
    pub data: PathBuf,
    /// Where navigation and the server API listen (HTTP), as HOST:PORT. Port 0 picks a free port. Since 0.1.
    pub http: Listen,
    /// Where clients connect over TCP, as HOST:PORT, or "off". Port 0 picks a free port. Since 0.1.
    pub tcp: Listen,
    /// Where clients connect over WebSocket, as HOST:PORT, or "off". Port 0 picks a free port. Since 0.1.
    pub ws: Listen,
    /// The port for operators.
    pub admin: AdminConfig,
    /// The app, where it is not to be made by chance.
    pub app: AppConfig,
    /// Encryption of the client ports.
    pub tls: TlsConfig,
    /// Where clients find the ports from outside.
    pub advertise: AdvertiseConfig,
    /// The message role: limits and retention.
    pub message: MessageConfig,
    /// The access role: connections.
    pub access: AccessConfig,
    /// The HTTP port.
    pub http_port: HttpPortConfig,
    /// The navigation role.
    pub navi: NaviConfig,
    /// The server API.
    pub api: ApiConfig,
    /// The segment log.
    pub log: LogConfig,
    /// The store.
    pub store: StoreConfig,
    /// Several nodes.
    pub cluster: ClusterConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./anser-data"),
            http: Listen::local(8080),
            tcp: Listen::local(8081),
            ws: Listen::local(8082),
            admin: AdminConfig::default(),
            app: AppConfig::default(),
            tls: TlsConfig::default(),
            advertise: AdvertiseConfig::default(),
            message: MessageConfig::default(),
            access: AccessConfig::default(),
            http_port: HttpPortConfig::default(),
            navi: NaviConfig::default(),
            api: ApiConfig::default(),
            log: LogConfig::default(),
            store: StoreConfig::default(),
            cluster: ClusterConfig::default(),
        }
    }
}

/// The port for operators: `/livez` and `/readyz` say how the node is, `/metrics` has numbers for Prometheus. Plain HTTP without
/// a password: keep it in a private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Where it listens, as HOST:PORT, or "off". Port 0 picks a free port. Since 0.2.
    pub listen: Listen,
    /// Where `anser cluster status` reaches it, if not as it is bound: HOST:PORT. A port that is bound to all addresses is reached with
    /// the host of `cluster.advertise`. Since 0.2.
    pub advertise: String,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: Listen::OFF, advertise: String::new() }
    }
}

/// An app whose key and secret are given from outside. Without it, the first start makes one and keeps it in the data folder.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppConfig {
    /// The app key, which clients know. Goes together with `secret`. Since 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The app secret, which only the app's backend knows. At least 8 characters; 20 or more by chance are advised. Better
    /// given as ANSER_APP_SECRET than in a file. Since 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl AppConfig {
    /// Whether an app may be like that; the text says why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (Some(key), Some(secret)) = (&self.key, &self.secret) else {
            let is_none = self.key.is_none() && self.secret.is_none();
            return if is_none {
                Ok(())
            } else {
                Err("app: key and secret go together; give both or neither".to_owned())
            };
        };
        anser_types::AppKey::new(key).map_err(|error| format!("app.key: {error}"))?;
        if judge(key, secret) == Judgement::Obvious {
            let advice = "choose one of 20 characters or more by chance, for example with: openssl rand -hex 20";
            return Err(format!("app.secret: this secret is easily guessed; {advice}"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for AppConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppConfig")
            .field("key", &self.key)
            .field("secret", &self.secret.as_ref().map(|_| ".."))
            .finish()
    }
}

/// TLS on ports of its own, beside the plain ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificate chain, a PEM file, the server's own certificate first. Read again on SIGHUP. Since 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, a PEM file. Read again on SIGHUP. Since 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Where clients connect over TCP with TLS, as HOST:PORT, or "off". Needs `certificate` and `key`. Since 0.1.
    pub tcp: Listen,
    /// Where clients connect over secure WebSocket, as HOST:PORT, or "off". Needs `certificate` and `key`. Since 0.1.
    pub ws: Listen,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { certificate: None, key: None, tcp: Listen::OFF, ws: Listen::OFF }
    }
}

/// What navigation tells clients, where it differs from where the ports are: behind a reverse proxy, a load balancer or an
/// address translation. What is empty here is told as it is bound, and a port that is bound to all addresses is told with
/// the host name by which the client asked; of several nodes, an access node that is bound so has to say it here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvertiseConfig {
    /// HOST:PORT for native clients over TCP. Since 0.1.
    pub tcp: String,
    /// HOST:PORT for native clients over TLS; also where a proxy adds the TLS. Since 0.1.
    pub tls_tcp: String,
    /// HOST:PORT for WebSocket clients. Since 0.1.
    pub ws: String,
    /// HOST:PORT for secure WebSocket clients; also where a proxy adds the TLS. Since 0.1.
    pub tls_ws: String,
}

/// The store: timelines, history and directory, made from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// How long changes are collected before they are written out together, in milliseconds. Longer means less work for the
    /// disk and more to replay after a crash. Since 0.1.
    pub flush_interval_ms: u64,
    /// Changes of so many bytes are written out at once, without waiting for the interval. Since 0.1.
    pub flush_bytes: usize,
    /// Changes of so many bytes make deliveries wait until some are written. Since 0.1.
    pub dirty_bytes_max: usize,
    /// Up to so many bytes of what is on disk already stay in memory, so that recent messages are read without the disk.
    /// Since 0.1.
    pub memory_bytes_max: usize,
    /// The cache for what is read from the disk, in bytes. Since 0.1.
    pub cache_bytes: u64,
    /// How many reads may go to the disk at once; others wait for their turn. Since 0.1.
    pub disk_reads_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let options = StoreOptions::default();
        Self {
            flush_interval_ms: u64::try_from(options.flush_interval.as_millis()).unwrap_or(u64::MAX),
            flush_bytes: options.flush_bytes,
            dirty_bytes_max: options.dirty_bytes_max,
            memory_bytes_max: options.memory_bytes_max,
            cache_bytes: options.cache_bytes,
            disk_reads_max: options.disk_reads_max,
        }
    }
}

impl From<StoreConfig> for StoreOptions {
    fn from(config: StoreConfig) -> Self {
        Self {
            flush_interval: Duration::from_millis(config.flush_interval_ms),
            flush_bytes: config.flush_bytes,
            dirty_bytes_max: config.dirty_bytes_max,
            memory_bytes_max: config.memory_bytes_max,
            cache_bytes: config.cache_bytes,
            disk_reads_max: config.disk_reads_max,
        }
    }
}

impl NodeConfig {
    /// All settings as a settings file, secrets among them.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings were read from the same form")
    }

    /// Whether the settings fit together; the text says which do not.
    fn check(&self) -> Result<(), String> {
        if !self.http.is_on() {
            return Err("http: navigation and the server API cannot be off".to_owned());
        }
        self.app.check()?;
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err("tls: certificate and key go together; give both or neither".to_owned());
        }
        if self.tls.certificate.is_none() && (self.tls.tcp.is_on() || self.tls.ws.is_on()) {
            return Err("tls: a port with TLS needs tls.certificate and tls.key".to_owned());
        }
        self.message.check().map_err(|wrong| format!("message.{wrong}"))?;
        self.access.check().map_err(|wrong| format!("access.{wrong}"))?;
        self.check_sizes()?;
        self.cluster.check(self.message.limits().offline_retention_ms)?;
        self.check_advertised()?;
        self.check_ports()
    }

    /// A message that one part takes and another does not is sent again and again.
    fn check_sizes(&self) -> Result<(), String> {
        let message = self.message.message_bytes_max;
        let (frame, body) = (message.saturating_add(FRAME_BYTES_AROUND), self.api.body_bytes_max);
        if usize::try_from(self.access.frame_bytes_max).is_ok_and(|most| most < frame) {
            return Err(format!("access.frame_bytes_max: at least {frame} with message.message_bytes_max = {message}"));
        }
        if body < message {
            return Err(format!("api.body_bytes_max: at least the {message} of message.message_bytes_max"));
        }
        Ok(())
    }

    /// What others are told has to be something to connect to. Of several nodes another one tells clients where this one is, and does not
    /// know by which name they reach all of its addresses.
    fn check_advertised(&self) -> Result<(), String> {
        let AdvertiseConfig { tcp, tls_tcp, ws, tls_ws } = &self.advertise;
        let told = [
            ("advertise.tcp", tcp),
            ("advertise.tls_tcp", tls_tcp),
            ("advertise.ws", ws),
            ("advertise.tls_ws", tls_ws),
            ("admin.advertise", &self.admin.advertise),
            ("cluster.advertise", &self.cluster.advertise),
        ];
        let is_wrong = |told: &str| !told.is_empty() && !told.parse::<Listen>().is_ok_and(|told| told.is_reachable());
        if let Some((name, told)) = told.into_iter().find(|(_, told)| is_wrong(told)) {
            return Err(format!("{name}: {told:?} is nothing to connect to; say by which HOST:PORT others reach it"));
        }
        if !self.cluster.is_on() || !self.cluster.roles().has(Role::Access) {
            return Ok(());
        }
        let ports = [
            ("tcp", &self.tcp, tcp),
            ("tls_tcp", &self.tls.tcp, tls_tcp),
            ("ws", &self.ws, ws),
            ("tls_ws", &self.tls.ws, tls_ws),
        ];
        match ports.into_iter().find(|(_, listen, told)| listen.is_everywhere() && told.is_empty()) {
            Some((name, listen, _)) => Err(format!(
                "advertise.{name} is not set: clients would be told to connect to {listen}; say by which HOST:PORT they reach it"
            )),
            None => Ok(()),
        }
    }

    /// Two listeners on one port would fail later, with a message that blames another process.
    fn check_ports(&self) -> Result<(), String> {
        let listeners = [
            ("http", &self.http),
            ("tcp", &self.tcp),
            ("ws", &self.ws),
            ("tls.tcp", &self.tls.tcp),
            ("tls.ws", &self.tls.ws),
            ("admin.listen", &self.admin.listen),
            ("cluster.listen", if self.cluster.is_on() { &self.cluster.listen } else { &Listen::OFF }),
        ];
        for (at, (name, listen)) in listeners.iter().enumerate() {
            let taken = listeners.iter().take(at).find(|(_, other)| other == listen);
            if let (Some((other, _)), Some((_, 1..))) = (taken, listen.target()) {
                return Err(format!("{name}: {listen} is already the address of {other}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
