//! Redis servers that tests start for themselves, and may kill.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, Connection};
use tempfile::TempDir;

/// Where the tests find a Redis that is none of their own.
pub(super) const ADDRESS: &str = "ANSER_TEST_REDIS";
/// Where they find a replica of that.
pub(super) const REPLICA: &str = "ANSER_TEST_REDIS_REPLICA";
/// Where they find a Redis Cluster: all its nodes.
pub(super) const CLUSTER: &str = "ANSER_TEST_REDIS_CLUSTER";

/// A server with a folder of its own, which outlives its process.
pub(super) struct Server {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
}

/// Whether there is a program to start. Says why nothing is tested if there is none.
pub(super) fn can_start() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = std::env::var("ANSER_TEST_BACKENDS").is_ok_and(|value| value == "required");
    assert!(found || !required, "there is no redis-server, and backends are required");
    if !found {
        eprintln!("nothing is tested: there is no redis-server");
    }
    found
}

/// The servers that a variable of the environment names, each as HOST:PORT.
pub(super) fn given(variable: &str) -> Vec<String> {
    let urls = std::env::var(variable).unwrap_or_default();
    let address = |url: &str| url.strip_prefix("redis://").unwrap_or(url).trim_end_matches('/').to_owned();
    urls.split(',').filter(|url| !url.is_empty()).map(address).collect()
}

/// The same, where nothing can be tested without them.
pub(super) fn wanted(variable: &str) -> Option<Vec<String>> {
    let found = Some(given(variable)).filter(|found| !found.is_empty());
    if found.is_none() {
        let required = std::env::var("ANSER_TEST_BACKENDS").is_ok_and(|value| value == "required");
        assert!(!required, "{variable} is not set, and backends are required");
        eprintln!("nothing is tested: {variable} is not set");
    }
    found
}

impl Server {
    /// A server with an append-only file that is written at once, so that a kill loses nothing that was answered.
    pub(super) fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"])
    }

    /// A server with these settings.
    pub(super) fn with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { child: None, port: free_port(), folder: TempDir::new().unwrap(), settings };
        // Somebody else may have taken the port in the meantime.
        while !server.run() {
            server.port = free_port();
        }
        server
    }

    /// Starts it again on the same port and the same files.
    pub(super) fn restart(&mut self) {
        assert!(self.run(), "redis starts again");
    }

    fn run(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        if is_ready {
            self.child = Some(child);
            // So that the server never waits for somebody to read what it says.
            std::thread::spawn(move || lines.for_each(drop));
        } else {
            child.wait().unwrap();
        }
        is_ready
    }

    /// Kills it without a chance to write anything.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection beside those of the backends.
    pub(super) fn connection(&self) -> Connection {
        connection(&self.address())
    }

    /// What it answers to a command.
    pub(super) fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connection()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn connection(address: &str) -> Connection {
    let client = Client::open(format!("redis://{address}")).unwrap();
    client.get_connection_with_timeout(Duration::from_secs(5)).unwrap()
}

fn free_port() -> u16 {
    // Cluster members also use the port 10,000 above, so it has to be a low one.
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Some(low) = port.checked_sub(12_000).filter(|low| *low > 1_024)
            && TcpListener::bind(("127.0.0.1", low)).is_ok()
        {
            return low;
        }
    }
}
