//! A user who keeps sending, to several conversations at once, and writes down all that happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anser_client::terminal::{Application, Terminal as ClientTerminal, TerminalConfig};
use anser_client::{LocalClock, Navigation, Platform, Timestamp, Transport};
use anser_core::session::{Event as Input, Failure, Notice, Outgoing, Received, Session, SessionConfig, Via};
use anser_rmtp::TransportKind;
use anser_testkit::trace::{
    CallId, ClientConnection, Conversation, Direction, Event, Keep, Kind, Name, Seen, Terminal, Via as TraceVia,
};
use anser_types::ConversationType;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::recorder::Recorder;

/// Whether everybody sends.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicBool>);

impl Load {
    /// Everybody sends, one message at a time in each conversation.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Nobody begins another message. What is under way is sent until it is acked.
    pub fn end(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn goes_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A message under way.
#[derive(Debug)]
struct Pending {
    call: CallId,
    conversation: anser_types::Conversation,
    body: u64,
}

/// One user at one terminal.
#[derive(Debug)]
pub struct Chatter {
    user: Name,
    terminal: Terminal,
    connection: Option<ClientConnection>,
    conversations: Vec<anser_types::Conversation>,
    pending: BTreeMap<u64, Pending>,
    recorder: Recorder,
    load: Load,
    pace: Option<Pace>,
}

/// How often a message begins, and whose turn it is.
#[derive(Debug)]
struct Pace {
    ticks: Interval,
    next: usize,
}

impl Chatter {
    /// A user who sends to these conversations while `load` says so.
    pub fn new(user: &str, conversations: Vec<anser_types::Conversation>, load: Load, recorder: Recorder) -> Self {
        let (user, terminal) = (Name::from(user), recorder.terminal());
        Self { user, terminal, connection: None, conversations, pending: BTreeMap::new(), recorder, load, pace: None }
    }

    /// Begins one message at a time, so often, instead of one in every conversation as soon as the last one is acked.
    #[must_use]
    pub fn paced(mut self, every: Duration) -> Self {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.pace = Some(Pace { ticks, next: 0 });
        self
    }

    /// The terminal of this user: a future that never ends by itself, and reconnects as often as it has to.
    pub fn terminal(self, url: &str, app_key: &str, token: &str, transport: Transport) -> ClientTerminal<Self> {
        let mut session = SessionConfig::new(app_key, token, TransportKind::Tcp, self.terminal.0);
        // Copies of what a node had accepted that died come from the next one, seconds later; meanwhile a quick user sends thousands.
        session.seen_max = 64 * 1024;
        session.device_id = format!("device-{}", self.terminal.0);
        session.platform = Platform::Pc;
        // A server that was killed is back within a second; a client of flesh and blood would wait longer.
        session.reconnect_min_ms = 20;
        session.reconnect_max_ms = 100;
        session.refusal_pause_ms = 50;
        session.answer_timeout_ms = 5_000;
        // Nor does it stay for long with a server that says nothing.
        session.heartbeat_ms = 1_500;
        session.silence_max_ms = 4_500;
        session.resends_max = u8::MAX;
        let config = TerminalConfig {
            session,
            navigation: Navigation::Http(url.parse().expect("the server's own address is one")),
            transport,
            source: None,
            trust: None,
            clock: LocalClock::start(),
        };
        ClientTerminal::new(config, self)
    }

    /// Begins a message in every conversation that has none under way.
    fn send_where_idle(&mut self, events: &mut Vec<Input>) {
        if self.connection.is_none() || !self.load.goes_on() || self.pace.is_some() {
            return;
        }
        for conversation in self.conversations.clone() {
            if !self.pending.values().any(|pending| pending.conversation == conversation) {
                self.send(conversation, events);
            }
        }
    }

    /// Begins a message in the next conversation that has none under way, if it is time.
    fn send_if_time(&mut self, cx: &mut Context<'_>, events: &mut Vec<Input>) {
        while self.pace.as_mut().is_some_and(|pace| pace.ticks.poll_tick(cx).is_ready()) {
            if self.connection.is_none() || !self.load.goes_on() {
                continue;
            }
            for _ in 0..self.conversations.len() {
                let at = self.pace.as_mut().map_or(0, |pace| {
                    pace.next += 1;
                    pace.next % self.conversations.len()
                });
                let conversation = self.conversations[at].clone();
                if !self.pending.values().any(|pending| pending.conversation == conversation) {
                    self.send(conversation, events);
                    break;
                }
            }
        }
    }

    fn send(&mut self, conversation: anser_types::Conversation, events: &mut Vec<Input>) {
        let body = self.recorder.body();
        let mut outgoing = Outgoing::text(conversation.clone(), &format!("{body} {}", "x".repeat(150)));
        outgoing.ticket = body;
        let pending = Pending { call: self.recorder.call(), conversation, body };
        self.invoke(&pending);
        self.pending.insert(body, pending);
        self.recorder.pending(1);
        events.push(Input::Send(Box::new(outgoing)));
    }

    fn invoke(&self, pending: &Pending) {
        self.recorder.note(Event::Invoked {
            call: pending.call,
            user: self.user.clone(),
            connection: self.connection,
            conversation: traced(&pending.conversation),
            client_id: None,
            body: pending.body,
            keep: Keep::History,
            to: Vec::new(),
        });
    }

    fn connected(&mut self, cursor: Timestamp) {
        self.connection = Some(self.recorder.connected(self.terminal, &self.user, cursor));
        // The session sends again what has no answer yet; to the checker each is a new attempt with the same body.
        let mut pending = std::mem::take(&mut self.pending);
        for pending in pending.values_mut() {
            pending.call = self.recorder.call();
            self.invoke(pending);
        }
        self.pending = pending;
    }

    fn settle(&mut self, ticket: u64, outcome: impl FnOnce(CallId) -> Event) {
        if let Some(pending) = self.pending.remove(&ticket) {
            self.recorder.note(outcome(pending.call));
            self.recorder.pending(-1);
        }
    }

    fn failed(&mut self, ticket: u64, failure: Failure) {
        match failure {
            Failure::Refused(status) => self.settle(ticket, |call| Event::Refused { call, status: status.0 }),
            // Nobody knows what became of it; it stays among what waits, so that the scenario cannot overlook it.
            other => eprintln!("{}: message {ticket} failed: {other}", self.user),
        }
    }
}

impl Application for Chatter {
    fn on_notice(&mut self, notice: Notice, session: &Session, _now: Timestamp, events: &mut Vec<Input>) {
        match notice {
            Notice::Connected { .. } => self.connected(session.cursor()),
            Notice::Disconnected(_) | Notice::Stopped(_) => {
                if let Some(connection) = self.connection.take() {
                    self.recorder.note(Event::Disconnected { connection });
                }
            }
            Notice::Acked { ticket, uid, sent, .. } => {
                self.settle(ticket, |call| Event::Acked { call, uid, sent: sent.0 });
            }
            Notice::Failed { ticket, failure, .. } => self.failed(ticket, failure),
            Notice::Received(received) => {
                if let Some(connection) = self.connection {
                    self.recorder.note(shown(connection, &received));
                }
            }
            Notice::Synced | Notice::Written { .. } | Notice::Answer { .. } => {}
        }
        self.send_where_idle(events);
    }

    fn poll_wishes(&mut self, _session: &Session, cx: &mut Context<'_>, events: &mut Vec<Input>) {
        self.send_if_time(cx, events);
        self.send_where_idle(events);
    }

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn is_done(&self, _session: &Session) -> bool {
        false
    }
}

/// A message as the trace has it.
pub(crate) fn shown(connection: ClientConnection, received: &Received) -> Event {
    let via = match received.via {
        Via::Direct => TraceVia::Direct,
        Via::Copy => TraceVia::Copy,
        Via::Pull | Via::History => TraceVia::Pull,
    };
    let message = Seen {
        uid: received.uid,
        sent: received.sent.0,
        sender: Name::from(received.sender.as_str()),
        conversation: traced(&received.conversation),
        direction: if received.own { Direction::Sent } else { Direction::Received },
        body: body_of(&received.content),
    };
    Event::Shown { connection, via, message }
}

/// The number that a chatter's text begins with. 0 is nobody's, so that the checker finds what is garbled.
pub(crate) fn body_of(content: &[u8]) -> u64 {
    let content: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
    let text = content.get("content").and_then(serde_json::Value::as_str).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A conversation as the trace has it.
pub(crate) fn traced(conversation: &anser_types::Conversation) -> Conversation {
    let kind = match conversation.kind {
        ConversationType::Group => Kind::Group,
        ConversationType::System => Kind::System,
        _ => Kind::Private,
    };
    Conversation { kind, target: Name::from(conversation.target.as_str()) }
}
