//! The wiring of a node: what is started in which order, and ended in which. A node by itself has all roles on the embedded
//! backends; one of several has the roles that it is told, on Kafka, Redis and HBase.
//!
//! One function for each part. Whatever a part needs is handed to it; nothing is looked up.

mod access;
mod admin;
mod apps;
mod cluster;
mod http;
mod message;
mod retention;
mod signals;
mod storage;

pub use http::HttpPortConfig;
use retention::Retention;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anser_access::{AccessServer, Registry};
use anser_backend::{ClientAddresses, Role, Roles};
use anser_backend_embedded::FolderLock;
use anser_cluster::{AccessService, ConnectionIds, DirectoryService, MessageService};
use anser_navi::{AccessPoints, OneNode};
use anser_runtime::{Clock, Drain, Tasks};

use crate::ServeError;
use crate::config::{Listen, NodeConfig};
use crate::health::{Health, Weight};
use crate::metrics::Metrics;
use crate::ready::Ready;

/// How long the last tasks may take once everything else has ended.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// What concerns one run and is no setting.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// Where to write, as JSON, where the server listens once everything accepts.
    pub ready_file: Option<PathBuf>,
}

/// Runs a node until a signal ends it (`Ok`) or it fails. Whatever happens: what was acked is durable.
///
/// The first SIGTERM or SIGINT drains: no new connections, clients are told to go elsewhere, everything accepted is
/// decided and stored. A second one ends the process at once. SIGHUP reads certificates and apps again.
pub async fn serve(config: NodeConfig, options: ServeOptions) -> Result<(), ServeError> {
    let mut signals = signals::Signals::listen()?;
    let tasks = Tasks::new(Drain::new());
    let shown = admin::Shown {
        health: Health::new(tasks.drain().clone()),
        metrics: Arc::new(Metrics::new()),
        parts: Arc::default(),
    };
    let admin = admin::start(&config.admin, shown.clone())?;
    let served = serve_shown(&config, &options, &tasks, (&shown, admin.address), &mut signals).await;
    admin.end().await;
    served
}

async fn serve_shown(
    config: &NodeConfig,
    options: &ServeOptions,
    tasks: &Tasks,
    (shown, admin): (&admin::Shown, Option<SocketAddr>),
    signals: &mut signals::Signals,
) -> Result<(), ServeError> {
    let started = tokio::select! {
        started = start(config, options, tasks, (shown, admin)) => started.map(Some),
        // Something that the start waits for may have failed for good.
        task = failed(tasks.drain()) => Err(ServeError::Failed(task)),
        () = signals.end() => Ok(None),
    };
    let running = match started {
        Ok(Some(running)) => running,
        Ok(None) => {
            tracing::info!("asked to end before it was ready: nothing was accepted");
            finish(tasks).await;
            return Ok(());
        }
        Err(error) => {
            finish(tasks).await;
            return Err(error);
        }
    };
    signals.until_end(&running, tasks.drain()).await;
    tracing::info!("stopping");
    tokio::select! {
        ended = running.end(tasks) => ended,
        () = signals.end() => Err(ServeError::CutOff),
    }
}

/// Returns once a task has failed that the node cannot do without.
async fn failed(drain: &Drain) -> &'static str {
    drain.draining().await;
    match drain.failure() {
        Some(task) => task,
        None => std::future::pending().await,
    }
}

/// What the roles of a node are given to ask each other.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) messages: Arc<dyn MessageService>,
    pub(crate) directory: Arc<dyn DirectoryService>,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) ids: Arc<ConnectionIds>,
    /// The terminals of all nodes, if there are several.
    pub(crate) cluster: Option<Arc<dyn AccessService>>,
    /// How often it may have been forgotten who is where, if there are several nodes.
    pub(crate) forgotten: Option<tokio::sync::watch::Receiver<u64>>,
}

