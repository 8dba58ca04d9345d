//! What an operator can set for the access role.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anser_core::terminal::TerminalConfig;
use serde::{Deserialize, Serialize};

/// Settings of the access role. Every size is in bytes, every time in the unit that its name says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Where native clients connect over TCP; port 0 takes any free one. Not set: nowhere. Like the five below not of this
    /// section: whoever starts the role sets it.
    #[serde(skip)]
    pub tcp: Option<SocketAddr>,
    /// Where native clients connect over TLS. Needs a certificate.
    #[serde(skip)]
    pub tcp_tls: Option<SocketAddr>,
    /// Where web clients connect over WebSocket; answers `GET /ping` as well.
    #[serde(skip)]
    pub websocket: Option<SocketAddr>,
    /// Where web clients connect over secure WebSocket. Needs a certificate.
    #[serde(skip)]
    pub websocket_tls: Option<SocketAddr>,
    /// The certificate chain, as PEM. Read again by `AccessServer::reload_tls`.
    #[serde(skip)]
    pub tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, as PEM.
    #[serde(skip)]
    pub tls_key: Option<PathBuf>,
    /// Connections that the kernel holds until they are accepted. Default 4096. Since 0.1.
    pub listen_backlog: u32,
    /// The most connections of this node. Further ones are closed without a CONNACK. Default 18000. Since 0.1.
    pub connections_max: usize,
    /// The most connections of one address that are not signed in yet; the IPv6 addresses of one /64 network count as one. Further ones
    /// are closed. Default 4096. Since 0.1.
    pub handshakes_per_address_max: usize,
    /// How long a client may take until it is signed in. Default 10. Since 0.1.
    pub handshake_timeout_seconds: u64,
    /// After how long without a word a WebSocket connection is closed. Published web clients ping every 15 or 30 seconds.
    /// Default 75. Since 0.1.
    pub idle_timeout_seconds: u64,
    /// The same over TCP. Native clients need not ping, but pull every three minutes; the kernel asks sooner whether the other
    /// side is still there. Default 300. Since 0.1.
    pub tcp_idle_timeout_seconds: u64,
    /// After how long a client that takes nothing of what is written is cut off. Default 20. Since 0.1.
    pub write_timeout_seconds: u64,
    /// The most terminals of one user on this node. One more ends the oldest, as if it were replaced. Default 32. Since 0.2.
    pub terminals_per_user_max: usize,
    /// How much may wait to be written to one client; beyond it is cut off. Default 8388608 (8 MiB). Since 0.1.
    pub unsent_bytes_max: usize,
    /// How many arrivals may wait for one connection. Beyond it one notice stands for all. Default 256. Since 0.1.
    pub arrivals_max: usize,
    /// The largest frame of a client. Default 262144 (256 KiB). Since 0.1.
    pub frame_bytes_max: u32,
    /// The largest message content. Larger ones are refused with status 20115. Whoever starts the role sets it to what
    /// the message role takes.
    #[serde(skip)]
    pub message_bytes_max: usize,
    /// How many publishes of one connection may come at once. Default 1000. Since 0.1.
    pub publish_burst: u32,
    /// How many publishes a second of one connection go on after the burst; more are refused with status 20604. 0 refuses
    /// none. Default 500. Since 0.1.
    pub publish_rate: u32,
    /// How many queries of one connection may wait for their answers; more are refused as retryable. Default 32. Since 0.1.
    pub queries_max: usize,
    /// Within about how long everybody who is signed in is looked at again. A block, or a token that was made void, ends connections at
    /// once; one that did not hear of it, because its node was cut off, ends then. Each look reads a row of the directory. 0:
    /// nobody is looked at again. Default 300. Since 0.2.
    pub look_again_seconds: u64,
    /// How long a drain spreads the closing of connections. Default 10. Since 0.1.
    pub drain_seconds: u64,
}

impl Default for AccessConfig {
    fn default() -> Self {
        let terminal = TerminalConfig::default();
        Self {
            tcp: None,
            tcp_tls: None,
            websocket: None,
            websocket_tls: None,
            tls_certificate: None,
            tls_key: None,
            listen_backlog: 4096,
            connections_max: 18_000,
            handshakes_per_address_max: 4096,
            handshake_timeout_seconds: 10,
            idle_timeout_seconds: 75,
            tcp_idle_timeout_seconds: 300,
            write_timeout_seconds: 20,
            terminals_per_user_max: 32,
            unsent_bytes_max: 8 * 1024 * 1024,
            arrivals_max: 256,
            frame_bytes_max: 256 * 1024,
            message_bytes_max: terminal.message_bytes_max,
            publish_burst: terminal.publish_burst,
            publish_rate: terminal.publish_rate,
            queries_max: terminal.questions_max,
            look_again_seconds: 300,
            drain_seconds: 10,
        }
    }
}

impl AccessConfig {
    /// Whether a node can work with these settings; the text says which is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let at_least_one = [
            (self.connections_max == 0, "connections_max: at least 1"),
            (self.handshakes_per_address_max == 0, "handshakes_per_address_max: at least 1"),
            (self.handshake_timeout_seconds == 0, "handshake_timeout_seconds: at least 1, or nobody gets in"),
            (self.idle_timeout_seconds == 0, "idle_timeout_seconds: at least 1"),
            (self.tcp_idle_timeout_seconds == 0, "tcp_idle_timeout_seconds: at least 1"),
            (self.write_timeout_seconds == 0, "write_timeout_seconds: at least 1"),
        ];
        at_least_one.into_iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// The limits of the terminals.
    pub(crate) fn terminal(&self) -> TerminalConfig {
        TerminalConfig {
            message_bytes_max: self.message_bytes_max,
            publish_burst: self.publish_burst,
            publish_rate: self.publish_rate,
            questions_max: self.queries_max,
            ..TerminalConfig::default()
        }
    }

    pub(crate) const fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    pub(crate) fn look_again(&self) -> Option<Duration> {
        (self.look_again_seconds > 0).then(|| Duration::from_secs(self.look_again_seconds))
    }

    /// How long a drain spreads the closing of connections.
    pub const fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}
