//! Real Kafka, Redis and HBase on this machine, as plain processes: installed from the package registries, started on ports
//! of their own under a folder of their own, killed, paused and started again one by one; and clusters of Anser nodes on
//! them, in the same way. For tests, for chaos runs, and for `cargo xtask backends` and `cargo xtask cluster`.
//!
//! Knows how to run servers and nodes and how to ask whether they answer. Never knows what Anser keeps in the servers, takes
//! no client library (what it asks is a handful of bytes), and knows the `anser` program by its command line alone.

mod address;
mod cluster;
mod control;
mod environment;
mod identity;
mod install;
mod launch;
mod probe;
mod process;
mod redis_group;
mod service;
mod shape;
mod spawn;
mod stack;
mod status;
mod up;
mod wait;

pub use cluster::{Cluster, ClusterUp, Node, NodePorts, NodeStatus, Nodes, Passage, Role, Ways};
pub use environment::{REQUIRED, wanted};
pub use install::Jars;
pub use service::{Kind, Service};
pub use shape::{Brokers, RedisShape, Shape};
pub use stack::{Leave, Stack};
pub use status::{ServiceStatus, State};
pub use up::Up;
