//! The ways between nodes and servers, if they lead through a program that passes bytes on and can be told to stop doing so.
//! That program is the caller's; here is where it listens.

use crate::cluster::Cluster;
use crate::cluster::node::{Node, Outside};
use crate::service::{Kind, Service};
use crate::stack::Stack;

/// One way: what is to be passed on, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where whoever wants the target is sent, on 127.0.0.1.
    pub listen: u16,
    /// Where the target really is.
    pub target: u16,
    /// The node or server that listens there.
    pub name: String,
}

impl Passage {
    pub(super) fn of_service(stack: &Stack, service: &Service) -> Option<Self> {
        let ports = stack.ports();
        let (listen, target) = match service.kind {
            Kind::Kafka => (ports.kafka_elsewhere(service.number), ports.kafka_passed(service.number)),
            Kind::Redis => (ports.redis_elsewhere(service.number), service.port),
            Kind::Thrift => (ports.thrift_elsewhere(), service.port),
            // Only its gateway talks to it.
            Kind::HBase => return None,
        };
        Some(Self { listen, target, name: service.name.clone() })
    }

    fn of_node(node: &Node, outside: Outside) -> [Self; 4] {
        let ports = node.ports;
        [ports.http, ports.tcp, ports.ws, ports.peers].map(|target| Self {
            listen: outside.of(target),
            target,
            name: node.name.clone(),
        })
    }
}

impl Cluster {
    /// Every way there is; none if nodes and servers are to reach each other directly.
    pub fn passages(&self, stack: &Stack) -> Vec<Passage> {
        let outside = self.record.ports;
        if outside.passed.is_none() {
            return Vec::new();
        }
        let nodes = self.nodes().into_iter().flat_map(|node| Passage::of_node(&node, outside));
        let services = stack.services();
        nodes.chain(services.iter().filter_map(|service| Passage::of_service(stack, service))).collect()
    }
}
