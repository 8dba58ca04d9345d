//! The message role: user queues, partition owners, appliers, and the answers to pulls and history queries.
//!
//! Two tasks around pure machines. The *loop* decides: it takes publishes and calls, drives [`anser_core::node::Node`],
//! hands records to the log and outcomes back. The *applier* derives: it takes what the log has made durable, in the order
//! of the log, writes the tables and tells the access role. Reads go straight to the tables; they wait for the applier only where
//! what they name was acked and cannot be found yet.
//! The role knows neither connections nor which backends it is given.

mod applier;
mod config;
mod directory;
mod event_loop;
mod handle;
mod ownership;
mod progress;
mod reads;
mod retention;
mod role;
mod takeover;

pub use config::MessageConfig;
pub use handle::MessageHandle;
pub use retention::LogRetention;
pub use role::{Backends, Clock, Cluster, MessageRole, RoleError};
