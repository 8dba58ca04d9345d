//! The server under test, which a scenario starts, kills and starts again: one process on its embedded store; or, if
//! `ANSER_TESTS_STACK` names the folder of a stack of real backends, a cluster of nodes on them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anser_client::admin::Admin;
use anser_sandbox::{Cluster, Kind};
use serde::Deserialize;

use crate::many::{Many, More};
use crate::single::{Options, Single};

/// How many commands show that a new cluster takes commands: more than there are partitions.
const COMMANDS_AT_FIRST: u32 = 64;
/// And one of which a node was started again.
const COMMANDS_AGAIN: u32 = 12;
/// How long a cluster may take until then.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the ready file says.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Where navigation and the server API are.
    pub http: String,
    /// Where clients connect over TCP.
    pub tcp: Option<String>,
    /// Where clients connect over WebSocket.
    pub ws: Option<String>,
    /// Where operators ask how it is.
    pub admin: Option<String>,
    /// The key of the app.
    pub app_key: String,
    /// The file with its secret.
    pub app_secret_file: PathBuf,
}

/// What clients and the app's backend need to know of a server.
#[derive(Debug, Clone)]
pub struct Site {
    /// The address of navigation and the server API.
    pub url: String,
    /// The key of the app.
    pub app_key: String,
    /// Its secret.
    pub app_secret: String,
}

impl Site {
    /// The app's backend.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.url, &self.app_key, &self.app_secret).expect("the server's own address is one")
    }
}

/// How to start a server.
#[derive(Debug, Default)]
pub struct ServerBuilder(Options);

impl ServerBuilder {
    /// Uses this data folder instead of a new one.
    #[must_use]
    pub fn data(mut self, data: &Path) -> Self {
        self.0.data = Some(data.to_owned());
        self
    }

