//! What runs in the client's task: it passes commands to the session, and outcomes and events to those who wait for them.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use anser_core::session::{AnswerError, Event, Failure, LossReason, Notice, Outgoing, Question, Session, StopReason};
use anser_types::{Timestamp, UserId};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Acked, Message};
use crate::terminal::Application;

/// What a handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Send { outgoing: Box<Outgoing>, outcome: oneshot::Sender<Result<Acked, Failure>> },
    Ask { question: Question, answer: oneshot::Sender<Result<Bytes, AnswerError>> },
    Close { done: oneshot::Sender<()> },
}

/// What happens to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// Signed in again after the connection was lost.
    Connected {
        /// The server's clock at that moment.
        server_time: Timestamp,
    },
    /// The connection is lost; the client comes back by itself.
    Disconnected(LossReason),
    /// Everything that the server had was handed out. Comes after each sign-in, and again whenever the cursor has moved: within
    /// five minutes of a message at the latest, as long as the client is connected.
    Synced {
        /// Up to here. An application that keeps messages keeps this with them, and begins there the next time. What came since
        /// it was told last comes again then; UIDs tell.
        cursor: Timestamp,
    },
    /// A message came: from somebody else, or from another terminal of the same user.
    Message(Message),
    /// The client is signed out and does not come back. The last event.
    Stopped(StopReason),
}

/// The events of a client, in order. An application that does not take them slows its connection down, and after 45 s
/// loses it; nothing is lost with it, because the server keeps what was not pulled.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<ClientEvent>,
}

impl Events {
    pub(super) const fn new(queue: mpsc::Receiver<ClientEvent>) -> Self {
        Self { queue }
    }

    /// The next event; `None` after the last. Cancel-safe.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        self.queue.recv().await
    }

    /// The next event, if there is one at this moment.
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        self.queue.try_recv().ok()
    }
}

impl futures_util::Stream for Events {
    type Item = ClientEvent;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.queue.poll_recv(cx)
    }
}

pub(super) struct Actor {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<ClientEvent>,
    /// Events that have no room in the queue yet. While there are any, nothing is read; so they are those of one read.
    overflow: VecDeque<ClientEvent>,
    /// Waits for the first sign-in.
    signed_in: Option<oneshot::Sender<Result<UserId, StopReason>>>,
    sends: HashMap<u64, oneshot::Sender<Result<Acked, Failure>>>,
    answers: HashMap<u64, oneshot::Sender<Result<Bytes, AnswerError>>>,
    closers: Vec<oneshot::Sender<()>>,
    /// Nobody holds the handle or listens to events any more, or the session has ended.
    done: bool,
    reservation: Option<Reservation>,
}

type Reservation =
    std::pin::Pin<Box<dyn Future<Output = Result<mpsc::OwnedPermit<ClientEvent>, mpsc::error::SendError<()>>> + Send>>;

impl Actor {
    pub(super) fn new(
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<ClientEvent>,
        signed_in: oneshot::Sender<Result<UserId, StopReason>>,
    ) -> Self {
        Self {
            commands,
            events,
            overflow: VecDeque::new(),
            signed_in: Some(signed_in),
            sends: HashMap::new(),
            answers: HashMap::new(),
            closers: Vec::new(),
            done: false,
            reservation: None,
        }
    }

    fn tell(&mut self, event: ClientEvent) {
        self.overflow.push_back(event);
        self.pass_on();
    }

    /// Moves events to the queue as far as there is room.
    fn pass_on(&mut self) {
        while let Some(event) = self.overflow.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    return self.overflow.push_front(event);
                }
                // Nobody listens: the application only sends.
                Err(mpsc::error::TrySendError::Closed(_)) => self.overflow.clear(),
            }
        }
    }

    fn command(&mut self, command: Command, events: &mut Vec<Event>) {
        match command {
            Command::Send { outgoing, outcome } => {
                self.sends.insert(outgoing.ticket, outcome);
                events.push(Event::Send(outgoing));
            }
            Command::Ask { question, answer } => {
                self.answers.insert(question.ticket, answer);
                events.push(Event::Ask(question));
            }
            Command::Close { done } => {
                self.closers.push(done);
                events.push(Event::Stop);
            }
        }
    }

    /// The one who waited may be gone; then nobody wants to know.
    fn settle(&mut self, ticket: u64, outcome: Result<Acked, Failure>) {
        if let Some(waiting) = self.sends.remove(&ticket) {
            waiting.send(outcome).ok();
        }
    }
}

impl Application for Actor {
    fn on_notice(&mut self, notice: Notice, session: &Session, _now: Timestamp, _events: &mut Vec<Event>) {
        match notice {
            Notice::Connected { user, server_time } => match self.signed_in.take() {
                Some(waiting) => {
                    drop(waiting.send(Ok(user)));
                }
                None => self.tell(ClientEvent::Connected { server_time }),
            },
            Notice::Disconnected(reason) => self.tell(ClientEvent::Disconnected(reason)),
            Notice::Stopped(reason) => {
                match self.signed_in.take() {
                    Some(waiting) => {
                        drop(waiting.send(Err(reason)));
                    }
                    None => self.tell(ClientEvent::Stopped(reason)),
                }
                self.done = true;
            }
            Notice::Synced => self.tell(ClientEvent::Synced { cursor: session.synced_cursor() }),
            Notice::Acked { ticket, client_id, uid, sent } => self.settle(ticket, Ok(Acked { uid, sent, client_id })),
            Notice::Failed { ticket, failure, .. } => self.settle(ticket, Err(failure)),
            // Status messages have no outcome to wait for: the sender is dropped.
            Notice::Written { ticket } => {
                self.sends.remove(&ticket);
            }
            Notice::Received(received) => self.tell(ClientEvent::Message(Message::new(*received))),
            Notice::Answer { ticket, answer } => {
                if let Some(waiting) = self.answers.remove(&ticket) {
                    drop(waiting.send(answer));
                }
            }
        }
    }

    fn poll_wishes(&mut self, _session: &Session, cx: &mut Context<'_>, events: &mut Vec<Event>) {
        while events.len() < super::QUEUE {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.command(command, events),
                Poll::Ready(None) => {
                    self.done = true;
                    return;
                }
                Poll::Pending => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.overflow.is_empty() {
                self.reservation = None;
                return Poll::Ready(());
            }
            let events = &self.events;
            let reservation = self.reservation.get_or_insert_with(|| Box::pin(events.clone().reserve_owned()));
            let Poll::Ready(permit) = reservation.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            self.reservation = None;
            match (permit, self.overflow.pop_front()) {
                (Ok(permit), Some(event)) => {
                    permit.send(event);
                }
                (Err(_), _) => self.overflow.clear(),
                (Ok(_), None) => {}
            }
            self.pass_on();
        }
    }

    fn is_done(&self, _session: &Session) -> bool {
        self.done && (self.overflow.is_empty() || self.events.is_closed())
    }
}
