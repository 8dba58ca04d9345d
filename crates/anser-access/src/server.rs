//! The access role as a whole: it starts, drains, and ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{AccessService, AppRegistry, ConnectionIds, DirectoryService, MessageService};
use anser_rmtp::DisconnectStatus;
use anser_runtime::{Clock, Fate, Tasks};

use crate::connection::Connection;
use crate::handshake::Speaks;
use crate::listener::{Doors, Port, accept, bind};
use crate::outbox::End;
use crate::services::Services;
use crate::tls::{Certificate, TlsError};
use crate::{AccessConfig, Registry};
use crate::{ban, presence, sweeper};

/// The steps in which a drain closes connections.
const DRAIN_STEP: Duration = Duration::from_millis(100);

/// What the access role needs of the others.
#[derive(Debug)]
pub struct AccessDeps {
    /// The apps and their token keys.
    pub apps: Arc<dyn AppRegistry>,
    /// The message role.
    pub messages: Arc<dyn MessageService>,
    /// Who may sign in, and users' settings.
    pub directory: Arc<dyn DirectoryService>,
    /// The registry that the message role was given.
    pub registry: Arc<Registry>,
    /// The ids for this node's connections.
    pub ids: Arc<ConnectionIds>,
    /// The access roles of all nodes. `None`: there is one node, and nobody has to be told who is where.
    pub cluster: Option<Arc<dyn AccessService>>,
    /// How often what others know of who is here may have been forgotten, if there are others.
    pub forgotten: Option<tokio::sync::watch::Receiver<u64>>,
    /// The time.
    pub clock: Clock,
    /// Where its tasks run, and the drain that ends them.
    pub tasks: Tasks,
}

/// Why the access role did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be listened on.
    #[error("listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate is needed and cannot be used.
    #[error("prepare tls")]
    Tls(#[from] TlsError),
}

/// The running access role.
#[derive(Debug)]
pub struct AccessServer {
    addresses: Addresses,
    services: Arc<Services>,
    certificate: Option<Arc<Certificate>>,
    doors: Arc<Doors>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Addresses {
    tcp: Option<SocketAddr>,
    tcp_tls: Option<SocketAddr>,
    websocket: Option<SocketAddr>,
    websocket_tls: Option<SocketAddr>,
}

impl AccessServer {
    /// Binds all ports, then begins to accept. Must be called within a runtime.
    pub fn start(config: AccessConfig, deps: AccessDeps) -> Result<Self, StartError> {
        let certificate = load_certificate(&config)?;
        let mut addresses = Addresses::default();
        let mut ports = Vec::new();
        for (address, speaks, secure, slot) in [
            (config.tcp, Speaks::Tcp, false, &mut addresses.tcp),
            (config.tcp_tls, Speaks::Tcp, true, &mut addresses.tcp_tls),
            (config.websocket, Speaks::WebSocket, false, &mut addresses.websocket),
            (config.websocket_tls, Speaks::WebSocket, true, &mut addresses.websocket_tls),
        ] {
            let Some(address) = address else { continue };
            let failed = |source| StartError::Bind { address, source };
            let listener = bind(address, config.listen_backlog).map_err(failed)?;
            *slot = Some(listener.local_addr().map_err(failed)?);
            ports.push(Port { listener, speaks, certificate: certificate.clone().filter(|_| secure) });
        }
        deps.registry.set_bounds(config.arrivals_max, config.terminals_per_user_max);
        let tasks = deps.tasks.clone();
        let forgotten = deps.forgotten.clone();
        let services = Arc::new(Services::new(config, deps));
        let doors = Arc::new(Doors::default());
        if services.cluster.is_some() {
            let departed = services.registry.report_departures();
            tasks.spawn("departures", Fate::VitalCutOff, presence::tell_departures(Arc::clone(&services), departed));
        }
        let doubted = services.registry.report_doubts();
        tasks.spawn("doubts", Fate::VitalCutOff, ban::look_at_doubted(Arc::clone(&services), doubted));
        if let Some(forgotten) = forgotten {
            tasks.spawn("presence", Fate::VitalCutOff, presence::tell_again(Arc::clone(&services), forgotten));
        }
        if let Some(every) = services.config.look_again() {
            tasks.spawn("look again", Fate::VitalCutOff, ban::look_again(Arc::clone(&services), every));
        }
        tasks.spawn("access sweeper", Fate::VitalCutOff, sweeper::sweep(Arc::clone(&services)));
        for port in ports {
            let accepting = accept(port, Arc::clone(&services), tasks.clone(), Arc::clone(&doors));
            tasks.spawn("access listener", Fate::Vital, accepting);
        }
        Ok(Self { addresses, services, certificate, doors })
    }

