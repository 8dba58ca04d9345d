//! One primary: the only server, or the one of several that was chosen. One shared connection, replaced when it fails, when its
//! server turns out to be a replica or not to be chosen, or when another link of this process has found another primary.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, Value};
use tokio::time::Instant;

use super::Request;
use super::primary::Primary;
use crate::error::CallError;

/// Between two tries to connect: at first, and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The way to a primary.
#[derive(Debug)]
pub(super) struct Direct {
    primary: Arc<Primary>,
    current: Mutex<Option<Line>>,
    /// Held by the one that connects; the others wait for it and use what it got.
    connecting: tokio::sync::Mutex<Pause>,
}

/// A connection, with a number by which it is known, and whereto it leads.
#[derive(Clone)]
struct Line {
    number: u64,
    server: usize,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("number", &self.number).field("server", &self.server).finish_non_exhaustive()
    }
}

/// When connecting may be tried again.
#[derive(Debug)]
struct Pause {
    until: Option<Instant>,
    next: Duration,
    /// The number of the next connection.
    number: u64,
}

impl Direct {
    pub(super) fn new(primary: Arc<Primary>) -> Self {
        Self {
            primary,
            current: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(Pause { until: None, next: BACKOFF_MIN, number: 0 }),
        }
    }

    /// The server that is used, by its address.
    pub(super) fn place(&self) -> &str {
        self.primary.address(self.primary.last())
    }

    /// Looks whether another server is the primary by now. Returns how many choices of one there have been.
    pub(super) async fn look(&self, name: &'static str) -> Result<u64, CallError> {
        self.primary.find(name).await?;
        Ok(self.primary.term())
    }

    /// What the other servers say, as far as they answer.
    pub(super) async fn ask_others(&self, command: &Cmd) -> Vec<(String, Value)> {
        self.primary.ask_others(command).await
    }

    pub(super) async fn send(&self, name: &'static str, request: Request<'_>) -> Result<Value, CallError> {
        let mut line = self.line(name).await?;
        let sent = match request {
            Request::One(command) => command.query_async(&mut line.connection).await,
            Request::Many(commands) => commands.query_async(&mut line.connection).await,
        };
        sent.map_err(|error: RedisError| {
            if is_fatal(&error) {
                self.give_up(line.number);
            }
            CallError::of_redis(name, self.primary.address(line.server), &error)
        })
    }

    /// The present connection, or a new one.
    async fn line(&self, name: &'static str) -> Result<Line, CallError> {
        if let Some(line) = self.current().filter(|_| !self.primary.must_look()) {
            return Ok(line);
        }
        let mut pause = self.connecting.lock().await;
        if self.current().is_some() && self.primary.must_look() {
            self.primary.find(name).await?;
        }
        if let Some(line) = self.current() {
            return Ok(line);
        }
        if let Some(until) = pause.until {
            tokio::time::sleep_until(until).await;
        }
        // If this is cancelled, the next one waits as long.
        pause.until = Some(Instant::now() + pause.next);
        pause.next = (pause.next * 2).min(BACKOFF_MAX);
        let (server, connection) = self.connect(name).await?;
        pause.number += 1;
        (pause.until, pause.next) = (None, BACKOFF_MIN);
        let line = Line { number: pause.number, server, connection };
        *self.current.lock() = Some(line.clone());
        Ok(line)
    }

    /// The connection, if it leads to the server that is used.
    fn current(&self) -> Option<Line> {
        let mut current = self.current.lock();
        current.take_if(|line| line.server != self.primary.last());
        current.clone()
    }

    /// Nobody uses this connection from now on.
    fn give_up(&self, number: u64) {
        self.current.lock().take_if(|line| line.number == number);
    }

    /// Connects to the primary.
    async fn connect(&self, name: &'static str) -> Result<(usize, MultiplexedConnection), CallError> {
        let server = self.primary.find(name).await?;
        let address = self.primary.address(server);
        let mut connection = self.primary.connect_to(server, name).await?;
        let role: Result<Vec<Value>, RedisError> = redis::cmd("ROLE").query_async(&mut connection).await;
        let role = role.map_err(|error| CallError::of_redis(name, address, &error))?;
        if !matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") {
            return Err(CallError::new(name, address, "it is no primary"));
        }
        tracing::info!(redis = %address, "connected to redis");
        Ok((server, connection))
    }
}

/// Whether a connection is of no use after this.
fn is_fatal(error: &RedisError) -> bool {
    let elsewhere = ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNCHOSEN"];
    let is_elsewhere = error.code().is_some_and(|code| elsewhere.contains(&code));
    is_elsewhere || error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
}
