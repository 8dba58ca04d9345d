//! One terminal as a future: a session, its connection, and an [`Application`] that uses it.
//!
//! [`Client`](crate::Client) is made of it. Tools that run tens of thousands of terminals in one process use it directly:
//! each terminal is one task, it decodes all frames of a read at once, calls its application without any queue in between,
//! and writes everything of one wake-up with one write. Between wake-ups it holds no buffer.
//!
//! What is sent and resent when, and what is shown, is the session's to decide; here bytes are moved and time is told.

mod codec;
mod connection;
mod stream;
mod trust;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anser_core::session::{Effect, Event, LinkId, NavigationFailure, Notice, Session, SessionConfig};
use anser_types::Timestamp;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::LocalClock;
use crate::navigation::{Navigation, Transport};
use connection::Connection;
pub use trust::{TlsError, TlsTrust};

/// What uses a terminal. All methods are called from the terminal's own task and must not block.
pub trait Application: Unpin {
    /// Takes something that happened. Whatever is pushed to `events` is handled before the next thing that happens.
    fn on_notice(&mut self, notice: Notice, session: &Session, now: Timestamp, events: &mut Vec<Event>);

    /// Takes a connection that could not be opened, or broke. The session deals with it; this is for telling somebody why.
    fn on_connection_error(&mut self, _error: &io::Error) {}

    /// Gives what the application wants of its own accord by pushing it to `events`, and arranges to be woken for more.
    /// Called at each wake-up, before anything is read.
    fn poll_wishes(&mut self, session: &Session, cx: &mut Context<'_>, events: &mut Vec<Event>);

    /// Whether more may be read from the connection. While pending nothing is read, so that a slow application slows its
    /// server down instead of filling memory.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Whether the terminal is to end. Asked after each wake-up; what was to be written is written first.
    fn is_done(&self, session: &Session) -> bool;
}

/// What a terminal is made of, beside its application.
#[derive(Debug, Clone)]
pub struct TerminalConfig {
    /// The session's part. Its transport is set from `transport`.
    pub session: SessionConfig,
    /// How it finds its server.
    pub navigation: Navigation,
    /// What it connects over.
    pub transport: Transport,
    /// The address to connect from, where that matters.
    pub source: Option<std::net::IpAddr>,
    /// Over TLS: whom to trust.
    pub trust: Option<TlsTrust>,
    /// The time.
    pub clock: LocalClock,
}

type Navigating = Pin<Box<dyn Future<Output = Result<Vec<String>, NavigationFailure>> + Send>>;
type Opening = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;

/// A terminal. Resolves to its application when that is done. Dropping it closes the connection without a word.
#[must_use = "a terminal does nothing unless polled"]
pub struct Terminal<A> {
    config: TerminalConfig,
    session: Session,
    application: Option<A>,
    navigating: Option<Navigating>,
    opening: Option<(LinkId, Opening)>,
    connection: Option<(LinkId, Connection)>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Scratch space, empty between wake-ups.
    effects: Vec<Effect>,
    events: Vec<Event>,
    /// Something began that has not been polled yet, so that nobody would wake the task for it.
    stirred: bool,
}

impl<A> std::fmt::Debug for Terminal<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Reads of one wake-up; then the others get their turn.
const READS_MAX: usize = 16;

impl<A: Application> Terminal<A> {
    /// A terminal that starts when it is first polled.
    pub fn new(mut config: TerminalConfig, application: A) -> Self {
        config.session.transport = match config.transport {
            Transport::Ws => anser_rmtp::TransportKind::WebSocket,
            Transport::Tcp | Transport::Tls => anser_rmtp::TransportKind::Tcp,
        };
        let session = Session::new(config.session.clone());
        Self {
            config,
            session,
            application: Some(application),
            navigating: None,
            opening: None,
            connection: None,
            timer: None,
            effects: Vec::new(),
            events: vec![Event::Start],
            stirred: false,
        }
    }

    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    /// Hands an event to the session and does what it wants, and what the application wants then, until nobody wants more.
    fn handle(&mut self, event: Event, now: Timestamp) {
        self.session.handle(event, now, &mut self.effects);
        self.settle(now);
    }

    fn settle(&mut self, now: Timestamp) {
        while !self.effects.is_empty() || !self.events.is_empty() {
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                self.perform(effect, now);
            }
            self.effects = effects;
            let mut events = std::mem::take(&mut self.events);
            for event in events.drain(..) {
                self.session.handle(event, now, &mut self.effects);
            }
            self.events = events;
        }
    }