/// Starts one part after the other; the last thing is to say that everything accepts.
async fn start(
    config: &NodeConfig,
    options: &ServeOptions,
    tasks: &Tasks,
    (shown, admin): (&admin::Shown, Option<SocketAddr>),
) -> Result<Running, ServeError> {
    let clock = if config.cluster.is_on() { Clock::system().steady() } else { Clock::system() };
    let lock = Arc::new(FolderLock::take(&config.data)?);
    if let Some(path) = &options.ready_file {
        // Whoever waits for it is not to find that of an earlier run.
        std::fs::remove_file(path).ok();
    }
    let http_listener = http::bind(&config.http)?;
    let apps = apps::open(config, tasks)?;
    let registry = Registry::new();
    shown.metrics.add(|to| registry.metrics().register(to));
    let outside =
        Outside { config, apps: &apps, registry: &registry, clock: &clock, tasks, shown, admin, http_listener };
    let (ports, base) = if config.cluster.is_on() {
        Box::pin(outside.start_among_others()).await?
    } else {
        Box::pin(outside.start_alone(lock)).await?
    };
    let address = |of: fn(&AccessServer) -> Option<SocketAddr>| ports.access.as_ref().and_then(of);
    let ready = Ready {
        http: ports.http.address,
        tcp: address(AccessServer::tcp_addr),
        ws: address(AccessServer::websocket_addr),
        tls_tcp: address(AccessServer::tcp_tls_addr),
        tls_ws: address(AccessServer::websocket_tls_addr),
        admin,
        app_key: apps.first.key.clone(),
        app_secret_file: apps.secret_file.clone(),
    };
    shown.health.started();
    announce(&ready, http::name(config), &apps, options)?;
    Ok(Running { ports, base, apps })
}

/// What is there before backends and roles are.
struct Outside<'a> {
    config: &'a NodeConfig,
    apps: &'a apps::Apps,
    registry: &'a Arc<Registry>,
    clock: &'a Clock,
    tasks: &'a Tasks,
    shown: &'a admin::Shown,
    admin: Option<SocketAddr>,
    http_listener: tokio::net::TcpListener,
}

impl Outside<'_> {
    /// A node by itself: all roles on the embedded store.
    async fn start_alone(self, lock: Arc<FolderLock>) -> Result<(Ports, Base), ServeError> {
        let Self { config, apps, registry, clock, tasks, shown, http_listener, .. } = self;
        shown.health.starts("log and store to be opened and read");
        let storage = storage::open(config, lock, clock).await?;
        let terminals = Arc::clone(registry) as Arc<dyn AccessService>;
        let backends = storage.backends.clone();
        let parts = message::Parts { name: "node", backends, access: Arc::clone(&terminals), cluster: None };
        let message = message::start(config, parts, clock, tasks).await?;
        message.show(shown);
        let log = Arc::clone(&storage.log);
        shown
            .health
            .add("log", Weight::Wished, move || log.is_full().then(|| "there is no room on the disk".to_owned()));
        Retention::Alone(Arc::clone(&message.handle), Arc::clone(&storage.log)).start(tasks);
        let services = Services {
            messages: Arc::clone(&message.handle) as Arc<dyn MessageService>,
            directory: Arc::clone(&message.handle) as Arc<dyn DirectoryService>,
            access: terminals,
            ids: Arc::new(ConnectionIds::new(access::draw_node()?)),
            cluster: None,
            forgotten: None,
        };
        let access = access::start(config, apps, &services, registry, clock, tasks)?;
        let points = OneNode::new(access::endpoints(config, &access));
        let shown = Arc::clone(&points) as Arc<dyn AccessPoints>;
        let parts = http::Parts { apps, services: &services, points: shown, clock, roles: Roles::all() };
        let http = http::start(config, http_listener, parts, tasks)?;
        Ok((Ports { access: Some(access), http }, Base::Alone(Box::new(Alone { points, message, storage }))))
    }

    /// One node of several, with the roles that it has.
    async fn start_among_others(self) -> Result<(Ports, Base), ServeError> {
        let Self { config, apps, registry, clock, tasks, shown, admin, http_listener } = self;
        let roles = config.cluster.roles();
        let prepared = cluster::prepare(config, registry, clock, (tasks, shown)).await?;
        let services = prepared.services();
        let mut access = None;
        let mut clients = ClientAddresses::default();
        if roles.has(Role::Access) {
            let started = access::start(config, apps, &services, registry, clock, tasks)?;
            clients = access::addresses(config, &started)?;
            access = Some(started);
        }
        let parts = http::Parts { apps, services: &services, points: prepared.points(), clock, roles };
        let http = http::start(config, http_listener, parts, tasks)?;
        let told = cluster::Told { clients, admin };
        let serving = prepared.announce(config, told, registry, shown)?;
        Ok((Ports { access, http }, Base::AmongOthers(Box::new(serving))))
    }
}

