//! The wiring of one node with all roles on the embedded backends: what is started in which order, and ended in which.
//!
//! One function for each part. Whatever a part needs is handed to it; nothing is looked up.

mod access;
mod apps;
mod http;
mod message;
mod retention;
mod signals;
mod storage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anser_access::{AccessServer, Registry};
use anser_backend_embedded::FolderLock;
use anser_runtime::{Clock, Drain, Tasks};

use crate::ServeError;
use crate::config::{Listen, NodeConfig};
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
    let started = tokio::select! {
        started = start(&config, &options, &tasks) => started,
        () = signals.end() => Err(ServeError::CutOff),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            finish(&tasks).await;
            return Err(error);
        }
    };
    signals.until_end(&running.access, &running.apps, &running.storage, tasks.drain()).await;
    tracing::info!("stopping");
    tokio::select! {
        ended = running.end(tasks) => ended,
        () = signals.end() => Err(ServeError::CutOff),
    }
}

/// Starts one part after the other; the last thing is to say that everything accepts.
async fn start(config: &NodeConfig, options: &ServeOptions, tasks: &Tasks) -> Result<Running, ServeError> {
    let clock = Clock::system();
    let lock = Arc::new(FolderLock::take(&config.data)?);
    let http_listener = http::bind(&config.http)?;
    let apps = apps::open(config, tasks)?;
    let storage = storage::open(config, lock, &clock).await?;
    let registry = Registry::new();
    let message = message::start(config, &storage, &registry, &clock, tasks).await?;
    retention::start(Arc::clone(&message.handle), Arc::clone(&storage.log), tasks);
    let access = access::start(config, &apps, &message, &registry, &clock, tasks)?;
    let parts = http::Parts { apps: &apps, message: &message, registry: &registry, clock: &clock };
    let http = http::start(config, http_listener, parts, access::endpoints(config, &access), tasks)?;
    let ready = Ready {
        http: http.address,
        tcp: access.tcp_addr(),
        ws: access.websocket_addr(),
        tls_tcp: access.tcp_tls_addr(),
        tls_ws: access.websocket_tls_addr(),
        app_key: apps.first.key.clone(),
        app_secret_file: apps.secret_file.clone(),
    };
    announce(&ready, &apps, options)?;
    Ok(Running { access, http, message, storage, apps })
}

/// Ends the tasks that end only at the very end.
async fn finish(tasks: &Tasks) {
    tasks.drain().stop();
    if tokio::time::timeout(LAST_TASKS, tasks.finished()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
}

/// The parts of a node that serves.
struct Running {
    access: AccessServer,
    http: http::Http,
    message: message::Message,
    storage: storage::Storage,
    apps: apps::Apps,
}

impl Running {
    /// Ends them in order: nobody is served any more, what was accepted is decided, what was decided is stored.
    async fn end(self, tasks: Tasks) -> Result<(), ServeError> {
        self.http.points.drain();
        tasks.drain().begin();
        self.access.drain().await;
        self.http.finish().await;
        self.message.finish().await;
        self.storage.close().await;
        finish(&tasks).await;
        match tasks.drain().failure() {
            None => Ok(()),
            Some(task) => Err(ServeError::Failed(task)),
        }
    }
}

/// Says where everything is: to people on the standard output, to scripts in the ready file.
fn announce(ready: &Ready, apps: &apps::Apps, options: &ServeOptions) -> Result<(), ServeError> {
    if apps.made {
        println!("made an app for this data folder");
    }
    println!("app key              {}", ready.app_key);
    println!("app secret           in {}", ready.app_secret_file.display());
    println!("navigation and API   http://{}", ready.http);
    let ports = [
        ("TCP", ready.tcp),
        ("WebSocket", ready.ws),
        ("TCP with TLS", ready.tls_tcp),
        ("secure WebSocket", ready.tls_ws),
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
