//! A node: its configuration, its apps, and the wiring of roles and adapters.
//!
//! This is the only crate that knows which adapters exist. It decides nothing about messages.

mod apps;
mod cluster;
pub mod config;
mod error;
mod health;
mod metrics;
mod ready;
mod status;
mod wiring;

pub use apps::{
    AppFile, AppFileError, FileRegistry, Judgement, NoRandom, OlderSecret, OlderTokens, StoredApp, app, judge,
    random_number,
};
pub use cluster::{
    ClusterMade, ClusterView, DirectoryRebuild, MailboxRebuild, MissingView, NodeView, PartitionView, RebuildError,
    RebuildPlan, RebuildProgress, cluster_view, forget_node, hbase_script, init_cluster,
};
pub use config::NodeConfig;
pub use error::ServeError;
pub use status::{NodeStatus, PartitionStatus, PeerStatus};
pub use wiring::{ServeOptions, serve};
