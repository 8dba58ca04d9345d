//! Doing something to one node, and to all of them at the end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::cluster::{Cluster, Node, NodeStatus, RECORD, SETTINGS};
use crate::identity::Condition;
use crate::process::Stopped;
use crate::spawn::{Home, Program};
use crate::stack::{Leave, lock_folder, remove};
use crate::status::State;
use crate::{address, wait};

/// How long a node may take from its start until it is ready. Many times what it takes on two busy cores.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a node may take to hand over and end.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The variable that names a node the file by which its clock is off.
const CLOCK: &str = "TEST_CLOCK_OFF_FILE";
const CLOCK_FILE: &str = "clock-off-ms";

impl Cluster {
    /// Starts a node that is down and waits until it is ready. If it is up, that is fine. Returns how long that took.
    pub fn start(&self, name: &str) -> anyhow::Result<Duration> {
        let node = self.node(name)?;
        let begun = self.launch(&node)?;
        self.await_ready(&node, begun)
    }

    /// Asks a node to hand over and end, and kills it when that takes too long. If it is down, that is fine.
    pub fn stop(&self, name: &str) -> anyhow::Result<()> {
        match self.home(&self.node(name)?).stop(STOP_LIMIT).with_context(|| format!("cannot stop {name}"))? {
            Stopped::WasDown => Ok(()),
            Stopped::InOrder => {
                self.tell(&format!("{name}: stopped"));
                Ok(())
            }
            Stopped::Killed => bail!("{name} did not stop within {} s and was killed", STOP_LIMIT.as_secs()),
        }
    }

    /// Ends a node without a warning, as a loss of power would. If it is down, that is fine.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        if self.home(&self.node(name)?).kill().with_context(|| format!("cannot kill {name}"))? {
            self.tell(&format!("{name}: killed"));
        }
        Ok(())
    }

    /// Stops a node where it is, without its knowing.
    pub fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.home(&self.node(name)?).pause().with_context(|| format!("cannot pause {name}"))?;
        self.tell(&format!("{name}: paused"));
        Ok(())
    }

    /// Lets a node that was paused go on.
    pub fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.home(&self.node(name)?).resume().with_context(|| format!("cannot resume {name}"))?;
        self.tell(&format!("{name}: resumed"));
        Ok(())
    }

    /// Sets the machine's clock, as a node sees it, by so many milliseconds; 0 sets it right. Whether the node is up or not.
    /// Fails where nodes are reached directly: those do not look for it.
    pub fn set_clock(&self, name: &str, off_ms: i64) -> anyhow::Result<()> {
        ensure!(self.has_clocks(), "nodes that are reached directly have no clock but the machine's");
        let home = self.home(&self.node(name)?);
        let (new, file) = (home.join("clock-off-ms.new"), home.join(CLOCK_FILE));
        std::fs::write(&new, off_ms.to_string())
            .and_then(|()| std::fs::rename(&new, &file))
            .with_context(|| format!("cannot write {}", file.display()))?;
        self.tell(&format!("{name}: clock {off_ms:+} ms"));
        Ok(())
    }

    /// Whether nodes read by how much their clocks are off, each time they look at them. That takes time, so only where somebody
    /// stands between them who may set them.
    const fn has_clocks(&self) -> bool {
        self.record.ports.passed.is_some()
    }

    /// Looks at every node.
    pub fn status(&self) -> Vec<NodeStatus> {
        self.nodes().into_iter().map(|node| self.status_of(node)).collect()
    }

    /// The processes of the nodes that are not down, with the nodes' names.
    pub fn processes(&self) -> Vec<(String, i32)> {
        let found = |node: Node| {
            let (process, _) = self.home(&node).process()?;
            Some((node.name, process.pid))
        };
        self.nodes().into_iter().filter_map(found).collect()
    }

    /// Ends all nodes at once, and leaves what it is told to. A cluster that is down already is no error.
    pub fn down(&self, leave: Leave) -> anyhow::Result<()> {
        let _one_at_a_time = lock_folder(&self.folder)?;
        let nodes = self.nodes();
        std::thread::scope(|scope| {
            let ending: Vec<_> = nodes.iter().map(|node| scope.spawn(|| self.end(node, leave))).collect();
            ending.into_iter().try_for_each(|end| end.join().unwrap_or_else(|_| bail!("an end panicked")))
        })?;
        if leave == Leave::Nothing {
            for node in &nodes {
                remove(&self.folder.join(&node.name))?;
            }
            std::fs::remove_file(self.folder.join(RECORD)).ok();
        }
        Ok(())
    }

    fn end(&self, node: &Node, leave: Leave) -> anyhow::Result<()> {
        match leave {
            Leave::Nothing => self.kill(&node.name),
            Leave::Data => self.stop(&node.name),
        }
    }

    fn status_of(&self, node: Node) -> NodeStatus {
        let home = self.home(&node);
        let process = home.process();
        let state = match process {
            None => State::Down,
            Some((_, Condition::Paused)) => State::Paused,
            Some(_) if ready_file(&home).exists() => State::Up,
            Some(_) => State::Silent,
        };
        NodeStatus { node, state, pid: process.map(|(identity, _)| identity.pid), log: home.log() }
    }

    /// Starts a node that is down, without waiting for it. Returns when that was.
    pub(super) fn launch(&self, node: &Node) -> anyhow::Result<Instant> {
        let begun = wait::now();
        let home = self.home(node);
        let _one_at_a_time = home.lock()?;
        ensure!(!home.is_paused(), "{} is paused: `resume` it", node.name);
        if home.process().is_none() {
            check_ports(node)?;
            let ready = ready_file(&home);
            std::fs::remove_file(&ready).ok();
            let text = |path: std::path::PathBuf| path.display().to_string();
            let arguments = ["serve", "--config", &text(home.join(SETTINGS)), "--ready-file", &text(ready)];
            let arguments = arguments.map(str::to_owned).to_vec();
            let mut environment = self.record.environment.clone();
            if self.has_clocks() {
                environment.push((CLOCK.to_owned(), text(home.join(CLOCK_FILE))));
            }
            home.spawn(&Program { path: self.record.program.clone(), arguments, environment })?;
        }
        Ok(begun)
    }

    pub(super) fn await_ready(&self, node: &Node, begun: Instant) -> anyhow::Result<Duration> {
        let home = self.home(node);
        let (name, log) = (&node.name, home.log());
        let ended = wait::until(START_LIMIT, || {
            let ready = ready_file(&home).exists();
            // Looked at afterwards: one that has ended is not ready any more.
            let there = home.process().is_some();
            (ready || !there).then_some(there)
        });
        match ended {
            Some(true) => {
                self.tell(&format!("{name}: ready ({:.1} s)", begun.elapsed().as_secs_f32()));
                Ok(begun.elapsed())
            }
            Some(false) => bail!("{name} has ended; the last lines of {}:\n{}", log.display(), home.last_lines()),
            None => bail!(
                "{name} is not ready after {} s; the last lines of {}:\n{}",
                START_LIMIT.as_secs(),
                log.display(),
                home.last_lines()
            ),
        }
    }
}

fn ready_file(home: &Home) -> std::path::PathBuf {
    home.join("ready.json")
}

fn check_ports(node: &Node) -> anyhow::Result<()> {
    let ports = node.ports;
    match ports.all().into_iter().find(|port| !address::is_free(*port)) {
        Some(port) => bail!("{} needs port {port} of 127.0.0.1, and another program has it", node.name),
        None => Ok(()),
    }
}
