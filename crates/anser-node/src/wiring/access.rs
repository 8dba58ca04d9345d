//! The access role of a node, and what navigation tells about it.

use std::net::SocketAddr;
use std::sync::Arc;

use anser_access::{AccessDeps, AccessServer, Registry, StartError};
use anser_backend::ClientAddresses;
use anser_navi::{Address, Endpoint, Transport};
use anser_runtime::{Clock, Tasks};
use anser_types::NodeId;

use crate::ServeError;
use crate::config::NodeConfig;

use super::apps::Apps;
use super::{Services, resolve};

/// Starts the role: from now on clients can connect.
pub(crate) fn start(
    config: &NodeConfig,
    apps: &Apps,
    services: &Services,
    registry: &Arc<Registry>,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<AccessServer, ServeError> {
    let mut settings = config.access.clone();
    settings.tcp = resolve("tcp", &config.tcp)?;
    settings.websocket = resolve("ws", &config.ws)?;
    settings.tcp_tls = resolve("tls.tcp", &config.tls.tcp)?;
    settings.websocket_tls = resolve("tls.ws", &config.tls.ws)?;
    settings.tls_certificate.clone_from(&config.tls.certificate);
    settings.tls_key.clone_from(&config.tls.key);
    settings.message_bytes_max = config.message.message_bytes_max;
    let flags = [
        (settings.tcp, "--tcp"),
        (settings.websocket, "--ws"),
        (settings.tcp_tls, "--tls-tcp"),
        (settings.websocket_tls, "--tls-ws"),
    ];
    let deps = AccessDeps {
        apps: Arc::clone(&apps.registry) as Arc<dyn anser_cluster::AppRegistry>,
        messages: Arc::clone(&services.messages),
        directory: Arc::clone(&services.directory),
        registry: Arc::clone(registry),
        ids: Arc::clone(&services.ids),
        cluster: services.cluster.clone(),
        forgotten: services.forgotten.clone(),
        clock: clock.clone(),
        tasks: tasks.clone(),
    };
    AccessServer::start(settings, deps).map_err(|error| match error {
        StartError::Bind { address, source } => ServeError::listen(address, flag_of(&flags, address), source),
        other => ServeError::Access(other),
    })
}

/// Draws the id of this run.
pub(super) fn draw_node() -> Result<NodeId, ServeError> {
    let random = crate::apps::random_number().map_err(crate::AppFileError::from)?;
    Ok(NodeId::drawn(random))
}

/// The flag that chose an address.
fn flag_of(flags: &[(Option<SocketAddr>, &'static str)], address: SocketAddr) -> &'static str {
    flags.iter().find(|(chosen, _)| *chosen == Some(address)).map_or("its flag", |(_, flag)| flag)
}

/// The ports as clients of a cluster find them: as the operator says, or as they are bound.
pub(crate) fn addresses(config: &NodeConfig, access: &AccessServer) -> ClientAddresses {
    let advertised = &config.advertise;
    let told = |advertised: &String, bound: Option<SocketAddr>| match (advertised.as_str(), bound) {
        ("", bound) => bound.map(|bound| bound.to_string()).unwrap_or_default(),
        (told, _) => told.to_owned(),
    };
    ClientAddresses {
        tcp: told(&advertised.tcp, access.tcp_addr()),
        tls_tcp: told(&advertised.tls_tcp, access.tcp_tls_addr()),
        ws: told(&advertised.ws, access.websocket_addr()),
        tls_ws: told(&advertised.tls_ws, access.websocket_tls_addr()),
    }
}

/// The ports as clients find them: as the operator says, or as they are bound.
pub(crate) fn endpoints(config: &NodeConfig, access: &AccessServer) -> Vec<Endpoint> {
    let advertised = &config.advertise;
    let ports = [
        (Transport::Tcp, &advertised.tcp, access.tcp_addr()),
        (Transport::Tls, &advertised.tls_tcp, access.tcp_tls_addr()),
        (Transport::Ws, &advertised.ws, access.websocket_addr()),
        (Transport::Wss, &advertised.tls_ws, access.websocket_tls_addr()),
    ];
    let endpoint = |(transport, advertised, bound): (Transport, &String, Option<SocketAddr>)| {
        let address = match (advertised.as_str(), bound) {
            ("", bound) => Address::of_bound(bound?),
            (told, _) => Address::Fixed(told.to_owned()),
        };
        Some(Endpoint { transport, address })
    };
    ports.into_iter().filter_map(endpoint).collect()
}
