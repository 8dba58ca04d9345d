//! In-memory references of the ports, for tests and simulations.

mod log;

pub use log::MemoryLog;
