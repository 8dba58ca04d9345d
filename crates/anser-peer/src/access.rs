//! The terminals of the whole cluster, as the message role and the server API see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_cluster::{AccessService, Arrival, BoxFuture, Deliver, Newcomer, Refusal, Settled, SignOut};
use anser_types::{ConnectionId, NodeId, Position, Timestamp, UserKey};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::wire::{Answer, Frame, Request};

/// Tells the nodes at which users are. Outcomes go back on the stream on which the publishes came: if it is gone, they come
/// again.
#[derive(Debug, Clone)]
pub struct RoutedAccess {
    hub: Arc<Hub>,
}

type Nodes = SmallVec<[NodeId; 4]>;

impl RoutedAccess {
    pub(crate) const fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The nodes that are meant; all with terminals, where nobody has looked.
    fn nodes(&self, online: Option<&[NodeId]>) -> Nodes {
        match online {
            Some(nodes) => nodes.into(),
            None => self.hub.routes().access_nodes().into(),
        }
    }

    /// The terminals here, if this node is meant.
    fn here(&self, nodes: &[NodeId]) -> Option<&Arc<dyn AccessService>> {
        self.hub.terminals.as_ref().filter(|_| nodes.contains(&self.hub.me()))
    }

    async fn ask_online(&self, user: UserKey) -> Result<bool, Refusal> {
        let nodes = match self.hub.ask(Request::Online(user.clone())).await? {
            Answer::Nodes(nodes) => nodes,
            _ => return crate::messages::astray(),
        };
        let deadline = Instant::now() + self.hub.config.call_timeout;
        // Of a node that has gone, the trace is left.
        let routes = self.hub.routes();
        let here = nodes.into_iter().filter(|node| routes.member(*node).is_some());
        let mut answers: FuturesUnordered<_> =
            here.map(|node| self.hub.ask_node(node, Request::IsOnline(user.clone()), deadline)).collect();
        let mut unknown = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Ok(Answer::Flag(true))) => return Ok(true),
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => unknown = Some(refusal),
                Err(_) => unknown = Some(Refusal::UNAVAILABLE),
            }
        }
        unknown.map_or(Ok(false), Err)
    }
}

impl AccessService for RoutedAccess {
    fn settle(&self, settled: Vec<Settled>) {
        let me = self.hub.me();
        let (here, elsewhere): (Vec<_>, Vec<_>) = settled.into_iter().partition(|one| one.connection.is_of(me));
        if !here.is_empty() {
            self.hub.kept.settled(me, here, &*self.hub);
        }
        // By the half that names the node: one look-up and one frame for each.
        let mut by_node: BTreeMap<u64, Vec<Settled>> = BTreeMap::new();
        for one in elsewhere {
            by_node.entry(one.connection.0 >> 32).or_default().push(one);
        }
        for settled in by_node.into_values() {
            let Some(first) = settled.first() else { continue };
            for session in self.hub.sessions_of(first.connection) {
                session.settle(settled.clone());
            }
        }
    }

    fn arrive(&self, arrival: Arrival) {
        let Arrival { app, message, to } = arrival;
        let mut by_node: BTreeMap<NodeId, Vec<Deliver>> = BTreeMap::new();
        for deliver in to {
            for node in self.nodes(deliver.online.as_deref()) {
                by_node.entry(node).or_default().push(deliver.clone());
            }
        }
        for (node, to) in by_node {
            let arrival = Arrival { app: app.clone(), message: Arc::clone(&message), to };
            if node != self.hub.me() {
                self.hub.link_or_new(node).arrive(arrival);
            } else if let Some(terminals) = &self.hub.terminals {
                terminals.arrive(arrival);
            }
        }
    }

    fn settings_changed(&self, user: &UserKey, time: Timestamp, by: ConnectionId, online: Option<&[NodeId]>) {
        let nodes = self.nodes(online);
        if let Some(terminals) = self.here(&nodes) {
            terminals.settings_changed(user, time, by, None);
        }
        self.hub.tell_nodes(&nodes, &Frame::SettingsChanged { user: user.clone(), time, by });
    }

    fn moved(&self, user: &UserKey, head: Position, online: Option<&[NodeId]>) {
        let nodes = self.nodes(online);
        if let Some(terminals) = self.here(&nodes) {
            terminals.moved(user, head, None);
        }
        for node in nodes.iter().filter(|node| **node != self.hub.me()) {
            self.hub.link_or_new(*node).moved(user.clone(), head);
        }
    }

    fn sign_out(&self, user: &UserKey, why: SignOut) {
        // All of them: presence is a hint, and this is none.
        let nodes = self.nodes(None);
        if let Some(terminals) = &self.hub.terminals {
            terminals.sign_out(user, why);
        }
        self.hub.tell_nodes(&nodes, &Frame::SignOut { user: user.clone(), why });
    }

    fn gives_way(&self, newcomer: &Newcomer, online: &[NodeId]) {
        if let Some(terminals) = self.here(online) {
            terminals.gives_way(newcomer, &[]);
        }
        self.hub.tell_nodes(online, &Frame::GivesWay(newcomer.clone()));
    }

    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(self.ask_online(user.clone()))
    }
}

#[cfg(test)]
mod tests;
