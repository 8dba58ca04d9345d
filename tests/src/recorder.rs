//! The trace of a run: everybody who takes part writes into one list, in the order in which things happen to them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_client::Timestamp;
use anser_testkit::checker::{Checker, Options, Report};
use anser_testkit::trace::{CallId, ClientConnection, Event, Line, Name, Terminal, TraceWriter};
use tokio::time::Instant;

use crate::met::{Journal, Met};

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
    journal: Journal,
}

impl Default for Recorder {
    fn default() -> Self {
        let (begun, lines, journal) = (Instant::now(), Vec::new(), Journal::default());
        Self(Arc::new(Mutex::new(State { begun, lines, next: 0, pending: 0, acked: 0, journal })))
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
        let line = Line { at: micros(state.begun.elapsed()), event };
        state.acked += usize::from(matches!(line.event, Event::Acked { .. }));
        state.journal.note(&line);
        state.lines.push(line);
    }

    /// What Redis was told so long ago, and before, it will not forget. What it has forgotten until now stays as it was noted.
    pub fn note_saved(&self, ago: Duration) {
        let mut state = self.state();
        let at = micros(state.begun.elapsed().saturating_sub(ago));
        let place = state.lines.partition_point(|line| line.at < at);
        let since = state.lines.get(place..).unwrap_or_default();
        let forgot = since.iter().rposition(|line| line.event == Event::StoreForgot).map(|forgot| place + forgot);
        let at = forgot.and_then(|forgot| state.lines.get(forgot)).map_or(at, |line| line.at);
        let place = forgot.map_or(place, |forgot| forgot + 1);
        state.lines.insert(place, Line { at, event: Event::StoreSaved });
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
        self.state().journal.put_aside(body);
        body
    }

    /// A new terminal.
    pub fn terminal(&self) -> Terminal {
        Terminal(self.number())
    }

    /// A new terminal that connects as it sees fit: how long it is offline does not count.
    pub fn terminal_aside(&self) -> Terminal {
        let terminal = self.terminal();
        self.state().journal.put_terminal_aside(terminal);
        terminal
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
        self.deliveries(audience).filter(Option::is_none).count()
    }

    /// How long after it was first sent each message that was acked was shown to each of those whom it is for, shortest first;
    /// of those to whom it was. See [`Self::missing`].
    pub fn delivery_times(&self, audience: &HashMap<Name, Vec<Name>>) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.deliveries(audience).flatten().collect();
        times.sort_unstable();
        times
    }

    fn deliveries(&self, audience: &HashMap<Name, Vec<Name>>) -> impl Iterator<Item = Option<Duration>> {
        let state = self.state();
        let mut calls = HashMap::new();
        let mut sent: HashMap<u64, u64> = HashMap::new();
        let mut users = HashMap::new();
        let mut shown: HashMap<(&Name, u64), u64> = HashMap::new();
        let mut wanted: HashSet<(&Name, u64)> = HashSet::new();
        for line in &state.lines {
            match &line.event {
                Event::Invoked { call, user, conversation, body, .. } => {
                    calls.insert(call, (user, &conversation.target, *body));
                    sent.entry(*body).or_insert(line.at);
                }
                Event::Connected { connection, user, .. } => {
                    users.insert(connection, user);
                }
                Event::Shown { connection, message, .. } => {
                    if let Some(user) = users.get(connection) {
                        shown.entry((*user, message.body)).or_insert(line.at);
                    }
                }
                Event::Acked { call, .. } => {
                    let Some((sender, target, body)) = calls.get(call) else {
                        continue;
                    };
                    let alone = std::slice::from_ref(*target);
                    let group = audience.get(*target).map_or(alone, Vec::as_slice);
                    wanted.extend(group.iter().filter(|user| user != sender).map(|user| (user, *body)));
                }
                _ => {}
            }
        }
        let time = |(user, body): (&Name, u64)| {
            let (sent, shown) = (sent.get(&body)?, shown.get(&(user, body))?);
            Some(Duration::from_micros(shown.saturating_sub(*sent)))
        };
        wanted.into_iter().map(time).collect::<Vec<_>>().into_iter()
    }

    /// The time since the trace began.
    pub fn now(&self) -> Duration {
        self.state().begun.elapsed()
    }

    /// What clients met from `since` on.
    pub fn met(&self, since: Duration) -> Met {
        let state = self.state();
        state.journal.met(micros(since), micros(state.begun.elapsed()))
    }

    /// Writes the trace into a new file.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut trace = TraceWriter::new(BufWriter::new(File::create(path)?))?;
        for line in &self.state().lines {
            trace.write(line)?;
        }
        trace.finish()?;
        Ok(())
    }

    /// The verdict.
    pub fn check(&self) -> Report {
        Checker::check(Options::default(), &self.state().lines)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use anser_testkit::trace::{Conversation, Direction, Keep, Kind, Seen, Via};
    use anser_types::{ConversationType, MessageUid};

    use super::*;

    #[test]
    fn what_was_saved_is_noted_at_its_time_and_after_what_was_forgotten() {
        let saved_at = |recorder: &Recorder| {
            let lines = &recorder.state().lines;
            lines.iter().position(|line| line.event == Event::StoreSaved).unwrap()
        };
        let story = |events: &[Event]| {
            let recorder = Recorder::new();
            events.iter().for_each(|event| recorder.note(event.clone()));
            recorder
        };
        let recorder = story(&[Event::Quiet, Event::Quiet]);
        recorder.note_saved(Duration::from_secs(3600));
        assert_eq!(saved_at(&recorder), 0, "long before");
        let recorder = story(&[Event::Quiet, Event::StoreForgot, Event::Quiet]);
        recorder.note_saved(Duration::from_secs(3600));
        assert_eq!(saved_at(&recorder), 2, "what was forgotten stays so");
        let times: Vec<u64> = recorder.state().lines.iter().map(|line| line.at).collect();
        assert!(times.is_sorted(), "{times:?}");
    }

    #[test]
    fn a_delivery_takes_from_the_first_try_to_the_first_time_that_it_is_shown() {
        let uid = || MessageUid::new(anser_client::Timestamp(1), 0, ConversationType::Private, 0);
        let to_bob = || Conversation { kind: Kind::Private, target: "bob".into() };
        let sent = |call, body| Event::Invoked {
            call: CallId(call),
            user: "alice".into(),
            connection: None,
            conversation: to_bob(),
            client_id: None,
            body,
            keep: Keep::History,
            to: Vec::new(),
        };
        let shown = |body| Event::Shown {
            connection: ClientConnection(1),
            via: Via::Direct,
            message: Seen {
                uid: uid(),
                sent: 1,
                sender: "alice".into(),
                conversation: to_bob(),
                direction: Direction::Received,
                body,
            },
        };
        let bob =
            Event::Connected { connection: ClientConnection(1), terminal: Terminal(1), user: "bob".into(), cursor: 0 };
        let acked = |call| Event::Acked { call: CallId(call), uid: uid(), sent: 1 };
        let story =
            [bob, sent(1, 7), sent(2, 7), acked(2), shown(7), shown(7), sent(3, 8), acked(3), sent(4, 9), shown(9)];
        let recorder = Recorder::new();
        for (at, event) in (0..).step_by(1_000).zip(story) {
            recorder.state().lines.push(Line { at, event });
        }
        assert_eq!(recorder.delivery_times(&HashMap::new()), [Duration::from_millis(3)], "the third is not acked");
        assert_eq!(recorder.missing(&HashMap::new()), 1);
    }
}
