//! The HTTP port of a node: navigation and the server API on one listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anser_api::Api;
use anser_backend::{Role, Roles};
use anser_navi::{AccessPoints, Navi};
use anser_runtime::{Clock, Fate, Tasks};
use axum::Router;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::ServeError;
use crate::config::{Listen, NodeConfig};

use super::apps::Apps;
use super::{Services, resolve};

pub use connections::HttpPortConfig;

pub(super) mod connections;

/// Connections that the kernel holds until there is a place for them: after a restart all clients ask navigation at once.
const BACKLOG: i32 = 4096;
/// How long requests under way may take at the end.
const FINISH: Duration = Duration::from_secs(5);

/// What the two roles are given.
pub(crate) struct Parts<'a> {
    pub(crate) apps: &'a Apps,
    pub(crate) services: &'a Services,
    /// Where navigation sends clients.
    pub(crate) points: Arc<dyn AccessPoints>,
    pub(crate) clock: &'a Clock,
    /// Which roles of the node are served here.
    pub(crate) roles: Roles,
}

/// The running port.
#[derive(Debug)]
pub(crate) struct Http {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    answering: JoinHandle<()>,
    /// For how long it still accepts when draining has begun.
    drain: Duration,
}

impl Http {
    /// Returns when the requests that were under way when draining began are answered, or take too long.
    pub(crate) async fn finish(self) {
        if tokio::time::timeout(self.drain + FINISH, self.answering).await.is_err() {
            tracing::warn!("some http requests are not answered");
        }
    }
}

/// Opens the port, so that one that is taken is found before anything else is done. Nobody is answered yet.
pub(crate) fn bind(listen: &Listen) -> Result<TcpListener, ServeError> {
    bind_to("http", "--http", listen)
}

/// Opens a port that a setting names.
pub(crate) fn bind_to(setting: &'static str, flag: &'static str, listen: &Listen) -> Result<TcpListener, ServeError> {
    listen_at(setting, flag, listen)?.ok_or_else(|| ServeError::Unfit(format!("{setting}: cannot be off")))
}

/// Opens a port that may be off.
pub(super) fn listen_at(
    setting: &'static str,
    flag: &'static str,
    listen: &Listen,
) -> Result<Option<TcpListener>, ServeError> {
    let Some(address) = resolve(setting, listen)? else { return Ok(None) };
    listen_on(address).map(Some).map_err(|source| ServeError::listen(address, flag, source))
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Begins to answer.
pub(crate) fn start(
    config: &NodeConfig,
    listener: TcpListener,
    parts: Parts<'_>,
    tasks: &Tasks,
) -> Result<Http, ServeError> {
    let address = listener.local_addr().map_err(ServeError::Signals)?;
    // Where nobody else could answer, or nobody asks, there is nothing to wait for.
    let is_one_of_several = config.cluster.is_on() && (parts.roles.has(Role::Navi) || parts.roles.has(Role::Api));
    let drain_seconds = if is_one_of_several { config.http_port.drain_seconds } else { 0 };
    let router = routes(config, parts);
    let settings = HttpPortConfig { drain_seconds, ..config.http_port };
    let serving = connections::serve(listener, router, settings, tasks.clone());
    let answering = tasks.spawn("http listener", Fate::VitalCutOff, serving);
    Ok(Http { address, answering, drain: Duration::from_secs(drain_seconds) })
}

fn routes(config: &NodeConfig, parts: Parts<'_>) -> Router {
    let Parts { apps, services, points, clock, roles } = parts;
    let (navi_clock, api_clock) = (clock.clone(), clock.clone());
    let mut api_settings = config.api.clone();
    api_settings.message_bytes_max = config.message.message_bytes_max;
    let navi = anser_navi::router(Navi {
        apps: Arc::clone(&apps.registry) as Arc<dyn anser_cluster::AppRegistry>,
        points,
        clock: Arc::new(move || navi_clock.now()),
        config: config.navi,
    });
    let api = anser_api::router(Api {
        apps: Arc::clone(&apps.registry) as Arc<dyn anser_cluster::AppRegistry>,
        messages: Arc::clone(&services.messages),
        access: Arc::clone(&services.access),
        directory: Arc::clone(&services.directory),
        clock: Arc::new(move || api_clock.now()),
        config: api_settings,
    });
    match (roles.has(Role::Navi), roles.has(Role::Api)) {
        (true, false) => navi,
        (false, true) => api,
        (true, true) => navi.merge(api),
        (false, false) => Router::new(),
    }
}

/// What the port is for, in a word.
pub(crate) fn name(config: &NodeConfig) -> &'static str {
    let roles = if config.cluster.is_on() { config.cluster.roles() } else { Roles::all() };
    match (roles.has(Role::Navi), roles.has(Role::Api)) {
        (true, false) => "navigation",
        (false, true) => "server API",
        (true, true) => "navigation and API",
        (false, false) => "HTTP, unused",
    }
}
