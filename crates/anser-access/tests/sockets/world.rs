//! A started access role with what it needs.

use std::net::SocketAddr;
use std::sync::Arc;

use anser_access::{AccessConfig, AccessDeps, AccessServer, Registry};
use anser_cluster::{AccessService, App, AppRegistry, AppSecret, ConnectionIds};
use anser_rmtp::token::TokenClaims;
use anser_runtime::{Clock, Drain, Tasks};
use anser_types::{AppKey, NodeId, Timestamp, UserId, UserKey};

use crate::client::Client;
use crate::fake::{FakeDirectory, FakeMessages};

/// The node.
pub(crate) const HERE: NodeId = NodeId::drawn(9 << 32);

pub(crate) struct World {
    pub(crate) server: AccessServer,
    pub(crate) registry: Arc<Registry>,
    pub(crate) messages: Arc<FakeMessages>,
    pub(crate) directory: Arc<FakeDirectory>,
    pub(crate) tasks: Tasks,
    /// How often it may have been forgotten who is here.
    pub(crate) forgotten: tokio::sync::watch::Sender<u64>,
    app: Arc<App>,
}

#[derive(Debug)]
struct OneApp(Arc<App>);

impl AppRegistry for OneApp {
    fn find(&self, key: &str) -> Option<Arc<App>> {
        (key == self.0.key.as_str()).then(|| Arc::clone(&self.0))
    }
}

/// Nobody is looked at again, as that is told as well: tests that are about it say how often.
pub(crate) fn config() -> AccessConfig {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    AccessConfig { tcp: any, websocket: any, drain_seconds: 0, look_again_seconds: 0, ..AccessConfig::default() }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: AccessConfig) -> Self {
        Self::start(config, None)
    }

    /// One node among others.
    pub(crate) fn among(config: AccessConfig, cluster: Arc<dyn AccessService>) -> Self {
        Self::start(config, Some(cluster))
    }

    fn start(config: AccessConfig, cluster: Option<Arc<dyn AccessService>>) -> Self {
        let registry = Registry::new();
        let messages = Arc::new(FakeMessages::new(Arc::clone(&registry)));
        let directory = Arc::new(FakeDirectory::default());
        let app = Arc::new(App::new(AppKey::new("app").unwrap(), AppSecret::new("secret")));
        let tasks = Tasks::new(Drain::new());
        let (forgotten, counted) = tokio::sync::watch::channel(0);
        let deps = AccessDeps {
            apps: Arc::new(OneApp(Arc::clone(&app))),
            messages: Arc::clone(&messages) as _,
            directory: Arc::clone(&directory) as _,
            registry: Arc::clone(&registry),
            ids: Arc::new(ConnectionIds::new(HERE)),
            forgotten: cluster.is_some().then_some(counted),
            cluster,
            clock: Clock::system(),
            tasks: tasks.clone(),
        };
        let server = AccessServer::start(config, deps).unwrap();
        Self { server, registry, messages, directory, tasks, forgotten, app }
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.token_at(user, Clock::system().now(), None)
    }

    pub(crate) fn token_at(&self, user: &str, issued: Timestamp, expires: Option<Timestamp>) -> String {
        let user = UserId::new(user).unwrap();
        self.app
            .tokens
            .issue(&TokenClaims { app: self.app.key.clone(), user, issued, expires, nonce: 1 }, &["http://navi"])
    }

    pub(crate) fn key(&self, user: &str) -> UserKey {
        UserKey::new(self.app.key.clone(), UserId::new(user).unwrap())
    }

    pub(crate) fn websocket(&self) -> SocketAddr {
        self.server.websocket_addr().unwrap()
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.server.tcp_addr().unwrap()
    }

    /// A client of our own kind over WebSocket, signed in.
    pub(crate) async fn ours(&self, user: &str, device: &str) -> Client {
        let mut client = Client::websocket(self.websocket(), &self.token(user), device, "anser/1", 4).await;
        client.accepted().await;
        client
    }

    /// A careful native client over TCP, signed in.
    pub(crate) async fn native(&self, user: &str, device: &str) -> Client {
        let mut client = Client::tcp(self.tcp(), "app", &self.token(user), device, "iOS--5.46.1", 3).await;
        client.accepted().await;
        client
    }
}
