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
pub(crate) fn addresses(config: &NodeConfig, access: &AccessServer) -> Result<ClientAddresses, ServeError> {
    let advertised = &config.advertise;
    Ok(ClientAddresses {
        tcp: told("tcp", &advertised.tcp, access.tcp_addr())?,
        tls_tcp: told("tls_tcp", &advertised.tls_tcp, access.tcp_tls_addr())?,
        ws: told("ws", &advertised.ws, access.websocket_addr())?,
        tls_ws: told("tls_ws", &advertised.tls_ws, access.websocket_tls_addr())?,
    })
}

/// What clients are told of a port. They are told by another node, which does not know by what name they reach one that is bound to
/// all addresses.
fn told(name: &str, advertised: &str, bound: Option<SocketAddr>) -> Result<String, ServeError> {
    match (advertised, bound) {
        ("", Some(bound)) if bound.ip().is_unspecified() => Err(ServeError::Unfit(format!(
            "advertise.{name} is not set: clients would be told to connect to {bound}; say by which HOST:PORT they reach it"
        ))),
        ("", bound) => Ok(bound.map(|bound| bound.to_string()).unwrap_or_default()),
        (told, _) => Ok(told.to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_connect_to_all_addresses() {
        let at = |text: &str| Some(text.parse().unwrap());
        for bound in ["0.0.0.0:8081", "[::]:8081"] {
            let refused = told("tcp", "", at(bound)).unwrap_err().to_string();
            assert!(refused.contains("advertise.tcp is not set") && refused.contains(bound), "{refused}");
            assert_eq!(told("tcp", "chat.example.com:8081", at(bound)).unwrap(), "chat.example.com:8081");
        }
        assert_eq!(told("tcp", "", at("10.0.0.1:8081")).unwrap(), "10.0.0.1:8081");
        assert_eq!(told("tcp", "", None).unwrap(), "", "it is off");
    }
}
