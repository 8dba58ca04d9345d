//! Real Kafka, Redis and HBase on this machine, as plain processes: installed from the package registries, started on ports
//! of their own under a folder of their own, killed, paused and started again one by one. For tests, for chaos runs, and for
//! `cargo xtask backends`.
//!
//! Knows how to run the servers and how to ask them whether they answer. Never knows what Anser keeps in them, and
//! takes no client library: what it asks is a handful of bytes.

mod address;
mod control;
mod environment;
mod identity;
mod install;
mod launch;
mod probe;
mod redis_group;
mod service;
mod shape;
mod spawn;
mod stack;
mod status;
mod up;
mod wait;

pub use environment::{REQUIRED, wanted};
pub use service::{Kind, Service};
pub use shape::{Brokers, RedisShape, Shape};
pub use stack::{Leave, Stack};
pub use status::{ServiceStatus, State};
pub use up::Up;