    fn perform(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Write(frame) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.write(&frame);
                }
            }
            Effect::Tell(notice) => {
                if let Some(application) = &mut self.application {
                    application.on_notice(notice, &self.session, now, &mut self.events);
                }
            }
            Effect::Navigate => {
                self.stirred = true;
                let TerminalConfig { navigation, session, transport, .. } = self.config.clone();
                self.navigating =
                    Some(Box::pin(
                        async move { navigation.addresses(&session.app_key, &session.token, transport).await },
                    ));
            }
            Effect::Open { link, address } => {
                self.stirred = true;
                self.opening = Some((link, Box::pin(connection::open(self.config.clone(), address))));
            }
            Effect::Close { link } => self.close(link),
        }
    }

    /// Closes a connection; what was written to it goes out as far as the socket takes it at once.
    fn close(&mut self, link: LinkId) {
        self.opening.take_if(|(id, _)| *id == link);
        if let Some((_, mut connection)) = self.connection.take_if(|(id, _)| *id == link) {
            connection.flush_now();
        }
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        if let Some(Poll::Ready(result)) = self.navigating.as_mut().map(|future| future.as_mut().poll(cx)) {
            self.navigating = None;
            let event = match result {
                Ok(addresses) => Event::Navigated(addresses),
                Err(failure) => Event::NavigationFailed(failure),
            };
            self.handle(event, now);
        }
        let opened = self.opening.as_mut().map(|(link, future)| (*link, future.as_mut().poll(cx)));
        if let Some((link, Poll::Ready(result))) = opened {
            self.opening = None;
            match result {
                Ok(connection) => {
                    self.connection = Some((link, connection));
                    self.handle(Event::Opened { link }, now);
                }
                Err(error) => {
                    self.connection_error(&error);
                    self.handle(Event::Lost { link }, now);
                }
            }
        }
    }

    /// Reads what is there. Whether to come back at once because there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        for _ in 0..READS_MAX {
            let ready = self.application.as_mut().is_none_or(|application| application.poll_ready(cx).is_ready());
            let Some((link, connection)) = self.connection.as_mut().filter(|_| ready) else {
                return false;
            };
            let link = *link;
            let (session, effects) = (&mut self.session, &mut self.effects);
            let read = connection.poll_read(cx, |frame| session.handle(Event::Frame { link, frame }, now, effects));
            match read {
                Poll::Ready(Ok(())) => self.settle(now),
                Poll::Ready(Err(error)) => {
                    self.connection_error(&error);
                    self.settle(now);
                    self.connection.take_if(|(id, _)| *id == link);
                    self.handle(Event::Lost { link }, now);
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Tells the session the time when it asked for it, and arranges for the next time.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        loop {
            let Some(at) = self.session.wake_at() else {
                return self.timer = None;
            };
            if at <= now {
                self.handle(Event::Tick, now);
                if self.session.wake_at().is_some_and(|next| next <= now) {
                    self.stirred = true;
                    return;
                }
                continue;
            }
            let at = self.config.clock.instant_of(at);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            match timer.as_mut().poll(cx) {
                Poll::Pending => return,
                // It was set for an earlier time; or the time has come, and the clock will say so.
                Poll::Ready(()) => timer.as_mut().reset(at.max(Instant::now() + std::time::Duration::from_millis(1))),
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        let Some((link, connection)) = &mut self.connection else {
            return;
        };
        let link = *link;
        if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
            self.connection_error(&error);
            self.connection = None;
            self.stirred = true;
            self.handle(Event::Lost { link }, now);
        }
    }

    fn connection_error(&mut self, error: &io::Error) {
        tracing::debug!(%error, "connection failed");
        if let Some(application) = &mut self.application {
            application.on_connection_error(error);
        }
    }

    /// Whether so much waits to be written that the application is not asked for more.
    fn is_choked(&self) -> bool {
        self.connection.as_ref().is_some_and(|(_, connection)| connection.is_choked())
    }
}

impl<A: Application> Future for Terminal<A> {
    type Output = A;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let this = &mut *self;
        let now = this.now();
        this.settle(now);
        this.poll_opening(cx, now);
        if !this.is_choked()
            && let Some(application) = &mut this.application
        {
            application.poll_wishes(&this.session, cx, &mut this.events);
            this.settle(now);
        }
        if this.poll_read(cx, now) {
            cx.waker().wake_by_ref();
        }
        this.poll_timer(cx, now);
        this.poll_flush(cx, now);
        if this.application.as_ref().is_some_and(|application| application.is_done(&this.session))
            && let Some(application) = this.application.take()
        {
            return Poll::Ready(application);
        }
        if std::mem::take(&mut this.stirred) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
