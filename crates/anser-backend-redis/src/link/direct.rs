//! One primary: the only server, or whichever of several says that it is the primary. One shared connection, replaced when it
//! fails or when its server turns out to be a replica.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError, Value};
use tokio::time::Instant;

use super::{Request, servers};
use crate::config::RedisConfig;
use crate::error::CallError;

/// Between two tries to connect: at first, and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The way to a primary.
#[derive(Debug)]
pub(super) struct Direct {
    servers: Vec<(String, ConnectionInfo)>,
    settings: AsyncConnectionConfig,
    /// Which server was the primary when we last looked.
    last: AtomicUsize,
    current: Mutex<Option<Line>>,
    /// Held by the one that connects; the others wait for it and use what it got.
    connecting: tokio::sync::Mutex<Pause>,
}

/// A connection, with a number by which it is known.
#[derive(Clone)]
struct Line {
    number: u64,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("number", &self.number).finish_non_exhaustive()
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
    pub(super) fn new(config: &RedisConfig) -> Self {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout()))
            .set_response_timeout(Some(config.response_timeout()));
        Self {
            servers: servers(config),
            settings,
            last: AtomicUsize::new(0),
            current: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(Pause { until: None, next: BACKOFF_MIN, number: 0 }),
        }
    }

    /// The server that is used, by its address.
    pub(super) fn place(&self) -> String {
        let last = self.last.load(Ordering::Relaxed);
        self.servers.get(last).map_or_else(String::new, |(address, _)| address.clone())
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
            CallError::of_redis(name, &self.place(), &error)
        })
    }

    /// The present connection, or a new one.
    async fn line(&self, name: &'static str) -> Result<Line, CallError> {
        if let Some(line) = self.current() {
            return Ok(line);
        }
        let mut pause = self.connecting.lock().await;
        if let Some(line) = self.current() {
            return Ok(line);
        }
        if let Some(until) = pause.until {
            tokio::time::sleep_until(until).await;
        }
        // If this is cancelled, the next one waits as long.
        pause.until = Some(Instant::now() + pause.next);
        pause.next = (pause.next * 2).min(BACKOFF_MAX);
        let connection = self.connect(name).await?;
        pause.number += 1;
        (pause.until, pause.next) = (None, BACKOFF_MIN);
        let line = Line { number: pause.number, connection };
        *self.current.lock() = Some(line.clone());
        Ok(line)
    }

    fn current(&self) -> Option<Line> {
        self.current.lock().clone()
    }

    /// Nobody uses this connection from now on.
    fn give_up(&self, number: u64) {
        self.current.lock().take_if(|line| line.number == number);
    }

    /// Connects to the first server that is the primary, beginning with the one that was.
    async fn connect(&self, name: &'static str) -> Result<MultiplexedConnection, CallError> {
        let mut failed = CallError::new(name, "redis", "none of the servers is a primary");
        let last = self.last.load(Ordering::Relaxed);
        for at in 0..self.servers.len() {
            let at = (last + at) % self.servers.len();
            let (address, info) = &self.servers[at];
            match self.connect_to(info).await {
                Ok(Some(connection)) => {
                    self.last.store(at, Ordering::Relaxed);
                    tracing::info!(redis = %address, "connected to redis");
                    return Ok(connection);
                }
                Ok(None) => {}
                Err(error) => {
                    failed = CallError::of_redis(name, address, &error);
                    tracing::debug!(redis = %address, %error, "no connection to redis");
                }
            }
        }
        Err(failed)
    }

    /// A connection to a server, if it is a primary.
    async fn connect_to(&self, info: &ConnectionInfo) -> Result<Option<MultiplexedConnection>, RedisError> {
        let client = Client::open(info.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&self.settings).await?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let is_primary = matches!(role.first(), Some(Value::BulkString(role)) if role == b"master");
        Ok(is_primary.then_some(connection))
    }
}

/// Whether a connection is of no use after this.
fn is_fatal(error: &RedisError) -> bool {
    let elsewhere =
        error.code().is_some_and(|code| matches!(code, "READONLY" | "LOADING" | "MASTERDOWN" | "NOREPLICAS"));
    elsewhere || error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
}
