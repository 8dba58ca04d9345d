//! What clients meet: how long their messages wait for acks, and what else befalls them. Kept as it happens, so that asking
//! costs what is asked for and not what a long run holds.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anser_testkit::trace::{CallId, ClientConnection, Event, Line, Terminal};

/// What clients met in a span of time.
#[derive(Debug, Default)]
pub struct Met {
    /// How long messages that were acked in it had waited since they were first sent, shortest first.
    pub waits: Vec<Duration>,
    /// How many attempts were refused.
    pub refused: usize,
    /// How many connections ended.
    pub disconnected: usize,
    /// The longest that a terminal was offline which connected again.
    pub offline: Duration,
    /// How long the oldest message that is not acked has been waiting.
    pub oldest: Option<Duration>,
}

impl Met {
    /// The wait that so many of a thousand messages did not exceed.
    pub fn wait(&self, of_a_thousand: usize) -> Duration {
        at_most(&self.waits, of_a_thousand)
    }
}

/// The one of some times, shortest first, that so many of a thousand do not exceed.
pub fn at_most(times: &[Duration], of_a_thousand: usize) -> Duration {
    let at = (times.len() * of_a_thousand / 1000).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// All that clients met so far. Times are in microseconds since the trace began.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Bodies that nobody waits for.
    aside: HashSet<u64>,
    /// When bodies that are not acked were first sent.
    waiting: HashMap<u64, u64>,
    /// The bodies of attempts that have no outcome.
    attempts: HashMap<CallId, u64>,
    /// When a message was acked, and how long it had waited; in the order of acks, as are the next two.
    acked: Vec<(u64, Duration)>,
    refused: Vec<u64>,
    disconnected: Vec<u64>,
    /// When a terminal connected again, and how long it had been offline.
    back: Vec<(u64, Duration)>,
    /// Terminals that connect as they see fit.
    terminals_aside: HashSet<Terminal>,
    /// Whose connections there are, and since when whose is gone.
    connections: HashMap<ClientConnection, Terminal>,
    offline: HashMap<Terminal, u64>,
}

impl Journal {
    /// Nobody waits for this body.
    pub(crate) fn put_aside(&mut self, body: u64) {
        self.aside.insert(body);
    }

    /// Nobody waits for this terminal.
    pub(crate) fn put_terminal_aside(&mut self, terminal: Terminal) {
        self.terminals_aside.insert(terminal);
    }

    pub(crate) fn note(&mut self, line: &Line) {
        let at = line.at;
        match &line.event {
            Event::Invoked { call, body, .. } if !self.aside.contains(body) => {
                self.waiting.entry(*body).or_insert(at);
                self.attempts.insert(*call, *body);
            }
            Event::Acked { call, .. } => {
                let first = self.attempts.remove(call).and_then(|body| self.waiting.remove(&body));
                self.acked.extend(first.map(|first| (at, Duration::from_micros(at.saturating_sub(first)))));
            }
            Event::Refused { call, .. } => {
                self.attempts.remove(call);
                self.refused.push(at);
            }
            Event::Connected { connection, terminal, .. } if !self.terminals_aside.contains(terminal) => {
                self.connections.insert(*connection, *terminal);
                let since = self.offline.remove(terminal);
                self.back.extend(since.map(|since| (at, Duration::from_micros(at.saturating_sub(since)))));
            }
            Event::Disconnected { connection } => {
                self.disconnected.push(at);
                if let Some(terminal) = self.connections.remove(connection) {
                    self.offline.insert(terminal, at);
                }
            }
            _ => {}
        }
    }

