//! The backends of a cluster that live in Redis: the mailbox and the list of members.
//!
//! Redis decides what is fast and who tries, never what is true. The mailbox is a table derived from the log: each batch carries
//! the mark that it leads to, so that what is repeated is skipped, a zombie is refused, and what Redis forgets is applied again
//! from the log. All rows of a bucket of users lie in one slot, and one script call writes them. This crate knows neither the
//! roles nor what records mean.

mod check;
mod config;
mod error;
mod format;
mod keys;
mod link;
mod mailbox;
mod membership;
mod script;
mod store;
mod watch;

pub use config::{RedisConfig, RedisDurability, RedisMode};
pub use error::{CallError, RedisOpenError};
pub use mailbox::RedisMailbox;
pub use membership::RedisMembership;
pub use store::{RedisLosses, RedisStore};
