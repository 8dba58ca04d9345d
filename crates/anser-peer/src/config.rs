//! How nodes talk to each other, as far as it can be set.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the calls between nodes. The times are those of the promise that a dead node is noticed within two seconds;
/// tests shorten them.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Certificates. `None`: nodes talk in the clear, and whoever reaches the port is believed to be one.
    pub tls: Option<TlsFiles>,
    /// How often this node says that it is there. Default: 500 ms, a quarter of a lease.
    pub announce_every: Duration,
    /// How often the list of members is read; four times as often while one of them does not answer. Default: 300 ms.
    pub poll_every: Duration,
    /// How long a connection may take to be made and greeted. Default: 1 s.
    pub connect_timeout: Duration,
    /// After so long without a word a node is asked whether it is there. Default: 800 ms.
    pub keepalive_every: Duration,
    /// How long it may take to answer that. Default: 1 s.
    pub keepalive_timeout: Duration,
    /// How long the answers of a broken stream are awaited by dialling again before its node is passed over. Default: 200 ms.
    pub suspect_after: Duration,
    /// For how long a refused connection takes a node's partitions away from it: what its lease may still run, and a bit.
    /// Whoever is in the list longer is alive. Default: 3 s.
    pub refusal_counts: Duration,
    /// How long a publish may be without an outcome. Published clients give up after 30 s. Default: 20 s.
    pub publish_timeout: Duration,
    /// How long a question may take. Default: 20 s.
    pub call_timeout: Duration,
    /// The most publishes without an outcome at one node. Default: 65,536.
    pub kept_max: usize,
    /// Their bytes. Default: 64 MiB.
    pub kept_bytes_max: usize,
    /// Bytes that may wait for one node before hints become positions. Default: 8 MiB.
    pub hint_bytes_max: usize,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            tls: None,
            announce_every: Duration::from_millis(500),
            poll_every: Duration::from_millis(300),
            connect_timeout: Duration::from_secs(1),
            keepalive_every: Duration::from_millis(800),
            keepalive_timeout: Duration::from_secs(1),
            suspect_after: Duration::from_millis(200),
            refusal_counts: Duration::from_secs(3),
            publish_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(20),
            kept_max: 65_536,
            kept_bytes_max: 64 * 1024 * 1024,
            hint_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// PEM files for TLS between nodes. Each node shows its certificate and demands one of the same authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signed the certificates of all nodes: your own, and nobody else's.
    pub authority: PathBuf,
    /// The certificate of this node, with the chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The name that the certificates of nodes are for. Empty: the host by which a node is dialled.
    pub server_name: String,
}
