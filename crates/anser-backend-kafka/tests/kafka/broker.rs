//! A broker of a test's own, which may be killed, stopped and started again.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

use crate::world::{from_environment, until};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Brokers on one machine would take each other's time, and the tests of accidents count on it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// One process that is broker and controller. Ends with the value.
pub(crate) struct Broker {
    jars: String,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    _turn: MutexGuard<'static, ()>,
}

impl Broker {
    /// A new broker, from the jars that the environment names, if it names any. Waits until no other is left.
    pub(crate) async fn of_environment() -> Option<Self> {
        let jars = from_environment("ANSER_TEST_KAFKA_LIB")?;
        let turn = ONE_AT_A_TIME.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let [port, controller] = free_ports();
        std::fs::write(folder.path().join("server.properties"), properties(folder.path(), port, controller)).unwrap();
        let mut broker = Self { jars: format!("{jars}/*"), folder, port, process: None, _turn: turn };
        let format = ["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"];
        assert!(broker.java(&format, "format.log").wait().unwrap().success());
        broker.start().await;
        Some(broker)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the process and waits until it takes connections.
    pub(crate) async fn start(&mut self) {
        self.process = Some(self.java(&["kafka.Kafka"], "broker.log"));
        let starts = until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok());
        let folder = self.folder.path().display();
        tokio::time::timeout(START_TIMEOUT, starts).await.unwrap_or_else(|_| panic!("it does not start, see {folder}"));
    }

    /// Ends the process as a loss of power would, but for what is on the disk.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Lets the process stand still.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().map(|process| process.id().to_string()).unwrap();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn java(&self, main: &[&str], output: &str) -> Child {
        let output = std::fs::File::options().create(true).append(true).open(self.file(output)).unwrap();
        Command::new("java")
            .args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &self.jars])
            .args(main)
            .arg(self.file("server.properties"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn properties(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={}
num.network.threads=2
num.io.threads=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
",
        folder.join("data").display()
    )
}
