//! The answer of navigation, in the fields that published clients read.

use anser_core::navigation::{Choice, choose};
use anser_types::UserKey;
use serde::Serialize;

use crate::{AccessPoint, Endpoint, NaviConfig, Transport};

/// How a client came to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// The transports it named, best first; empty if it named none.
    pub(crate) transports: Vec<Transport>,
    /// Whether its page is served over HTTPS, so that a browser allows it nothing unencrypted.
    pub(crate) secure: bool,
    /// The host by which it reached navigation.
    pub(crate) host: String,
}

/// What a client is told. Features that are not offered are absent, which every client takes as "no".
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    code: u16,
    user_id: String,
    server: String,
    backup_server: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    server_addr: Vec<ServerAddr>,
    /// The kind of environment; clients refuse 1.
    r#type: u8,
    open_anti: u8,
    #[serde(rename = "openUS")]
    open_us: u8,
    kv_storage: u8,
    #[serde(rename = "joinMChrm")]
    join_many_chatrooms: bool,
    history_msg: bool,
    chatroom_msg: bool,
    log_switch: u8,
    log_policy: &'static str,
    voip_call_info: &'static str,
}

/// One place to connect to. Clients try the highest weight first.
#[derive(Debug, Serialize)]
struct ServerAddr {
    addr: String,
    protocol: u8,
    weight: u8,
}

impl Answer {
    /// The answer for a user, who may have terminals at the node `home`. `None` if no access node takes users now.
    pub(crate) fn new(
        live: &[AccessPoint],
        home: Option<&str>,
        user: &UserKey,
        shown_id: Option<&str>,
        asked: &Asked,
        config: NaviConfig,
    ) -> Option<Self> {
        let nodes: Vec<_> = live.iter().map(|point| point.node.clone()).collect();
        let choice = choose(&nodes, user, home)?;
        let best_first = best_first(live, &choice);
        let mut servers = simple_servers(&best_first, asked);
        Some(Self {
            code: 200,
            user_id: shown_id.unwrap_or_default().to_owned(),
            server: servers.next().unwrap_or_default(),
            backup_server: servers.collect::<Vec<_>>().join(","),
            server_addr: server_addresses(&best_first, asked),
            r#type: 2,
            open_anti: u8::from(config.protocol_v4),
            open_us: 1,
            kv_storage: 1,
            join_many_chatrooms: true,
            history_msg: true,
            chatroom_msg: true,
            log_switch: 0,
            log_policy: "",
            // Clients parse this text as JSON whether they call or not.
            voip_call_info: r#"{"strategy":1,"callEngine":[]}"#,
        })
    }
}

fn best_first<'a>(live: &'a [AccessPoint], choice: &Choice) -> Vec<&'a AccessPoint> {
    let order = std::iter::once(choice.node).chain(choice.backups.iter().copied());
    order.filter_map(|index| live.get(index)).collect()
}

/// One address per node for clients that read only `server`: of the first transport in the order of liking that the chosen
/// node has.
fn simple_servers<'a>(nodes: &'a [&'a AccessPoint], asked: &'a Asked) -> impl Iterator<Item = String> + 'a {
    const PLAIN: [Transport; 4] = [Transport::Ws, Transport::Wss, Transport::Tcp, Transport::Tls];
    const SECURE: [Transport; 4] = [Transport::Wss, Transport::Ws, Transport::Tls, Transport::Tcp];
    let usual = if asked.secure { SECURE } else { PLAIN };
    let chosen = nodes.first().and_then(|node| {
        let mut wanted = asked.transports.iter().chain(&usual);
        wanted.find(|transport| endpoint(node, **transport).is_some()).copied()
    });
    nodes.iter().filter_map(move |node| {
        let endpoint = endpoint(node, chosen?)?;
        Some(endpoint.address.for_host(&asked.host).to_string())
    })
}

fn endpoint(node: &AccessPoint, transport: Transport) -> Option<&Endpoint> {
    node.endpoints.iter().find(|endpoint| endpoint.transport == transport)
}

/// All places to connect to of the transports that were asked for, or of all if none was named.
fn server_addresses(nodes: &[&AccessPoint], asked: &Asked) -> Vec<ServerAddr> {
    let mut addresses = Vec::new();
    for (rank, node) in nodes.iter().enumerate() {
        let weight = u8::try_from(rank).map_or(0, |rank| 10u8.saturating_sub(rank));
        for endpoint in &node.endpoints {
            if asked.transports.is_empty() || asked.transports.contains(&endpoint.transport) {
                let addr = endpoint.address.for_host(&asked.host).to_string();
                addresses.push(ServerAddr { addr, protocol: endpoint.transport.number(), weight });
            }
        }
    }
    addresses
}
