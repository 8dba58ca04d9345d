//! In-memory references of the ports, for tests and simulations.

mod directory;
mod history;
mod log;
mod mailbox;
mod membership;
mod rebuild;

pub use directory::{Answers, MemoryDirectory};
pub use history::MemoryHistory;
pub use log::MemoryLog;
pub use mailbox::{MemoryMailbox, SavedMailbox};
pub use membership::MemoryMembership;
pub use rebuild::MemoryRebuilds;
