//! The trace of a run: everybody who takes part writes into one list, in the order in which things happen to them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_client::Timestamp;
use anser_testkit::checker::{Checker, Options, Report};
use anser_testkit::trace::{CallId, ClientConnection, Event, Line, Name, Terminal};
use tokio::time::Instant;

/// Writes a trace. Cheap to clone; clones write into the same one.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    begun: Instant,
    lines: Vec<Line>,
    next: u64,
    pending: usize,
    acked: usize,
    /// Bodies that nobody waits for.
    aside: HashSet<u64>,
}

/// What clients met in a span of time.
#[derive(Debug, Default)]
pub struct Met {
    /// How long messages that were acked in it had waited since they were first sent, shortest first.
    pub waits: Vec<Duration>,
    /// How many attempts were refused.
    pub refused: usize,
    /// How many connections ended.
    pub disconnected: usize,
    /// How long the oldest message that is not acked has been waiting.
    pub oldest: Option<Duration>,
}

impl Met {
    /// The wait that so many of a thousand messages did not exceed.
    pub fn wait(&self, of_a_thousand: usize) -> Duration {
        let at = (self.waits.len() * of_a_thousand / 1000).min(self.waits.len().saturating_sub(1));
        self.waits.get(at).copied().unwrap_or_default()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        let (begun, lines, aside) = (Instant::now(), Vec::new(), HashSet::new());
        Self(Arc::new(Mutex::new(State { begun, lines, next: 0, pending: 0, acked: 0, aside })))
    }
}

impl Recorder {
    /// An empty trace.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event.
    pub fn note(&self, event: Event) {
        let mut state = self.state();
        let at = u64::try_from(state.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        state.acked += usize::from(matches!(event, Event::Acked { .. }));
        state.lines.push(Line { at, event });
    }

    /// A number that nobody else gets.
    fn number(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next
    }

    /// A new attempt to send.
    pub fn call(&self) -> CallId {
        CallId(self.number())
    }

    /// A new body.
    pub fn body(&self) -> u64 {
        self.number()
    }

    /// A new body of a client that waits as it sees fit: it is judged, and no wait of it counts.
    pub fn body_aside(&self) -> u64 {
        let body = self.number();
        self.state().aside.insert(body);
        body
    }

    /// A new terminal.
    pub fn terminal(&self) -> Terminal {
        Terminal(self.number())
    }

    /// Notes a sign-in and gives it its name.
    pub fn connected(&self, terminal: Terminal, user: &Name, cursor: Timestamp) -> ClientConnection {
        let connection = ClientConnection(self.number());
        self.note(Event::Connected { connection, terminal, user: user.clone(), cursor: cursor.0 });
        connection
    }

    /// So many more messages wait for their ack.
    pub(crate) fn pending(&self, more: isize) {
        let mut state = self.state();
        state.pending = state.pending.saturating_add_signed(more);
    }

    /// How many messages wait for their ack.
    pub fn pending_now(&self) -> usize {
        self.state().pending
    }

    /// How many messages were acked.
    pub fn acked(&self) -> usize {
        self.state().acked
    }

    /// How many deliveries are still missing: of what was acked, to everybody in `audience` (by conversation target; a
    /// target that is not in it is a user).
    pub fn missing(&self, audience: &HashMap<Name, Vec<Name>>) -> usize {
        let state = self.state();
        let mut bodies = HashMap::new();
        let mut users = HashMap::new();
        let mut shown: HashSet<(&Name, u64)> = HashSet::new();
        let mut wanted: HashSet<(&Name, u64)> = HashSet::new();
        for line in &state.lines {
            match &line.event {
                Event::Invoked { call, user, conversation, body, .. } => {
                    bodies.insert(call, (user, &conversation.target, *body));
                }
                Event::Connected { connection, user, .. } => {
                    users.insert(connection, user);
                }
                Event::Shown { connection, message, .. } => {
                    shown.extend(users.get(connection).map(|user| (*user, message.body)));
                }
                Event::Acked { call, .. } => {
                    let Some((sender, target, body)) = bodies.get(call) else {
                        continue;
                    };
                    let alone = std::slice::from_ref(*target);
                    let group = audience.get(*target).map_or(alone, Vec::as_slice);
                    wanted.extend(group.iter().filter(|user| user != sender).map(|user| (user, *body)));
                }
                _ => {}
            }
        }
        wanted.difference(&shown).count()
    }

    /// The time since the trace began.
    pub fn now(&self) -> Duration {
        self.state().begun.elapsed()
    }

    /// What clients met from `since` on.
    pub fn met(&self, since: Duration) -> Met {
        let since = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let state = self.state();
        let mut met = Met::default();
        let mut begun = HashMap::new();
        let mut bodies = HashMap::new();
        for line in &state.lines {
            match &line.event {
                Event::Invoked { call, body, .. } if !state.aside.contains(body) => {
                    begun.entry(*body).or_insert(line.at);
                    bodies.insert(*call, *body);
                }
                Event::Acked { call, .. } => {
                    let first = bodies.remove(call).and_then(|body| begun.remove(&body));
                    if line.at >= since {
                        met.waits.extend(first.map(|first| Duration::from_micros(line.at.saturating_sub(first))));
                    }
                }
                Event::Refused { .. } if line.at >= since => met.refused += 1,
                Event::Disconnected { .. } if line.at >= since => met.disconnected += 1,
                _ => {}
            }
        }
        let now = u64::try_from(state.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        met.oldest = begun.into_values().min().map(|first| Duration::from_micros(now.saturating_sub(first)));
        met.waits.sort_unstable();
        met
    }

    /// The verdict.
    pub fn check(&self) -> Report {
        Checker::check(Options::default(), &self.state().lines)
    }
}
