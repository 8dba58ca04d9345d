//! What a node says of itself to `anser cluster status`, as JSON on its port for operators.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// How a node is. Fields may be added; what is missing has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Its name among others; empty if it stands alone, or is of an older version.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Why not.
    pub missing: Vec<String>,
    /// What else does not work.
    pub notes: Vec<String>,
    /// The partitions that it serves.
    pub partitions: Vec<PartitionStatus>,
    /// The other nodes that it talks to.
    pub peers: Vec<PeerStatus>,
}

/// A partition that a node serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionStatus {
    /// Which.
    pub partition: u8,
    /// Records that are accepted and not in timelines yet.
    pub to_apply: u64,
    /// Records that are accepted and not in history yet.
    pub to_archive: u64,
    /// Whether it takes nothing in because history is too far behind.
    pub stopped: bool,
    /// Whether it takes nothing in because timelines are too far behind.
    pub held_back: bool,
}

/// Another node, as one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Whether there is a stream to it.
    pub reached: bool,
}

type Partitions = Box<dyn Fn() -> Vec<PartitionStatus> + Send + Sync>;
type Peers = Box<dyn Fn() -> Vec<PeerStatus> + Send + Sync>;

/// Where the parts of a node tell how they are once they run.
#[derive(Default)]
pub(crate) struct Parts {
    name: OnceLock<String>,
    partitions: OnceLock<Partitions>,
    peers: OnceLock<Peers>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Parts {
    /// From now on these partitions are told. The first caller counts.
    pub(crate) fn tell_partitions(&self, told: impl Fn() -> Vec<PartitionStatus> + Send + Sync + 'static) {
        self.partitions.set(Box::new(told)).ok();
    }

    /// The node has this name among others. The first caller counts.
    pub(crate) fn tell_name(&self, name: &str) {
        self.name.set(name.to_owned()).ok();
    }

    /// From now on these nodes are told. The first caller counts.
    pub(crate) fn tell_peers(&self, told: impl Fn() -> Vec<PeerStatus> + Send + Sync + 'static) {
        self.peers.set(Box::new(told)).ok();
    }

    /// How the node is, with this health.
    pub(crate) fn status(&self, health: crate::health::Report) -> NodeStatus {
        NodeStatus {
            name: self.name.get().cloned().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: health.is_ready(),
            missing: health.missing,
            notes: health.notes,
            partitions: self.partitions.get().map(|told| told()).unwrap_or_default(),
            peers: self.peers.get().map(|told| told()).unwrap_or_default(),
        }
    }
}