    /// Adds arguments of `anser serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.0.arguments.extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, text: &str) -> Self {
        self.0.environment.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Starts it in one process, on free ports, and waits until it is ready.
    pub async fn start(self) -> Server {
        Server(Place::Single(Single::start(self.0).await))
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server(Place);

#[derive(Debug)]
enum Place {
    Single(Single),
    Many(Many),
}

impl Server {
    /// A server in one process, to be told more than free ports.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Starts a server with nothing set, where the run wants it: in one process or as a cluster.
    pub async fn start() -> Self {
        match std::env::var_os("ANSER_TESTS_STACK") {
            Some(stack) => Self::start_many(Path::new(&stack), More::default()).await,
            None => Self::builder().start().await,
        }
    }

    /// Starts a cluster with more settings. There has to be a stack for it.
    pub async fn start_cluster(more: More) -> Self {
        let stack = std::env::var_os("ANSER_TESTS_STACK").expect("it takes several nodes: cargo xtask cluster test");
        Self::start_many(Path::new(&stack), more).await
    }

    async fn start_many(stack: &Path, more: More) -> Self {
        let server = Self(Place::Many(Many::start(stack, more)));
        server.takes_commands(COMMANDS_AT_FIRST).await;
        server
    }

    /// Its nodes, for whoever looks at them one by one.
    pub fn cluster(&self) -> &Cluster {
        self.many().cluster()
    }

    /// Has Redis take a command, in one line, that is answered with OK.
    pub fn tell_redis(&self, command: &str) {
        assert!(self.redis_says_ok(command), "{command}");
    }

    /// Whether Redis answers a command, in one line, with OK.
    pub fn redis_says_ok(&self, command: &str) -> bool {
        let services = self.many().stack().services();
        let redis = services.iter().find(|service| service.kind == Kind::Redis).expect("a redis");
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).expect("it is there");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it takes a command");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("it answers");
        &answer == b"+OK\r\n"
    }

    /// Ends the node of this name without a warning.
    pub fn kill_node(&self, name: &str) {
        self.many().kill_node(name);
    }

    /// Asks the node of this name to stop, and waits until it has.
    pub fn stop_node(&self, name: &str) {
        let cluster = self.many().cluster();
        tokio::task::block_in_place(|| cluster.stop(name)).expect("it stops in order");
    }

    fn many(&self) -> &Many {
        match &self.0 {
            Place::Single(_) => panic!("it is no cluster"),
            Place::Many(server) => server,
        }
    }

    /// Whether it is a cluster, so that what is killed is one node of it.
    pub const fn is_cluster(&self) -> bool {
        matches!(self.0, Place::Many(_))
    }

    /// Of a cluster, HBase loses all that it has while it serves.
    pub fn lose_hbase(&self) {
        self.many().lose_hbase();
    }

    /// Of a cluster, HBase cannot be reached from now on, or can be again.
    pub fn set_hbase(&self, is_there: bool) {
        self.many().set_hbase(is_there);
    }

    /// Runs `anser cluster` for it: words, then its settings, then options. Returns what it said; it must succeed.
    pub fn operate(&self, words: &[&str], options: &[&str]) -> String {
        let output = self.many().operate(words, options);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What `anser cluster status` says of it, whether all is well or not.
    pub fn status(&self) -> String {
        String::from_utf8_lossy(&self.many().operate(&["status"], &[]).stdout).into_owned()
    }

    /// Starts it again after it ended: the same data, the same ports. Returns once it is ready, with how long that took.
    pub async fn start_again(&mut self) -> Duration {
        match &mut self.0 {
            Place::Single(server) => server.start_again().await,
            Place::Many(server) => {
                let took = server.start_again();
                self.takes_commands(COMMANDS_AGAIN).await;
                took
            }
        }
    }

    /// Returns when commands are taken, whatever they concern. Nodes that have just started are still taking partitions over,
    /// and tell whoever asks meanwhile to try again.
    async fn takes_commands(&self, count: u32) {
        let begun = tokio::time::Instant::now();
        for number in 0..count {
            let group = format!("begin-{number}");
            while let Err(error) = self.admin().create_group(&group, "begin", &["nobody"]).await {
                assert!(begun.elapsed() < PATIENCE, "no commands are taken: {error}");
            }
        }
    }

    /// Where it is and what its app is called. Of a cluster, one of its access nodes.
    pub fn ready(&self) -> &Ready {
        match &self.0 {
            Place::Single(server) => server.ready(),
            Place::Many(server) => server.ready(),
        }
    }

    /// The address of navigation and the server API, as clients take it.
    pub fn url(&self) -> String {
        format!("http://{}", self.ready().http)
    }

    /// The secret of its app.
    pub fn secret(&self) -> String {
        std::fs::read_to_string(&self.ready().app_secret_file).expect("the secret file is there")
    }

    /// Its data folder. Of a cluster, that of the node with the server API.
    pub fn data(&self) -> &Path {
        match &self.0 {
            Place::Single(server) => server.data(),
            Place::Many(server) => server.data(),
        }
    }

    /// What it has written so far. Of a cluster, what all nodes have.
    pub fn log(&self) -> String {
        match &self.0 {
            Place::Single(server) => server.log(),
            Place::Many(server) => server.log(),
        }
    }

    /// The app's backend.
    pub fn admin(&self) -> Admin {
        self.site().admin()
    }

    /// What clients need to know of it.
    pub fn site(&self) -> Site {
        Site { url: self.url(), app_key: self.ready().app_key.clone(), app_secret: self.secret() }
    }

    /// Ends it without a warning, as a loss of power would. Of a cluster, one node: each time another one.
    pub fn kill(&mut self) {
        match &mut self.0 {
            Place::Single(server) => server.kill(),
            Place::Many(server) => server.kill(),
        }
    }

    /// Sends it a signal, by name. A cluster takes TERM alone.
    pub fn signal(&self, name: &str) {
        match &self.0 {
            Place::Single(server) => server.signal(name),
            Place::Many(server) => server.signal(name),
        }
    }

    /// Waits until it has ended. Returns whether it did so in order.
    pub async fn ended(&mut self) -> bool {
        match &mut self.0 {
            Place::Single(server) => server.ended().await.success(),
            Place::Many(server) => server.ended(),
        }
    }

    /// Asks it to stop and waits until it has. Returns whether it did so in order.
    pub async fn stop(&mut self) -> bool {
        self.signal("TERM");
        self.ended().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server said ---\n{}", self.log());
        }
    }
}
