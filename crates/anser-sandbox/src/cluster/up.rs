//! Bringing a cluster up: its log, keys and tables are made in the servers of a stack, and its nodes are started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::address::NODES_BLOCK;
use crate::cluster::node::{Nodes, Outside};
use crate::cluster::settings::Common;
use crate::cluster::{Cluster, Record, SETTINGS};
use crate::stack::{Stack, lock_folder};
use crate::{address, wait};

/// Long enough not to be called short, and known to whoever reads this: nothing but tests is kept under it.
const APP_SECRET: &str = "secret-of-a-sandbox-0123456789";

/// How nodes and servers reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ways {
    /// As they are.
    #[default]
    Direct,
    /// Through the caller's program, which passes bytes on along [`Cluster::passages`] from before the cluster is brought up.
    Passed,
}

/// How a cluster is to be brought up.
#[derive(Debug, Clone)]
pub struct ClusterUp {
    /// Its folder. It is made; settings, data, logs and process ids lie in it.
    pub folder: PathBuf,
    /// The `anser` program.
    pub program: PathBuf,
    /// Which nodes; for a cluster that is there already, those that it has.
    pub nodes: Nodes,
    /// How many partitions a new log gets. Several clusters may share the servers of a stack; small ones are soon there.
    pub partitions: u16,
    /// More settings of all nodes, each a line of TOML with its dotted name.
    pub settings: Vec<String>,
    /// Variables of all nodes, of a cluster that is new: names and values.
    pub environment: Vec<(String, String)>,
    /// How nodes and servers reach each other.
    pub ways: Ways,
    /// Who is told how it goes, a line at a time.
    pub tell: fn(&str),
}

impl ClusterUp {
    /// On return every node is ready. Nodes that ran already were left alone. After an error, what was started stays up:
    /// look at it, or end it with [`Cluster::down`].
    pub fn run(self, stack: &Stack) -> anyhow::Result<Cluster> {
        let mut cluster = self.prepare(stack)?;
        cluster.bring_up()?;
        Ok(cluster)
    }

    /// Only writes down what the cluster is: folders and settings. [`Cluster::bring_up`] does the rest.
    pub fn prepare(self, stack: &Stack) -> anyhow::Result<Cluster> {
        let folder = std::path::absolute(&self.folder)?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let _one_at_a_time = lock_folder(&folder)?;
        let known = Record::read(&folder)?;
        let is_new = known.is_none();
        let record = match known {
            Some(record) => Record { program: self.program.clone(), ..record },
            None => self.record(&folder)?,
        };
        let cluster = Cluster { folder, record, tell: self.tell };
        if is_new {
            cluster.write_settings(stack, &self)?;
        }
        cluster.record.write(&cluster.folder)?;
        Ok(cluster)
    }

    fn record(&self, folder: &Path) -> anyhow::Result<Record> {
        self.nodes.check()?;
        // Beside the block of a stack in the same folder.
        let base_port = address::choose(&folder.join("nodes"), NODES_BLOCK, address::is_free);
        let base_port = base_port.context("there are not enough free ports in a row")?;
        let others = |port| address::is_free(port) && !(base_port..base_port + NODES_BLOCK).contains(&port);
        let passed = match self.ways {
            Ways::Direct => None,
            Ways::Passed => {
                let passed = address::choose(&folder.join("passages"), NODES_BLOCK, others);
                Some(passed.context("there are not enough free ports in a row")?)
            }
        };
        Ok(Record {
            ports: Outside { base: base_port, passed },
            program: self.program.clone(),
            nodes: self.nodes,
            environment: self.environment.clone(),
            app_key: format!("app{:08x}", unique(folder) as u32),
            app_secret: APP_SECRET.to_owned(),
            is_made: false,
        })
    }
}

/// A number that another cluster, in this folder or elsewhere, hardly has: what one of them left in a server must not be
/// taken for another's.
fn unique(folder: &Path) -> u64 {
    address::hash(format!("{} {} {}", folder.display(), std::process::id(), wait::since_1970().as_nanos()).as_bytes())
}

impl Cluster {
    /// Makes what the cluster needs in the servers, if that is not there, and starts the nodes that are down. On return all
    /// are ready.
    pub fn bring_up(&mut self) -> anyhow::Result<()> {
        let _one_at_a_time = lock_folder(&self.folder)?;
        if !self.record.is_made {
            self.make()?;
            self.record.is_made = true;
            self.record.write(&self.folder)?;
        }
        self.start_all()
    }

    fn write_settings(&self, stack: &Stack, up: &ClusterUp) -> anyhow::Result<()> {
        let prefix = format!("t{:012x}", unique(&self.folder) & 0xffff_ffff_ffff);
        let common = Common {
            stack,
            outside: self.record.ports,
            prefix: &prefix,
            partitions: up.partitions,
            more: &up.settings,
            app_key: &self.record.app_key,
            app_secret: &self.record.app_secret,
        };
        for node in self.nodes() {
            let home = self.home(&node);
            std::fs::create_dir_all(self.folder.join(&node.name))?;
            let settings = home.join(SETTINGS);
            std::fs::write(&settings, common.of(&node, &home))
                .with_context(|| format!("cannot write {}", settings.display()))?;
        }
        Ok(())
    }

    fn make(&self) -> anyhow::Result<()> {
        let Some(node) = self.nodes().into_iter().next() else {
            return Ok(());
        };
        let settings = self.home(&node).join(SETTINGS);
        let made = Command::new(&self.record.program).args(["cluster", "init"]).arg(settings).output();
        let made = made.with_context(|| format!("cannot run {}", self.record.program.display()))?;
        let said = [made.stdout, made.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        ensure!(made.status.success(), "`anser cluster init` failed ({}):\n{said}", made.status);
        Ok(())
    }

    fn start_all(&self) -> anyhow::Result<()> {
        let nodes = self.nodes();
        let failed: Vec<String> = std::thread::scope(|scope| {
            let starting: Vec<_> = nodes.iter().map(|node| scope.spawn(|| self.start(&node.name))).collect();
            let ended = starting.into_iter().map(|start| start.join().unwrap_or_else(|_| bail!("a start panicked")));
            ended.filter_map(Result::err).map(|error| format!("{error:#}")).collect()
        });
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    }
}
