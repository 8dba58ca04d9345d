//! The message role: user queues, partition owners, appliers, and the answers to pulls and history queries.
//!
//! Three tasks around pure machines. The *loop* decides: it takes publishes and calls, drives [`anser_core::node::Node`],
//! hands records to the log and outcomes back. The *applier* delivers: it takes what the log has made durable, in the order of
//! the log, writes the mailbox and tells the access role. The *archiver* writes history and the directory, at its own pace
//! ([`anser_core::archiver`]); nobody waits for it but whoever reads history, and whoever has changed a roster or a user. Reads go
//! straight to the tables.
//! The role knows neither connections nor which backends it is given.

mod applier;
mod archiver;
mod backlog;
mod config;
mod directory;
mod ends;
mod event_loop;
#[cfg(test)]
mod fakes;
mod handle;
mod metrics;
mod ownership;
mod progress;
mod reads;
mod rebuild;
mod replay;
mod retention;
mod role;
mod rollback;
mod sign_in_views;
mod takeover;
mod ticks;
mod troubles;

pub use config::MessageConfig;
pub use handle::MessageHandle;
pub use metrics::MessageMetrics;
pub use progress::{PartitionState, Share};
pub use retention::LogRetention;
pub use role::{Backends, Clock, Cluster, MessageRole, Outside, RoleError, RoleTask, RoleTasks};
pub use troubles::Trouble;
