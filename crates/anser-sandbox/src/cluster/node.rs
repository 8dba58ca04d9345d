//! What a cluster consists of: its nodes, their roles, and the ports of each.

use std::path::PathBuf;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::address::NODES_BLOCK;
use crate::status::State;

/// Ports that each node may have.
const PORTS: u16 = 8;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Tells clients where to connect.
    Navi,
    /// Serves app backends.
    Api,
    /// Holds connections.
    Access,
    /// Decides and stores.
    Message,
}

impl Role {
    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Navi => "navi",
            Self::Api => "api",
            Self::Access => "access",
            Self::Message => "message",
        }
    }
}

/// How many nodes of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// Navigation and server API together.
    pub front: u16,
    /// Connections.
    pub access: u16,
    /// Decisions.
    pub message: u16,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { front: 1, access: 2, message: 3 }
    }
}

impl Nodes {
    /// Whether they make a cluster that can be run here.
    pub(crate) fn check(self) -> anyhow::Result<()> {
        let complete = self.front > 0 && self.access > 0 && self.message > 0;
        ensure!(complete, "a cluster has at least one node of each kind: front, access, message");
        let all = self.front.saturating_add(self.access).saturating_add(self.message);
        ensure!(all <= NODES_BLOCK / PORTS, "no more than {} nodes fit in a block of ports", NODES_BLOCK / PORTS);
        Ok(())
    }

    /// The nodes, with the ports of the block that begins at `base`.
    pub(crate) fn list(self, base: u16) -> Vec<Node> {
        let kinds: [(&str, u16, &[Role]); 3] = [
            ("front", self.front, &[Role::Navi, Role::Api]),
            ("access", self.access, &[Role::Access]),
            ("message", self.message, &[Role::Message]),
        ];
        let named = kinds.into_iter().flat_map(|(kind, count, roles)| {
            (1..=count).map(move |number| (format!("{kind}-{number}"), roles.to_vec()))
        });
        let first = |at: u16| base + PORTS * at;
        let with_ports = named.zip(0..).map(|((name, roles), at)| {
            let port = |nth: u16| first(at) + nth;
            let ports = NodePorts { http: port(0), tcp: port(1), ws: port(2), peers: port(3), admin: port(4) };
            Node { name, roles, ports }
        });
        with_ports.collect()
    }
}

/// Where nodes are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outside {
    /// The first port of their block.
    pub(crate) base: u16,
    /// The first of another block, if they are reached through a program that passes bytes on.
    pub(crate) passed: Option<u16>,
}

impl Outside {
    /// Where a port of theirs is reached.
    pub(crate) fn of(self, port: u16) -> u16 {
        self.passed.map_or(port, |passed| passed + (port - self.base))
    }
}

/// Where a node listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NodePorts {
    /// Navigation and server API.
    pub http: u16,
    /// Clients over TCP.
    pub tcp: u16,
    /// Clients over WebSocket.
    pub ws: u16,
    /// Other nodes.
    pub peers: u16,
    /// Operators.
    pub admin: u16,
}

impl NodePorts {
    /// All of them.
    pub(crate) const fn all(self) -> [u16; 5] {
        [self.http, self.tcp, self.ws, self.peers, self.admin]
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// `front-1`, `access-1`, `message-1` and so on.
    pub name: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// Where it listens.
    pub ports: NodePorts,
}

impl Node {
    /// Whether it does this.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// A node, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Which.
    #[serde(flatten)]
    pub node: Node,
    /// How it is. `Silent`: it has a process and is not ready.
    pub state: State,
    /// Its process, unless it is down.
    pub pid: Option<i32>,
    /// What it wrote.
    pub log: PathBuf,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nodes_have_names_roles_and_ports_of_their_own() {
        let nodes = Nodes::default().list(20_000);
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["front-1", "access-1", "access-2", "message-1", "message-2", "message-3"]);
        let ports: BTreeSet<u16> = nodes.iter().flat_map(|node| node.ports.all()).collect();
        assert_eq!(ports.len(), 30);
        assert!(ports.iter().all(|port| (20_000..20_000 + NODES_BLOCK).contains(port)));
    }

    #[test]
    fn a_cluster_has_a_node_of_each_kind_and_not_too_many() {
        Nodes::default().check().unwrap();
        Nodes { front: 2, access: 2, message: 4 }.check().unwrap();
        Nodes { access: 0, ..Nodes::default() }.check().unwrap_err();
        Nodes { message: 6, ..Nodes::default() }.check().unwrap_err();
    }
}
