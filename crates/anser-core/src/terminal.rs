//! One terminal: what a connection owes its client, and when.
//!
//! A plain value per connection. The shell hands it what happened ([`Event`]) with the time, and carries out what it says
//! through [`Output`]: frames to write, publishes to hand on, questions to ask of the message role, a close. It never waits,
//! never does IO, and never knows whether the other roles are in this process.
//!
//! # Promises kept here
//!
//! * *acked-is-durable*, first half: a PUBACK with success is written only for an outcome that the message role settled.
//! * *nothing-lost* and *no-gap*, last metres: a message is pushed directly only to a client that provably used everything
//!   before it; everybody else is notified, and pulls. A notice that a client forgot is repeated; a pull that failed is
//!   tried again on the client's behalf until there is something to tell; the cursor in an answer covers exactly what was
//!   read, and never names a position that a later entry could still get.
//! * *nothing-twice*: what this connection sent, and was not refused, is left out of its pulls; what was pushed is never pushed again.
//! * *one-way-in*: a terminal reads and changes only what is its own user's.
//! * *told-why*: what is refused is answered with a status.
//!
//! # What the shell does
//!
//! 1. [`Terminal::new`] once the client is signed in; then [`Terminal::handle`] for every event, in order.
//! 2. Events that the message role sent are handed over in the order in which they came, and before an answer that came
//!    later: so acks go out before whatever shows the message.
//! 3. Each [`Request`] is asked, and [`Event::Answered`] brings what came of it under the same [`Ticket`], whenever that is.
//! 4. [`Event::Tick`] when [`Terminal::deadline`] has come; earlier or later does no harm but delay.
//!
//! # States
//!
//! `behind` → (reads a pull) `pulling` → (writes the answer that finished) `answered` → (QUERYCON) `synced` → (writes an
//! `s_msg`) `direct in flight` → (PUBACK) `synced`. Only in `synced` a message is pushed itself; a few that come while one is
//! in flight wait for its PUBACK. Everything that casts a doubt leads back to `behind`, where one notice with the newest
//! position stands for all.
//!
//! The way from `answered` to `synced` is taken only for clients whose row allows direct pushes; only those are made to
//! confirm an answer that they did not ask to confirm. All others are notified, which is always right.

mod config;
mod event;
mod inflight;
mod publish;
mod pull;
mod query;
mod rate;
mod sync;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use anser_cluster::{Accepted, Outcome, Refusal};
use anser_rmtp::frame::{PubAck, Qos, QueryAckRef, ServerPublishRef};
use anser_rmtp::{ClientFrame, DisconnectStatus, Generation, ServerFrameRef};
use anser_types::{ConnectionId, DeviceId, Message, Position, Status, Timestamp, UserKey};

pub use config::TerminalConfig;
pub use event::{Arrived, Close, Effect, Event, Output, Reply, Request, Ticket};
use inflight::{Publishes, Questions};
use rate::Gcra;
use sync::Sync;

/// Who is at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The signed-in user.
    pub user: UserKey,
    /// This connection.
    pub connection: ConnectionId,
    /// The installation, where it named itself.
    pub device: Option<DeviceId>,
}

/// The state of one signed-in connection.
#[derive(Debug)]
pub struct Terminal {
    identity: Identity,
    generation: &'static Generation,
    config: Arc<TerminalConfig>,
    sync: Sync,
    publishes: Publishes,
    questions: Questions,
    rate: Gcra,
    /// The newest sent time that this connection was shown.
    floor: Timestamp,
    /// The last message id of our own.
    message_id: u16,
    closed: bool,
}

impl Terminal {
    /// A terminal that has just been told that it is signed in.
    pub fn new(identity: Identity, generation: &'static Generation, config: Arc<TerminalConfig>) -> Self {
        Self {
            identity,
            generation,
            config,
            sync: Sync::default(),
            publishes: Publishes::default(),
            questions: Questions::default(),
            rate: Gcra::default(),
            floor: Timestamp::ZERO,
            message_id: FIRST_MESSAGE_ID - 1,
            closed: false,
        }
    }

