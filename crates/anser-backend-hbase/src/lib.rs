//! History and directory in HBase, over the Thrift gateways of its first API.
//!
//! Two tables per cluster: `…_messages` holds what expires (messages, what happened to them, what users hide), `…_views` what stays
//! (the newest message of each conversation, groups, blocks, users, settings, and how far each partition was replayed).
//!
//! HBase knows no write over several rows. So every write here may be repeated, and may be applied late, by a gateway that its caller
//! has given up on or by an owner that is none any more:
//!
//! * A message is what its record says, whoever writes it and when; what happens to it stands in a cell of its own.
//! * Whatever changes in time carries as its HBase timestamp the log offset behind it: of two values the one with more of the log
//!   in it stays, in whichever order they arrive.
//! * What is counted follows what it counts (messages, then heads; indexes, then views), and the mark follows all of it. A crash in
//!   between is repaired by the replay from the mark.
//!
//! HBase acknowledges a write when its log has it on all data nodes of that log; a power cut that takes all of them at once may take
//! the last seconds too.

mod config;
mod directory;
mod format;
mod gateway;
mod history;
mod rebuild;
mod schema;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use config::{Compression, ConfigError, HbaseConfig, Protocol, Transport};
pub use schema::{SchemaError, check, init, shell_script};
pub use store::{HbaseCalls, HbaseStore, OpenError};