    /// What was met from `since` on; it is `now`.
    pub(crate) fn met(&self, since: u64, now: u64) -> Met {
        let count_since = |times: &[u64]| times.len() - times.partition_point(|&at| at < since);
        let before = self.acked.partition_point(|&(at, _)| at < since);
        let mut waits: Vec<Duration> = self.acked.iter().skip(before).map(|&(_, wait)| wait).collect();
        waits.sort_unstable();
        let first = self.waiting.values().min();
        let back = self.back.iter().skip(self.back.partition_point(|&(at, _)| at < since));
        Met {
            waits,
            refused: count_since(&self.refused),
            disconnected: count_since(&self.disconnected),
            offline: back.map(|&(_, offline)| offline).max().unwrap_or_default(),
            oldest: first.map(|&first| Duration::from_micros(now.saturating_sub(first))),
        }
    }
}

#[cfg(test)]
mod tests {
    use anser_testkit::trace::{Conversation, Keep, Kind};
    use anser_types::{ConversationType, MessageUid, Timestamp};

    use super::*;

    const CONNECTION: ClientConnection = ClientConnection(1);

    fn sent(call: u64, body: u64) -> Event {
        Event::Invoked {
            call: CallId(call),
            user: "alice".into(),
            connection: Some(CONNECTION),
            conversation: Conversation { kind: Kind::Private, target: "bob".into() },
            client_id: None,
            body,
            keep: Keep::History,
            to: Vec::new(),
        }
    }

    fn acked(call: u64) -> Event {
        let uid = MessageUid::new(Timestamp(call), 0, ConversationType::Private, 0);
        Event::Acked { call: CallId(call), uid, sent: call }
    }

    fn journal(events: Vec<(u64, Event)>) -> Journal {
        let mut journal = Journal::default();
        journal.put_aside(99);
        events.into_iter().for_each(|(at, event)| journal.note(&Line { at, event }));
        journal
    }

    #[test]
    fn a_wait_begins_with_the_first_attempt_and_ends_with_the_ack() {
        let refused = Event::Refused { call: CallId(1), status: 20_607 };
        let journal = journal(vec![(10, sent(1, 5)), (20, refused), (30, sent(2, 5)), (70, acked(2))]);
        let met = journal.met(0, 100);
        assert_eq!((met.waits, met.refused, met.oldest), (vec![Duration::from_micros(60)], 1, None));
    }

    #[test]
    fn only_what_was_met_since_then_counts_and_whoever_waits_does_so_from_their_beginning() {
        let cut = Event::Disconnected { connection: CONNECTION };
        let journal = journal(vec![(10, sent(1, 1)), (20, sent(2, 2)), (30, acked(1)), (40, cut), (50, sent(3, 3))]);
        let met = journal.met(31, 100);
        assert_eq!((met.waits.len(), met.disconnected, met.oldest), (0, 1, Some(Duration::from_micros(80))));
        assert_eq!(journal.met(30, 100).waits, [Duration::from_micros(20)]);
        assert_eq!(journal.met(41, 100).disconnected, 0);
    }

    #[test]
    fn nobody_waits_for_what_was_put_aside() {
        let met = journal(vec![(10, sent(1, 99)), (30, acked(1))]).met(0, 100);
        assert_eq!((met.waits.len(), met.oldest), (0, None));
    }

    #[test]
    fn offline_is_whoever_was_connected_until_it_is_so_again() {
        let connected = |connection, terminal| Event::Connected {
            connection: ClientConnection(connection),
            terminal: Terminal(terminal),
            user: "alice".into(),
            cursor: 0,
        };
        let cut = |connection| Event::Disconnected { connection: ClientConnection(connection) };
        let mut journal = Journal::default();
        journal.put_terminal_aside(Terminal(9));
        let events = [
            (10, connected(1, 1)),
            (20, connected(2, 9)),
            (30, cut(1)),
            (31, cut(2)),
            (70, connected(3, 1)),
            (99, connected(4, 9)),
        ];
        events.into_iter().for_each(|(at, event)| journal.note(&Line { at, event }));
        assert_eq!(journal.met(0, 100).offline, Duration::from_micros(40));
        assert_eq!(journal.met(71, 100).offline, Duration::ZERO);
    }
}
