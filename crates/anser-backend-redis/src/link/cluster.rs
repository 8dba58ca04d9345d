//! Redis Cluster: the client library knows which node has which slot, follows redirections, and reconnects.

use std::time::Duration;

use parking_lot::Mutex;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, RedisError, Value};

use super::{Request, servers};
use crate::config::RedisConfig;
use crate::error::CallError;

const PLACE: &str = "redis cluster";

/// Redirections and repetitions of one call.
const TRIES_MAX: u32 = 6;
const WAIT_MIN_MS: u64 = 20;
const WAIT_MAX_MS: u64 = 500;

/// The way to a cluster.
pub(super) struct Cluster {
    config: RedisConfig,
    current: Mutex<Option<ClusterConnection>>,
    /// Held by the one that connects; the others wait for it and use what it got.
    connecting: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn new(config: &RedisConfig) -> Self {
        Self { config: config.clone(), current: Mutex::new(None), connecting: tokio::sync::Mutex::new(()) }
    }

    pub(super) async fn send(&self, name: &'static str, request: Request<'_>) -> Result<Value, CallError> {
        let failed = |error| failed(name, &error);
        let mut connection = self.connection().await.map_err(failed)?;
        match request {
            Request::One(command) => command.query_async(&mut connection).await.map_err(failed),
            Request::Many(commands) => commands.query_async(&mut connection).await.map_err(failed),
        }
    }

    pub(super) async fn on_primaries(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Vec<(String, Value)>, CallError> {
        let failed = |error| failed(name, &error);
        let mut connection = self.connection().await.map_err(failed)?;
        let routing = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answer = connection.route_command(command.clone(), routing).await.map_err(failed)?;
        let Value::Map(answers) = answer.extract_error().map_err(failed)? else {
            return Err(CallError::new(name, PLACE, "the answers have no names"));
        };
        let named = answers.into_iter().map(|(server, answer)| match server {
            Value::BulkString(server) => (String::from_utf8_lossy(&server).into_owned(), answer),
            Value::SimpleString(server) => (server, answer),
            other => (format!("{other:?}"), answer),
        });
        Ok(named.collect())
    }

    async fn connection(&self) -> Result<ClusterConnection, RedisError> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let nodes = servers(&self.config).into_iter().map(|(_, info)| info);
        let client = ClusterClient::builder(nodes)
            .retries(TRIES_MAX)
            .min_retry_wait(WAIT_MIN_MS)
            .max_retry_wait(WAIT_MAX_MS)
            .connection_timeout(self.config.connect_timeout())
            .response_timeout(self.config.response_timeout().max(Duration::from_millis(1)))
            .build()?;
        let connection = client.get_async_connection().await?;
        tracing::info!("connected to redis cluster");
        *self.current.lock() = Some(connection.clone());
        Ok(connection)
    }

    fn current(&self) -> Option<ClusterConnection> {
        self.current.lock().clone()
    }
}

fn failed(name: &'static str, error: &RedisError) -> CallError {
    CallError::of_redis(name, PLACE, error)
}
