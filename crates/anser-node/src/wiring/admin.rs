//! The port for operators: health and metrics. It is open before anything else is, and until everything else has ended.
//!
//! It changes nothing and tells nothing of users, but whoever reaches it learns how the node is: it belongs into a private network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anser_runtime::metrics::TEXT_FORM;
use anser_runtime::{Drain, Fate, Tasks};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::task::JoinHandle;

use crate::ServeError;
use crate::config::AdminConfig;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::status::{NodeStatus, Parts};

use super::http::{HttpPortConfig, connections, listen_at};

/// Connections of operators and their tools.
const CONNECTIONS: HttpPortConfig = HttpPortConfig { connections_max: 64, idle_timeout_seconds: 30, drain_seconds: 0 };
/// How long what was asked may take to be answered at the end.
const FINISH: Duration = Duration::from_secs(1);

/// The running port.
#[derive(Debug)]
pub(crate) struct Admin {
    /// Where it listens; `None`: it is off.
    pub(crate) address: Option<SocketAddr>,
    listening: Option<JoinHandle<()>>,
    /// Of its own: it goes on while the node drains.
    tasks: Tasks,
}

/// What is asked there.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) parts: Arc<Parts>,
}

/// Opens the port and answers.
pub(crate) fn start(config: &AdminConfig, shown: Shown) -> Result<Admin, ServeError> {
    let tasks = Tasks::new(Drain::new());
    let (mut address, mut listening) = (None, None);
    if let Some(listener) = listen_at("admin.listen", "--admin", &config.listen)? {
        address = Some(listener.local_addr().map_err(ServeError::Signals)?);
        let serving = connections::serve(listener, routes(shown.clone()), CONNECTIONS, tasks.clone());
        listening = Some(tasks.spawn("admin listener", Fate::CutOff, serving));
    }
    tasks.spawn("pulse", Fate::CutOff, shown.health.beat());
    Ok(Admin { address, listening, tasks })
}

impl Admin {
    /// Closes the port.
    pub(crate) async fn end(self) {
        self.tasks.drain().begin();
        if let Some(listening) = self.listening {
            // What is not answered by then is cut off.
            tokio::time::timeout(FINISH, listening).await.ok();
        }
        self.tasks.drain().stop();
        tokio::time::timeout(FINISH, self.tasks.finished()).await.ok();
    }
}

fn routes(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(shown)
}

async fn livez(State(shown): State<Shown>) -> Response {
    match shown.health.dead() {
        None => (StatusCode::OK, "alive\n").into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not alive\n{why}\n")).into_response(),
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let report = shown.health.report();
    let (code, word) =
        if report.is_ready() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let lines = report.missing.iter().chain(&report.notes);
    let body = lines.fold(format!("{word}\n"), |text, line| format!("{text}{line}\n"));
    (code, body).into_response()
}

async fn status(State(shown): State<Shown>) -> Json<NodeStatus> {
    Json(shown.parts.status(shown.health.report()))
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORM)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
