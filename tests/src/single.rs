//! The real server as one process, on its embedded store.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::server::Ready;
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

/// How to start it.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) data: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// A server in one process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Single {
    folder: TempDir,
    data: PathBuf,
    options: Options,
    child: Option<Child>,
    ready: Option<Ready>,
}

impl Single {
    /// Starts it on free ports and waits until it is ready.
    pub(crate) async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let mut server = Self { folder, data, options, child: None, ready: None };
        server.start_again().await;
        server
    }

    /// Starts it again after it ended: the same data, the same ports. Returns once it is ready, with how long that took.
    pub(crate) async fn start_again(&mut self) -> Duration {
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
        command.args(&self.options.arguments).envs(self.options.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        command
    }

    /// Where it is and what its app is called.
    pub(crate) fn ready(&self) -> &Ready {
        self.ready.as_ref().expect("a server that was returned is ready")
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it without a warning, as a loss of power would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the server can be killed");
        child.wait().expect("a killed process ends");
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("the server runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill is there");
        assert!(sent.success(), "the server takes no signal");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        until("the server has ended", PATIENCE, || child.try_wait().expect("it can be waited for")).await
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
