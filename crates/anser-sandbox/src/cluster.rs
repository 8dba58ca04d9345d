//! Several Anser nodes on this machine, on the servers of a stack: a folder of theirs, and what can be done to each.

mod control;
mod node;
mod passage;
mod settings;
mod up;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

pub use node::{Node, NodePorts, NodeStatus, Nodes, Role};
pub use passage::Passage;
pub use up::{ClusterUp, Ways};

use crate::spawn::Home;
use node::Outside;

const RECORD: &str = "cluster.json";
/// The settings file of a node.
const SETTINGS: &str = "anser.toml";

/// The nodes of a folder. As with a [`Stack`](crate::Stack), the value holds none of them: dropping it ends nothing.
#[derive(Debug, Clone)]
pub struct Cluster {
    folder: PathBuf,
    record: Record,
    tell: fn(&str),
}

/// What a folder remembers of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    ports: Outside,
    /// The `anser` program.
    program: PathBuf,
    nodes: Nodes,
    #[serde(default)]
    environment: Vec<(String, String)>,
    app_key: String,
    app_secret: String,
    /// Whether what it needs in the servers is there.
    is_made: bool,
}

impl Record {
    fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let new = folder.join("cluster.json.new");
        std::fs::write(&new, serde_json::to_string_pretty(self)?)?;
        std::fs::rename(new, folder.join(RECORD)).with_context(|| format!("cannot write into {}", folder.display()))
    }
}

impl Cluster {
    /// The cluster of a folder, if there is one, running or not. What happens to it is told to `tell`, a line at a time.
    pub fn open(folder: &Path, tell: fn(&str)) -> anyhow::Result<Option<Self>> {
        let folder = std::path::absolute(folder)?;
        Ok(Record::read(&folder)?.map(|record| Self { folder, record, tell }))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its nodes.
    pub fn nodes(&self) -> Vec<Node> {
        self.record.nodes.list(self.record.ports.base)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> anyhow::Result<Node> {
        let nodes = self.nodes();
        match nodes.iter().find(|node| node.name == name) {
            Some(node) => Ok(node.clone()),
            None => {
                let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
                bail!("there is no node {name} in this cluster; it has {}", names.join(", "))
            }
        }
    }

    /// The address of navigation and the server API, as clients take it.
    pub fn url(&self) -> String {
        let nodes = self.nodes();
        let front = nodes.iter().find(|node| node.has(Role::Navi));
        front.map_or_else(String::new, |node| format!("http://127.0.0.1:{}", self.record.ports.of(node.ports.http)))
    }

    /// The key of its app.
    pub fn app_key(&self) -> &str {
        &self.record.app_key
    }

    /// The secret of its app.
    pub fn app_secret(&self) -> &str {
        &self.record.app_secret
    }

    /// What clients and judges want to know, as variables: names and values.
    pub fn environment(&self) -> Vec<(String, String)> {
        let of_clients = [
            ("NAVI", self.url()),
            ("API", self.url()),
            ("APP_KEY", self.record.app_key.clone()),
            ("APP_SECRET", self.record.app_secret.clone()),
        ];
        let of_clients = of_clients.map(|(name, value)| (name.to_owned(), value));
        let nodes = self.nodes().into_iter();
        let of_operators = nodes.map(|Node { name, ports, .. }| {
            (format!("ADMIN_{}", name.replace('-', "_").to_uppercase()), format!("http://127.0.0.1:{}", ports.admin))
        });
        of_clients.into_iter().chain(of_operators).collect()
    }

    /// What a node wrote since it was started last.
    pub fn said(&self, name: &str) -> anyhow::Result<String> {
        Ok(self.home(&self.node(name)?).said())
    }

    /// The data folder of a node.
    pub fn data(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.home(&self.node(name)?).join("data"))
    }

    fn home(&self, node: &Node) -> Home {
        Home::new(self.folder.join(&node.name))
    }

    fn tell(&self, text: &str) {
        (self.tell)(text);
    }
}
