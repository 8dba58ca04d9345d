//! A thread with a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::GatewayError;
use super::choice::Choice;
use super::connection::{Connection, Settings};
use super::queue::{Lane, Queue};

/// The thread. It ends when the queue is closed and empty.
pub(super) struct Worker {
    queue: Arc<Queue>,
    link: Link,
    /// Dropped at the end of the thread, which is how others see it.
    alive: watch::Receiver<()>,
}

/// What a call sees of the thread: the connection, made when it is needed.
pub(super) struct Link {
    choice: Arc<Choice>,
    settings: Arc<Settings>,
    turn: usize,
    connection: Option<Connection>,
}

impl Worker {
    pub(super) const fn new(queue: Arc<Queue>, link: Link, alive: watch::Receiver<()>) -> Self {
        Self { queue, link, alive }
    }

    pub(super) fn start(self, number: usize) -> std::io::Result<()> {
        std::thread::Builder::new().name(format!("anser-hbase-{number}")).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        // In turn, so that with a single thread neither queue starves.
        let mut first = Lane::Read;
        while let Some(job) = self.queue.take(first) {
            job(&mut self.link);
            first = if first == Lane::Read { Lane::Write } else { Lane::Read };
        }
        drop(self.alive);
    }
}

impl Link {
    pub(super) const fn new(choice: Arc<Choice>, settings: Arc<Settings>, turn: usize) -> Self {
        Self { choice, settings, turn, connection: None }
    }

    /// Runs a call. A gateway that was restarted, or tired of an idle connection, has closed it meanwhile: that costs a second
    /// try and no error.
    pub(super) fn call<T>(
        &mut self,
        work: &mut dyn FnMut(&mut Connection) -> thrift::Result<T>,
    ) -> Result<T, GatewayError> {
        let was_open = self.connection.is_some();
        match self.call_once(work) {
            Err(error) if was_open && error.is_closed() => self.call_once(work),
            result => result,
        }
    }

    fn call_once<T>(&mut self, work: &mut dyn FnMut(&mut Connection) -> thrift::Result<T>) -> Result<T, GatewayError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        // Garbage in place of a reply can make the client below panic; that must not cost the thread.
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
        let result = result.unwrap_or_else(|_| {
            Err(thrift::Error::Protocol(thrift::ProtocolError::new(
                thrift::ProtocolErrorKind::InvalidData,
                "the answer cannot be read",
            )))
        });
        let result = result
            .map_err(|error| GatewayError::read(error, &self.settings, &connection.address, connection.has_answered));
        match &result {
            Err(error) if !error.is_declared() => self.note_broken(&connection, error),
            _ => {
                if !std::mem::replace(&mut connection.has_answered, true) && self.choice.note_answer(connection.number)
                {
                    tracing::info!(gateway = connection.address, "the gateway answers again");
                }
                self.connection = Some(connection);
            }
        }
        result
    }

    /// A connection may be made anew at once, unless the gateway was silent, or this one was new.
    fn note_broken(&self, connection: &Connection, error: &GatewayError) {
        tracing::warn!(gateway = connection.address, %error, "dropped a connection to a gateway");
        if error.is_silent() || !connection.has_answered {
            self.choice.note_away(connection.number, Instant::now(), error.to_string());
        }
    }

    fn connect(&mut self) -> Result<Connection, GatewayError> {
        let mut failure = None;
        loop {
            let (number, address) = match self.choice.next(self.turn, Instant::now()) {
                Ok(next) => next,
                Err(away) => {
                    let (wait_ms, last_failure) = (away.wait.as_millis(), away.last_failure);
                    return Err(failure.unwrap_or(GatewayError::Away { wait_ms, last_failure }));
                }
            };
            match Connection::open(&self.settings, number, address.clone()) {
                Ok(connection) => return Ok(connection),
                Err(reason) => {
                    let error = GatewayError::Connect { address, reason };
                    tracing::warn!(%error, "a gateway is away");
                    self.choice.note_away(number, Instant::now(), error.to_string());
                    self.turn = self.turn.wrapping_add(1);
                    failure = Some(error);
                }
            }
        }
    }

    /// Closes what a call has left open, after its answer has gone out.
    pub(super) fn tidy(&mut self) {
        if self.connection.as_mut().is_some_and(|connection| !connection.tidy()) {
            self.connection = None;
        }
    }
}