    /// Who is at the terminal.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Takes what happened. After a close nothing has an effect any more.
    pub fn handle(&mut self, event: Event, now: Timestamp, out: &mut impl Output) {
        if self.closed {
            return;
        }
        match event {
            Event::Frame(frame) => self.on_frame(frame, now, out),
            Event::Settled { publish, outcome } => self.on_settled(publish, outcome, now, out),
            Event::Arrived(arrived) => self.on_arrived(&arrived, now, out),
            Event::Behind { head } => self.on_behind(head, now, out),
            Event::Overlooked => self.sync.on_overlooked(now, &self.config),
            Event::SettingsChanged { time, by } => self.on_settings_changed(time, by, now, out),
            Event::Answered { ticket, result } => self.on_answered(ticket, *result, now, out),
            Event::Tick => self.on_tick(now, out),
        }
    }

    /// When the terminal wants its next [`Event::Tick`]; `None` while it waits for nothing.
    pub fn deadline(&self) -> Option<Timestamp> {
        let mine = self.sync.deadline(&self.config);
        let theirs = self.questions.deadline();
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        }
    }

    /// Whether the answer to this question still matters. What is overdue has been refused already.
    pub fn waits_for(&self, ticket: Ticket) -> bool {
        self.questions.is_open(ticket)
    }

    fn on_frame(&mut self, frame: ClientFrame, now: Timestamp, out: &mut impl Output) {
        match frame {
            ClientFrame::Publish(publish) => self.on_publish(publish, now, out),
            ClientFrame::Query(query) => self.on_query(query, now, out),
            ClientFrame::PubAck { message_id } => self.on_puback(message_id, now, out),
            ClientFrame::QueryCon { message_id } => self.sync.on_confirmed(message_id),
            ClientFrame::PingReq => {
                out.send(ServerFrameRef::PingResp);
                self.sync.heard(now, &self.config);
            }
            ClientFrame::Disconnect { .. } => self.close(Close::Quiet, out),
            ClientFrame::Connect(_) => self.close(Close::Told(DisconnectStatus::ProtocolError), out),
        }
    }

    fn on_settled(&mut self, publish: u64, outcome: Outcome, now: Timestamp, out: &mut impl Output) {
        if let Some(open) = self.publishes.settle(publish) {
            self.note_refused(publish, open.hash, outcome);
            self.acknowledge(open.message_id, outcome, now, out);
        }
    }

    /// A message that the client sent on this connection is in the timeline: it was accepted, though its outcome has not come yet. It
    /// is acknowledged before what comes after it is shown: without the ack, the client would take it for a message of another
    /// terminal when it comes back, and show it behind those (**one-order**).
    fn found(&mut self, message: &Message, now: Timestamp, out: &mut impl Output) {
        let accepted = Accepted { uid: message.uid, sent: message.sent };
        let number = self.publishes.attempt(message);
        match self.questions.take_recall(number) {
            Some(question) => self.on_recalled(&question, number, Ok(accepted), now, out),
            None => self.on_settled(number, Ok(accepted), now, out),
        }
    }

    /// Remembers what the client is told to try again. It may have been accepted, or be on its way still.
    fn note_refused(&mut self, publish: u64, hash: Option<u64>, outcome: Outcome) {
        if outcome.is_err_and(|refusal| refusal.status.is_retryable()) {
            self.publishes.note_refused(publish, hash);
        }
    }

    /// Whether the client knows a message, or is about to, because it sent it on this connection and was not told that it failed; or was, and
    /// sent it again. What was refused for want of an outcome may have been accepted after all: to a client that leaves it at that it is a
    /// message of another terminal.
    fn knows(&self, message: &Message, sent_on: Option<ConnectionId>) -> bool {
        sent_on == Some(self.identity.connection) && !self.publishes.was_refused(self.publishes.attempt(message))
    }

    fn on_settings_changed(&mut self, time: Timestamp, by: ConnectionId, now: Timestamp, out: &mut impl Output) {
        if by == self.identity.connection {
            return;
        }
        self.push_notice(Notice::settings(time), now, out);
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut impl Output) {
        while let Some(question) = self.questions.take_overdue(now) {
            self.answer_refused(&question, Refusal::UNAVAILABLE, now, out);
        }
        self.tick_sync(now, out);
    }

    /// Answers a publish.
    fn acknowledge(&mut self, message_id: u16, outcome: Outcome, now: Timestamp, out: &mut impl Output) {
        let ack = match outcome {
            Ok(accepted) => {
                self.floor = self.floor.max(accepted.sent);
                PubAck { message_id, sent: accepted.sent, status: Status::OK, uid: Some(accepted.uid) }
            }
            Err(refusal) => PubAck { message_id, sent: now, status: refusal.status, uid: None },
        };
        out.send(ServerFrameRef::PubAck(ack));
    }

    fn close(&mut self, how: Close, out: &mut impl Output) {
        self.closed = true;
        out.close(how);
    }

    /// Writes a push of the server's own, and returns its message id.
    fn push(&mut self, push: Push<'_>, now: Timestamp, out: &mut impl Output) -> u16 {
        let message_id = self.next_message_id();
        out.send(ServerFrameRef::Publish(ServerPublishRef {
            qos: push.qos,
            dup: false,
            seconds: seconds(now),
            topic: anser_rmtp::ServerTopic::Push(push.topic),
            target: self.identity.user.user.as_str(),
            message_id,
            body: push.body.into(),
        }));
        message_id
    }

    /// The next message id of our own. The first half of the numbers is left to clients, which count from one.
    fn next_message_id(&mut self) -> u16 {
        self.message_id = self.message_id.checked_add(1).unwrap_or(FIRST_MESSAGE_ID);
        self.message_id
    }

    /// A message id of our own that the client does not wait for: some key their waiting by the number alone, and an ack of
    /// ours would end it.
    fn free_message_id(&mut self) -> u16 {
        loop {
            let id = self.next_message_id();
            // Far fewer than half of all numbers can be waited for.
            if !self.publishes.waits_for(id) && !self.questions.waits_for(id) {
                return id;
            }
        }
    }

    fn shown(&mut self, message: &Message) {
        self.floor = self.floor.max(message.sent);
    }

    /// Answers a query with a status alone.
    fn answer_status(&self, to: Asked, status: Status, now: Timestamp, out: &mut impl Output) {
        self.answer(to, status, &[], now, out);
    }

    fn answer(&self, to: Asked, status: Status, body: &[u8], now: Timestamp, out: &mut impl Output) {
        out.send(ServerFrameRef::QueryAck(QueryAckRef {
            qos: to.qos,
            message_id: to.message_id,
            seconds: seconds(now),
            status,
            body: body.into(),
        }));
    }
}

/// Where our own message ids begin.
const FIRST_MESSAGE_ID: u16 = 0x8000;

/// What an answer has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    message_id: u16,
    qos: Qos,
}

/// A push to be written.
struct Push<'a> {
    qos: Qos,
    topic: anser_rmtp::PushTopic,
    body: &'a [u8],
}

/// A notice that something changed.
#[derive(Debug, Clone, Copy)]
struct Notice {
    qos: Qos,
    topic: anser_rmtp::PushTopic,
    kind: u8,
    time: Position,
}

impl Notice {
    /// There are messages up to `time`.
    const fn messages(time: Position) -> Self {
        Self { qos: Qos::AtLeastOnce, topic: anser_rmtp::PushTopic::Notify, kind: 1, time }
    }

    /// Settings of conversations changed.
    const fn settings(time: Timestamp) -> Self {
        Self { qos: Qos::AtMostOnce, topic: anser_rmtp::PushTopic::Command, kind: 3, time: Position(time.0) }
    }
}

/// The seconds of a time, as frames carry them.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.0 / 1000).unwrap_or(u32::MAX)
}
