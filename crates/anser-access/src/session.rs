//! The task of one signed-in connection: it moves bytes between the socket and the terminal.
//!
//! A future written by hand, because there is one per connection: what it does not need while nothing happens, it does not
//! hold. Buffers for reading and writing belong to the thread; a connection owns memory only for the rest of a frame that has
//! not come yet, and for bytes that its socket did not take.
//!
//! In each turn, in this order: outcomes and arrivals from the outbox, answers to questions, one read; then everything that
//! they made the terminal say goes out with one write. So an ack never goes out behind what shows its message.

mod intake;
mod scratch;
mod shell;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anser_cluster::{BoxFuture, Refusal, Way};
use anser_core::terminal::{Close, Event, Reply, Terminal, Ticket};
use anser_rmtp::websocket::{CloseCode, Role, WebSocketDecoder, put_close};
use anser_rmtp::{ClientFrame, DisconnectStatus, ServerFrameRef, TcpDecoder, encode_server_frame};
use tokio::io::{AsyncRead as _, ReadBuf};

use crate::connection::Connection;
use crate::io::{Io, Unsent, poll_goodbye};
use crate::outbox::{End, Item};
use crate::registry::Entry;
use crate::services::Services;
use intake::{Fault, Intake};
use scratch::Scratch;
use shell::Shell;

/// With so many bytes unsent nothing more is read, taken or asked: what comes waits where it has its own bound.
const UNSENT_WINDOW: usize = 256 * 1024;
/// So many pages of history, lists and settings are read for a connection at once. Each may bring megabytes, which are kept while its
/// client takes nothing; other questions do not wait for them.
const PAGES_MAX: usize = 4;
/// After so many turns others on the thread come first.
const TURNS_MAX: u32 = 16;

/// How the stream is cut.
#[derive(Debug)]
pub(crate) enum Framing {
    Tcp(TcpDecoder),
    WebSocket(WebSocketDecoder),
}

/// What a session is made of.
pub(crate) struct Parts {
    pub(crate) io: Io,
    pub(crate) framing: Framing,
    pub(crate) terminal: Terminal,
    pub(crate) early: Vec<ClientFrame>,
    pub(crate) first: Vec<u8>,
}

/// A question that waits for its answer.
struct Ask {
    ticket: Ticket,
    is_page: bool,
    answer: BoxFuture<'static, Result<Reply, Refusal>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The last words are on their way.
    Closing,
}

pub(crate) struct Session {
    io: Io,
    framing: Framing,
    terminal: Terminal,
    entry: Entry,
    services: Arc<Services>,
    asks: Vec<Ask>,
    unsent: Unsent,
    state: State,
}

/// The connection is over; nothing is left to be said.
struct Over;

impl Session {
    /// A session of a connection that is in the registry, and leaves it with the session.
    pub(crate) fn new(services: Arc<Services>, entry: Entry, parts: Parts) -> Self {
        let Parts { io, framing, terminal, early, mut first } = parts;
        let (asks, unsent) = (Vec::new(), Unsent::default());
        let mut session = Self { io, framing, terminal, entry, services, asks, unsent, state: State::Open };
        session.unsent.put(&mut first);
        session.handle_early(early);
        session
    }

