//! What each server is started with: its settings files and its command line.

mod hbase;
mod kafka;
mod redis;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::address::Ports;
use crate::install::{self, jars, java};
use crate::service::{Kind, Service};
use crate::shape::Shape;
use crate::spawn::{Home, Program};

/// What is the same for all servers of a stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) shape: Shape,
    pub(crate) ports: Ports,
    /// Where the jars are kept.
    pub(crate) jars: &'a Path,
    pub(crate) tell: fn(&str),
}

impl Site<'_> {
    /// Sees to it that the programs are there, so that nothing is started if one cannot be had.
    pub(crate) fn install(self) -> anyhow::Result<()> {
        if self.shape.redis.is_some() {
            install::redis::find_or_install(self.jars, self.tell)?;
        }
        if self.shape.kafka.is_some() || self.shape.hbase {
            java::find_or_install(self.jars, self.tell)?;
        }
        if self.shape.kafka.is_some() {
            jars::KAFKA.fetch(self.jars, self.tell)?;
        }
        if self.shape.hbase {
            jars::HBASE.fetch(self.jars, self.tell)?;
        }
        Ok(())
    }

    /// Writes what a server needs before it starts, and says how to start it.
    pub(crate) fn prepare(self, service: &Service, home: &Home) -> anyhow::Result<Program> {
        let program = match service.kind {
            Kind::Kafka => kafka::prepare(self, service.number, home),
            Kind::Redis => redis::prepare(self, service.number, home),
            Kind::HBase => hbase::prepare_server(self, home),
            Kind::Thrift => hbase::prepare_gateway(self, home),
        }?;
        Ok(if self.shape.for_speed { with_priority(service.kind, program) } else { program })
    }

    /// A JVM with these jars and this much memory, that keeps what it makes for a while in the server's folder.
    fn jvm(self, set: jars::Set, home: &Home, memory_max: &str) -> anyhow::Result<Jvm> {
        let temporary = home.join("tmp");
        std::fs::create_dir_all(&temporary)?;
        let mut options = vec![
            "-Xms64m".to_owned(),
            format!("-Xmx{memory_max}"),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:+ExitOnOutOfMemoryError".to_owned(),
            "-XX:-UsePerfData".to_owned(),
            format!("-Djava.io.tmpdir={}", temporary.display()),
        ];
        if !self.shape.for_speed {
            options.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        let java = java::find_or_install(self.jars, self.tell)?;
        Ok(Jvm { java, options, class_path: vec![set.fetch(self.jars, self.tell)?.join("*")] })
    }
}

/// A Java program that is yet to be told its main class.
#[derive(Debug, Clone)]
struct Jvm {
    java: PathBuf,
    options: Vec<String>,
    class_path: Vec<PathBuf>,
}

impl Jvm {
    fn program(self, main: &str, arguments: &[&str]) -> Program {
        let class_path: Vec<String> = self.class_path.iter().map(|path| path.display().to_string()).collect();
        let own = ["-cp".to_owned(), class_path.join(":"), main.to_owned()];
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        let arguments = self.options.into_iter().chain(own).chain(arguments).collect();
        Program { path: self.java, arguments, environment: Vec::new() }
    }
}

/// The same program where speed is measured on a machine that all share. Every delivery passes through Redis, so it comes first, but
/// not the process by which it rewrites its file; nobody who talks waits for HBase, which takes what others leave. `nice` says so in
/// the log if the system does not allow it.
fn with_priority(kind: Kind, program: Program) -> Program {
    let before: &[&str] = match kind {
        Kind::Redis => &["--reset-on-fork", "--other", "0", "nice", "-n", "-10"],
        Kind::HBase | Kind::Thrift => &["--idle", "0"],
        Kind::Kafka => return program,
    };
    let words = before.iter().map(|word| (*word).to_owned()).chain([program.path.display().to_string()]);
    Program { path: "chrt".into(), arguments: words.chain(program.arguments).collect(), ..program }
}

/// `name=value` lines, as Java and Redis read them with `=` or a blank between.
fn lines(settings: &[(&str, String)], between: &str) -> String {
    settings.iter().map(|(name, value)| format!("{name}{between}{value}\n")).collect()
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
