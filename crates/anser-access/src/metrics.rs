//! What the access role counts.

use anser_rmtp::{ConnAckStatus, PushTopic, ServerFrameRef, ServerTopic};
use anser_runtime::metrics::{Counter, Counters, Gauge, Gauges, Registry};

use crate::handshake::Speaks;
use crate::io::Io;
use crate::sign_in::Denial;

/// How a connection reaches this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    WebSocket,
    SecureWebSocket,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Tcp, Self::Tls, Self::WebSocket, Self::SecureWebSocket];

    pub(crate) const fn of(speaks: Speaks, io: &Io) -> Self {
        match (speaks, io) {
            (Speaks::Tcp, Io::Plain(_)) => Self::Tcp,
            (Speaks::Tcp, Io::Tls(_)) => Self::Tls,
            (Speaks::WebSocket, Io::Plain(_)) => Self::WebSocket,
            (Speaks::WebSocket, Io::Tls(_)) => Self::SecureWebSocket,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
        }
    }
}

/// See the module. Made with the registry of connections, and counts from then on.
#[derive(Debug)]
pub struct AccessMetrics {
    connections: Gauges,
    by_transport: [Gauge; 4],
    turned_away: Counters,
    sign_ins: Counters,
    ended: Counters,
    pub(crate) publishes: Counter,
    answers: Counters,
    accepted: Counter,
    direct: Counter,
    notify: Counter,
    pushes: Counters,
    queries: Counters,
    query_answers: Counters,
    pub(crate) arrivals_dropped: Counter,
}

impl Default for AccessMetrics {
    fn default() -> Self {
        let (connections, answers, pushes) = (Gauges::default(), Counters::default(), Counters::default());
        let pushed = |kind| pushes.get_or_create_owned(&[("kind", kind)]);
        Self {
            by_transport: Transport::ALL
                .map(|transport| connections.get_or_create_owned(&[("transport", transport.name())])),
            accepted: answers.get_or_create_owned(&[("status", "accepted")]),
            direct: pushed("direct"),
            notify: pushed("notify"),
            turned_away: Counters::default(),
            sign_ins: Counters::default(),
            ended: Counters::default(),
            publishes: Counter::default(),
            queries: Counters::default(),
            query_answers: Counters::default(),
            arrivals_dropped: Counter::default(),
            connections,
            answers,
            pushes,
        }
    }
}

impl AccessMetrics {
    /// Gives the metrics their names.
    pub fn register(&self, to: &mut Registry) {
        to.register("connections", "Signed-in connections, by transport", self.connections.clone());
        to.register(
            "connections_turned_away",
            "Connections that were closed before they could say anything, by reason",
            self.turned_away.clone(),
        );
        to.register("sign_ins", "Attempts to sign in, by what became of them", self.sign_ins.clone());
        to.register("connections_ended", "Connections that this node ended, by reason", self.ended.clone());
        to.register("publishes_received", "Publishes that came from clients", self.publishes.clone());
        to.register("publishes_answered", "Publishes that were answered, by status", self.answers.clone());
        to.register("pushes", "What was sent to terminals unasked: messages, and notices to pull", self.pushes.clone());
        to.register("queries", "What clients asked of the message role, by kind", self.queries.clone());
        to.register("queries_answered", "Queries of clients that were answered, by status", self.query_answers.clone());
        to.register(
            "arrivals_dropped",
            "Arrivals for which a connection had no room: the terminal pulls them",
            self.arrivals_dropped.clone(),
        );
    }

    pub(crate) fn came(&self, transport: Transport) {
        self.of(transport).inc();
    }

    pub(crate) fn went(&self, transport: Transport) {
        self.of(transport).dec();
    }

    fn of(&self, transport: Transport) -> &Gauge {
        let [tcp, tls, ws, wss] = &self.by_transport;
        match transport {
            Transport::Tcp => tcp,
            Transport::Tls => tls,
            Transport::WebSocket => ws,
            Transport::SecureWebSocket => wss,
        }
    }

    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn asked(&self, kind: &'static str) {
        self.queries.get_or_create(&[("kind", kind)]).inc();
    }

    pub(crate) fn sign_in_ended(&self, result: &'static str) {
        self.sign_ins.get_or_create(&[("result", result)]).inc();
    }

    pub(crate) fn signed_in(&self) {
        self.sign_in_ended("accepted");
    }

    pub(crate) fn sign_in_denied(&self, denial: Denial) {
        self.sign_in_ended(match denial {
            Denial::NotNow => "unavailable",
            Denial::Refused(ConnAckStatus::AppRejected) => "unknown_app",
            Denial::Refused(ConnAckStatus::TokenIncorrect) => "token_incorrect",
            Denial::Refused(ConnAckStatus::TokenExpired) => "token_expired",
            Denial::Refused(ConnAckStatus::UserBlocked) => "user_blocked",
            Denial::Refused(_) => "refused",
        });
    }

    /// A frame goes to a client.
    pub(crate) fn sends(&self, frame: &ServerFrameRef<'_>) {
        match frame {
            ServerFrameRef::PubAck(ack) if ack.status.is_ok() => {
                self.accepted.inc();
            }
            ServerFrameRef::PubAck(ack) => {
                self.answers.get_or_create(&[("status", ack.status.label())]).inc();
            }
            ServerFrameRef::QueryAck(ack) => {
                self.query_answers.get_or_create(&[("status", ack.status.label())]).inc();
            }
            ServerFrameRef::Publish(publish) if publish.topic == ServerTopic::Push(PushTopic::Message) => {
                self.direct.inc();
            }
            ServerFrameRef::Publish(publish) if publish.topic == ServerTopic::Push(PushTopic::Notify) => {
                self.notify.inc();
            }
            _ => {}
        }
    }
}