    /// Where native clients connect.
    pub const fn tcp_addr(&self) -> Option<SocketAddr> {
        self.addresses.tcp
    }

    /// Where native clients connect over TLS.
    pub const fn tcp_tls_addr(&self) -> Option<SocketAddr> {
        self.addresses.tcp_tls
    }

    /// Where web clients connect.
    pub const fn websocket_addr(&self) -> Option<SocketAddr> {
        self.addresses.websocket
    }

    /// Where web clients connect over TLS.
    pub const fn websocket_tls_addr(&self) -> Option<SocketAddr> {
        self.addresses.websocket_tls
    }

    /// The connections.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.services.registry)
    }

    /// Reads certificate and key again, for connections that come from now on. On an error the present ones stay in use.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.certificate.as_ref().map_or(Ok(()), |certificate| certificate.reload())
    }

    /// Ends all connections, spread over the drain time: clients that know the word are told to ask navigation again. To be
    /// called once draining has begun, which is when no more connections are accepted. Returns when all are closed, or when
    /// the drain time and five seconds more are over; what is left then is cut off.
    pub async fn drain(&self) {
        let time = self.services.config.drain_time();
        let mut connections = Vec::new();
        self.services.registry.for_each(|connection| connections.push(Arc::clone(connection)));
        for step in connections.chunks(share(connections.len(), time)) {
            step.iter().for_each(|connection| self.end(connection, farewell(connection)));
            tokio::time::sleep(DRAIN_STEP).await;
        }
        // Whoever was signing in when the drain began.
        self.services.registry.for_each(|connection| self.end(connection, farewell(connection)));
        if tokio::time::timeout(Duration::from_secs(5), self.doors.count.none()).await.is_err() {
            self.services.registry.for_each(|connection| self.end(connection, End::Cut));
        }
    }

    fn end(&self, connection: &Connection, end: End) {
        self.services.registry.end(connection, end, "drain");
    }
}

/// How many of so many connections end in each step of a drain of this time.
fn share(connections: usize, time: Duration) -> usize {
    let steps = usize::try_from(time.as_millis() / DRAIN_STEP.as_millis()).unwrap_or(1).max(1);
    connections.div_ceil(steps).max(1)
}

fn farewell(connection: &Connection) -> End {
    let redirect = DisconnectStatus::Redirect;
    if redirect.code() <= connection.generation.disconnect_code_max { End::Told(redirect) } else { End::Quiet }
}

fn load_certificate(config: &AccessConfig) -> Result<Option<Arc<Certificate>>, TlsError> {
    if config.tcp_tls.is_none() && config.websocket_tls.is_none() {
        return Ok(None);
    }
    match (&config.tls_certificate, &config.tls_key) {
        (Some(chain), Some(key)) => Ok(Some(Arc::new(Certificate::load(chain, key)?))),
        _ => Err(TlsError::NotConfigured),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_spread_over_its_time() {
        let second = Duration::from_secs(1);
        let steps = (second.as_millis() / DRAIN_STEP.as_millis()) as usize;
        assert_eq!([0, 1, steps, steps + 1, 20 * steps].map(|count| share(count, second)), [1, 1, 1, 2, 20]);
        assert_eq!(share(20 * steps, 10 * second), 2);
        assert_eq!(share(50, Duration::ZERO), 50, "at once");
    }
}