    fn handle_early(&mut self, early: Vec<ClientFrame>) {
        if early.is_empty() {
            return;
        }
        let mut scratch = Scratch::take();
        let mut close = None;
        let now = self.services.onward.now();
        let mut shell =
            shell_of(&self.services, &self.entry.connection, &self.framing, &mut self.asks, &mut scratch, &mut close);
        for frame in early {
            self.terminal.handle(Event::Frame(frame), now, &mut shell);
        }
        self.hand_over(&mut scratch);
        self.close_if(close, CloseCode::NORMAL, &mut scratch);
        self.unsent.put(&mut scratch.out);
        scratch.give_back();
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            if self.state == State::Closing {
                return self.poll_closing(cx, scratch);
            }
            match self.turn_open(cx, scratch) {
                Ok(true) => {}
                Ok(false) if self.state == State::Closing => {}
                Ok(false) => {
                    self.entry.connection.stamps.tick_at(self.terminal.deadline());
                    return Poll::Pending;
                }
                Err(Over) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One turn. Whether anything happened; if not, whoever wakes the task has been told.
    fn turn_open(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, Over> {
        let mut moved = false;
        if self.unsent.bytes() < UNSENT_WINDOW {
            moved |= self.take_outbox(cx, scratch)?;
            moved |= self.poll_asks(cx, scratch)?;
            if self.state == State::Open {
                moved |= self.poll_input(cx, scratch)?;
            }
            self.hand_over(scratch);
        } else if let Some(end) = self.entry.connection.outbox.take_end(cx) {
            moved = true;
            self.on_end(end, scratch)?;
        }
        self.write(cx, scratch)?;
        // A write that made room lets everything else go on.
        Ok(moved)
    }

    fn take_outbox(&mut self, cx: &Context<'_>, scratch: &mut Scratch) -> Result<bool, Over> {
        let taken = self.entry.connection.outbox.take(cx);
        if taken.is_empty() {
            return Ok(false);
        }
        let now = self.services.onward.now();
        let mut close = None;
        let mut shell =
            shell_of(&self.services, &self.entry.connection, &self.framing, &mut self.asks, scratch, &mut close);
        let mut handle = |event| self.terminal.handle(event, now, &mut shell);
        for item in taken.items {
            handle(match item {
                Item::Settled { publish, outcome } => Event::Settled { publish, outcome },
                Item::Arrived(arrived) => Event::Arrived(arrived),
            });
        }
        if let Some(head) = taken.behind {
            handle(Event::Behind { head });
        }
        if taken.overlooked {
            handle(Event::Overlooked);
        }
        if let Some((time, by)) = taken.settings {
            handle(Event::SettingsChanged { time, by });
        }
        if taken.tick {
            handle(Event::Tick);
            self.asks.retain(|ask| self.terminal.waits_for(ask.ticket));
        }
        self.close_if(close, CloseCode::NORMAL, scratch);
        if let Some(end) = taken.end {
            self.on_end(end, scratch)?;
        }
        Ok(true)
    }

    fn on_end(&mut self, end: End, scratch: &mut Scratch) -> Result<(), Over> {
        match end {
            End::Cut => return Err(Over),
            End::Quiet => self.close_if(Some(Close::Quiet), CloseCode::GOING_AWAY, scratch),
            End::Told(status) => self.close_if(Some(Close::Told(status)), CloseCode::GOING_AWAY, scratch),
        }
        Ok(())
    }

    /// Looks for answers. What the outbox holds by then goes first: it may hold the acks of messages that an answer shows.
    fn poll_asks(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, Over> {
        let (mut place, mut pages) = (0, 0);
        let mut moved = false;
        while self.state == State::Open && self.unsent.bytes() + scratch.out.len() < UNSENT_WINDOW {
            let Some(ask) = self.asks.get_mut(place) else { break };
            if ask.is_page && pages == PAGES_MAX {
                // It begins with its first poll.
                place += 1;
                continue;
            }
            let Poll::Ready(result) = ask.answer.as_mut().poll(cx) else {
                place += 1;
                pages += usize::from(ask.is_page);
                continue;
            };
            let ticket = self.asks.remove(place).ticket;
            moved = true;
            self.take_outbox(cx, scratch)?;
            let now = self.services.onward.now();
            let mut close = None;
            let mut shell =
                shell_of(&self.services, &self.entry.connection, &self.framing, &mut self.asks, scratch, &mut close);
            self.terminal.handle(Event::Answered { ticket, result: Box::new(result) }, now, &mut shell);
            self.close_if(close, CloseCode::NORMAL, scratch);
        }
        if self.asks.is_empty() {
            self.asks = Vec::new();
        }
        Ok(moved)
    }

    fn poll_input(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, Over> {
        let mut input = std::mem::take(&mut scratch.input);
        let mut buffer = ReadBuf::new(&mut input);
        let result = match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.entry.connection.stamps.heard(self.services.seconds.now());
                self.feed(buffer.filled_mut(), scratch);
                Ok(true)
            }
            Poll::Ready(_) => Err(Over),
        };
        scratch.input = input;
        result
    }

    fn feed(&mut self, input: &mut [u8], scratch: &mut Scratch) {
        let now = self.services.onward.now();
        let mut close = None;
        let shell =
            shell_of(&self.services, &self.entry.connection, &self.framing, &mut self.asks, scratch, &mut close);
        let mut intake = Intake { terminal: &mut self.terminal, shell, now };
        let result: Result<(), Fault> = match &mut self.framing {
            Framing::Tcp(decoder) => decoder.push(input, |raw| intake.frame(raw)),
            Framing::WebSocket(decoder) => decoder.push(input, |event| intake.event(event)),
        };
        let code = match result {
            Ok(()) => CloseCode::NORMAL,
            Err(fault) => {
                tracing::debug!(conn = %self.entry.connection.id, user = %self.entry.connection.user, %fault, "client broke the protocol");
                self.services.registry.metrics.ended("broke_the_protocol");
                close = close.or(Some(Close::Told(DisconnectStatus::ProtocolError)));
                fault.close_code()
            }
        };
        self.close_if(close, code, scratch);
    }

    /// Hands the publishes of a turn to the message role, together.
    fn hand_over(&mut self, scratch: &mut Scratch) {
        if !scratch.publishes.is_empty() {
            let count = u64::try_from(scratch.publishes.len()).unwrap_or(u64::MAX);
            self.services.registry.metrics.publishes.inc_by(count);
            self.services.messages.publish(std::mem::take(&mut scratch.publishes), Way::WITHIN);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<(), Over> {
        if scratch.out.is_empty() && self.unsent.is_empty() {
            return Ok(());
        }
        let full = self.unsent.bytes() >= UNSENT_WINDOW;
        let written = self.unsent.write(&mut self.io, cx, &mut scratch.out).map_err(|_| Over)?;
        let stamps = &self.entry.connection.stamps;
        if written.all {
            stamps.sent();
        } else {
            stamps.waits(self.services.seconds.now(), written.progress);
        }
        if self.unsent.bytes() > self.services.config.unsent_bytes_max {
            tracing::debug!(conn = %self.entry.connection.id, "client takes too little of what is written");
            self.services.registry.metrics.ended("takes_too_little");
            return Err(Over);
        }
        if full && self.unsent.bytes() < UNSENT_WINDOW {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn close_if(&mut self, close: Option<Close>, code: CloseCode, scratch: &mut Scratch) {
        if let Some(close) = close.filter(|_| self.state == State::Open) {
            self.begin_close(close, code, scratch);
        }
    }

    fn begin_close(&mut self, close: Close, code: CloseCode, scratch: &mut Scratch) {
        let connection = &self.entry.connection;
        if let Close::Told(status) = close {
            let status = status.understood_up_to(connection.generation.disconnect_code_max);
            // A frame of two bytes fits everywhere.
            encode_server_frame(&ServerFrameRef::Disconnect(status), self.framing.transport(), &mut scratch.out).ok();
        }
        if matches!(self.framing, Framing::WebSocket(_)) {
            put_close(code, Role::Server, &mut scratch.out);
        }
        connection.stamps.closing(self.services.seconds.now());
        self.entry.leave();
        self.asks = Vec::new();
        self.state = State::Closing;
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        self.hand_over(scratch);
        if self.entry.connection.outbox.take(cx).end == Some(End::Cut) || self.write(cx, scratch).is_err() {
            return Poll::Ready(());
        }
        if !self.unsent.is_empty() {
            return Poll::Pending;
        }
        poll_goodbye(&mut self.io, cx, &mut scratch.input)
    }
}

impl Future for Session {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = Scratch::take();
        let result = self.get_mut().turn(cx, &mut scratch);
        scratch.give_back();
        result
    }
}

/// What the terminal speaks through. A function of the parts it needs, so that the terminal itself stays free.
fn shell_of<'s>(
    services: &'s Services,
    connection: &'s Connection,
    framing: &Framing,
    asks: &'s mut Vec<Ask>,
    scratch: &'s mut Scratch,
    close: &'s mut Option<Close>,
) -> Shell<'s> {
    let Scratch { out, body, publishes, .. } = scratch;
    Shell { services, connection, transport: framing.transport(), asks, out, body, publishes, close }
}
