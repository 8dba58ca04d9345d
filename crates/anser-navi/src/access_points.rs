//! The access nodes that navigation can send clients to, and where they listen.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anser_cluster::BoxFuture;
use anser_core::navigation::AccessNode;
use anser_types::UserKey;

/// How a client talks to an access node, with the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// The native framing over TCP.
    Tcp = 1,
    /// The native framing over TLS.
    Tls = 2,
    /// WebSocket.
    Ws = 5,
    /// WebSocket over TLS.
    Wss = 6,
}

impl Transport {
    /// The transport with this number, if there is one that is offered.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Tcp),
            2 => Some(Self::Tls),
            5 => Some(Self::Ws),
            6 => Some(Self::Wss),
            _ => None,
        }
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Where clients reach a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At this `host:port`, as the operator configured it or the listener is bound.
    Fixed(String),
    /// At this port of the host by which the client reached navigation: right for a listener that is bound to all
    /// addresses of a machine.
    Port(u16),
}

impl Address {
    /// The address of a listener that is bound to `bound` and for which the operator configured nothing else.
    pub fn of_bound(bound: std::net::SocketAddr) -> Self {
        if bound.ip().is_unspecified() { Self::Port(bound.port()) } else { Self::Fixed(bound.to_string()) }
    }

    /// The address for a client that asked navigation at `host` (without a port).
    pub(crate) fn for_host<'a>(&'a self, host: &'a str) -> AddressFor<'a> {
        AddressFor { address: self, host }
    }
}

pub(crate) struct AddressFor<'a> {
    address: &'a Address,
    host: &'a str,
}

impl fmt::Display for AddressFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Address::Fixed(address) => f.write_str(address),
            Address::Port(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// A listener of an access node, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken there.
    pub transport: Transport,
    /// Where it is.
    pub address: Address,
}

/// An access node and its listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPoint {
    /// What the choice of a node needs to know.
    pub node: AccessNode,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
}

/// The access nodes that are alive, as this node sees them now. A hint: a wrong view costs clients a detour.
pub trait AccessPoints: Send + Sync + fmt::Debug + 'static {
    /// The live nodes, draining ones among them.
    fn live(&self) -> Vec<AccessPoint>;

    /// The name of the node that holds a live terminal of the user, where that is known soon. A user who has one stays there,
    /// whatever node comes or is full. By default nothing is known.
    fn home<'a>(&'a self, _user: &'a UserKey) -> BoxFuture<'a, Option<String>> {
        Box::pin(std::future::ready(None))
    }
}

/// The access points of a server that is one node.
#[derive(Debug)]
pub struct OneNode {
    endpoints: Vec<Endpoint>,
    draining: AtomicBool,
}

impl OneNode {
    /// The node with these listeners.
    pub fn new(endpoints: Vec<Endpoint>) -> Arc<Self> {
        Arc::new(Self { endpoints, draining: AtomicBool::new(false) })
    }

    /// From now on nobody is sent here any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl AccessPoints for OneNode {
    fn live(&self) -> Vec<AccessPoint> {
        let draining = self.draining.load(Ordering::Relaxed);
        let node = AccessNode { name: "one".to_owned(), weight: 1, users: 0, draining };
        vec![AccessPoint { node, endpoints: self.endpoints.clone() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_found_where_navigation_was() {
        let all = Address::of_bound("0.0.0.0:81".parse().unwrap());
        assert_eq!(all.for_host("chat.example").to_string(), "chat.example:81");
        let all = Address::of_bound("[::]:81".parse().unwrap());
        assert_eq!(all.for_host("[::1]").to_string(), "[::1]:81");
        let one = Address::of_bound("127.0.0.1:81".parse().unwrap());
        assert_eq!(one.for_host("chat.example").to_string(), "127.0.0.1:81");
    }
}
