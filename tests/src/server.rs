//! The real server, as a process that a scenario starts, kills and starts again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anser_client::admin::Admin;
use anyhow::Context as _;
use serde::Deserialize;
use tempfile::TempDir;

use crate::wait::until;

/// How long a start, or an orderly end, may take before a scenario fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `anser` program of the profile that the tests were built in, built now if need be. `ANSER` names another one.
pub fn anser() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("ANSER") {
        Some(path) => path.into(),
        None => build().expect("the server builds"),
    })
}

fn build() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("tests lie in target/PROFILE/deps")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "anser", "--profile", profile])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    anyhow::ensure!(built.success(), "cargo cannot build the server");
    Ok(folder.join("anser"))
}

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

/// How to start a server.
#[derive(Debug, Default)]
pub struct ServerBuilder {
    data: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl ServerBuilder {
    /// Uses this data folder instead of a new one.
    #[must_use]
    pub fn data(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// Adds arguments of `anser serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, text: &str) -> Self {
        self.environment.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Starts it on free ports and waits until it is ready.
    pub async fn start(self) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = self.data.unwrap_or_else(|| folder.path().join("data"));
        let mut server =
            Server { folder, data, arguments: self.arguments, environment: self.environment, child: None, ready: None };
        server.start_again().await;
        server
    }
}

/// How a server that is to fail has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote, on both outputs.
    pub said: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Self { code: output.status.code(), said }
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    data: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    ready: Option<Ready>,
}

impl Server {
    /// A server with nothing set but free ports.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Starts one like that.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts it again after it ended: the same data, the same ports. Returns once it is ready, with how long that took.
    pub async fn start_again(&mut self) -> Duration {
        assert!(self.child.is_none(), "the server runs");
        let ready_file = self.folder.path().join("ready.json");
        std::fs::remove_file(&ready_file).ok();
        let begun = tokio::time::Instant::now();
        let mut child = self.command(&ready_file).spawn().expect("the server starts");
        let text = until("the server is ready", PATIENCE, || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            std::fs::read_to_string(&ready_file).ok()
        });
        let text = text.await;
        self.child = Some(child);
        self.ready = Some(serde_json::from_str(&text).expect("the ready file is json"));
        begun.elapsed()
    }

    fn command(&self, ready_file: &Path) -> Command {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.folder.path().join("log"));
        let log = log.expect("a log file");
        let mut command = Command::new(anser());
        command.args(["serve", "--data"]).arg(&self.data).arg("--ready-file").arg(ready_file);
        let any = "127.0.0.1:0";
        let known = self.ready.as_ref();
        let ports = [
            ("--http", known.map(|ready| ready.http.as_str())),
            ("--tcp", known.and_then(|ready| ready.tcp.as_deref())),
            ("--ws", known.and_then(|ready| ready.ws.as_deref())),
        ];
        for (flag, address) in ports {
            command.args([flag, address.unwrap_or(any)]);
        }
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        command
    }

    /// Where it is and what its app is called.
    pub fn ready(&self) -> &Ready {
        self.ready.as_ref().expect("a server that was returned is ready")
    }

    /// The address of navigation and the server API, as clients take it.
    pub fn url(&self) -> String {
        format!("http://{}", self.ready().http)
    }

    /// The secret of its app.
    pub fn secret(&self) -> String {
        std::fs::read_to_string(&self.ready().app_secret_file).expect("the secret file is there")
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The app's backend.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.url(), &self.ready().app_key, &self.secret()).expect("the server's own address is one")
    }

    /// Ends it without a warning, as a loss of power would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the server can be killed");
        child.wait().expect("a killed process ends");
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("the server runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill is there");
        assert!(sent.success(), "the server takes no signal");
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        until("the server has ended", PATIENCE, || child.try_wait().expect("it can be waited for")).await
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("--- the server said ---\n{}", self.log());
        }
    }
}