/// Ends the tasks that end only at the very end.
async fn finish(tasks: &Tasks) {
    tasks.drain().stop();
    if tokio::time::timeout(LAST_TASKS, tasks.finished()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
}

/// The ports of a node that serves.
struct Ports {
    access: Option<AccessServer>,
    http: http::Http,
}

/// What is under the ports of a node by itself.
struct Alone {
    points: Arc<OneNode>,
    message: message::Message,
    storage: storage::Storage,
}

/// What is under the ports.
enum Base {
    Alone(Box<Alone>),
    AmongOthers(Box<cluster::Serving>),
}

impl Base {
    /// Returns which part of the storage has failed for good, once one has.
    async fn failed(&self) -> &'static str {
        match self {
            Self::Alone(alone) => alone.storage.failed().await,
            // What is away comes back; what is wrong ends the task that meets it.
            Self::AmongOthers(_) => std::future::pending().await,
        }
    }

    /// Nobody new is sent here any more.
    fn drain(&self) {
        match self {
            Self::Alone(alone) => alone.points.drain(),
            Self::AmongOthers(serving) => serving.drain(),
        }
    }

    /// Nobody counts on the node any more: what it has not answered goes elsewhere at once.
    async fn give_up(&self) {
        match self {
            Self::Alone(_) => {}
            Self::AmongOthers(serving) => serving.give_up().await,
        }
    }

    /// What was accepted is decided, what was decided is stored.
    async fn finish(self, has_failed: bool) {
        match self {
            Self::Alone(alone) => {
                alone.message.finish().await;
                alone.storage.close().await;
            }
            Self::AmongOthers(serving) => serving.finish(has_failed).await,
        }
    }
}

/// The parts of a node that serves.
struct Running {
    ports: Ports,
    base: Base,
    apps: apps::Apps,
}

impl Running {
    /// Ends them in order: nobody is served any more, what was accepted is decided, what was decided is stored.
    async fn end(self, tasks: &Tasks) -> Result<(), ServeError> {
        self.base.drain();
        tasks.drain().begin();
        let has_failed = tasks.drain().failure().is_some();
        if has_failed {
            self.base.give_up().await;
        }
        if let Some(access) = &self.ports.access {
            access.drain().await;
        }
        self.ports.http.finish().await;
        self.base.finish(has_failed).await;
        finish(tasks).await;
        match tasks.drain().failure() {
            None => Ok(()),
            Some(task) => Err(ServeError::Failed(task)),
        }
    }
}

/// Says where everything is: to people on the standard output, to scripts in the ready file.
fn announce(ready: &Ready, http: &str, apps: &apps::Apps, options: &ServeOptions) -> Result<(), ServeError> {
    if apps.made {
        println!("made an app for this data folder");
    }
    println!("app key              {}", ready.app_key);
    println!("app secret           in {}", ready.app_secret_file.display());
    println!("{http:20} http://{}", ready.http);
    let ports = [
        ("TCP", ready.tcp),
        ("WebSocket", ready.ws),
        ("TCP with TLS", ready.tls_tcp),
        ("secure WebSocket", ready.tls_ws),
        ("for operators", ready.admin),
    ];
    for (name, address) in ports {
        if let Some(address) = address {
            println!("{name:20} {address}");
        }
    }
    println!("ready");
    if let Some(path) = &options.ready_file {
        ready.write(path).map_err(|source| ServeError::ReadyFile { path: path.clone(), source })?;
    }
    Ok(())
}

/// The address behind a setting; `None` when it is off.
fn resolve(setting: &'static str, listen: &Listen) -> Result<Option<SocketAddr>, ServeError> {
    use std::net::ToSocketAddrs as _;
    let Some(target) = listen.target() else { return Ok(None) };
    let failed = |source| ServeError::Resolve { setting, address: listen.to_string(), source };
    let first = target.to_socket_addrs().map_err(failed)?.next();
    first.map(Some).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
}
