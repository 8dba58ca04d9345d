//! The suites that every adapter of a port passes.

pub mod directory;
pub mod history;
pub mod log;
pub mod mailbox;
pub mod membership;
pub mod rebuild;
mod sample;
