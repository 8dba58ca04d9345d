//! The simulator: the real machines and the real message role in one thread, in virtual time, from one seed.
//!
//! Around them everything is fake and nasty: the log, the tables, the network, the clock, crashes. Model clients of three
//! published generations and our own session talk to it. What they see becomes a trace, and the history checker judges it.
//! A seed reproduces a run exactly. Each rule that the promises hang on has a [`switch::Switch`] that breaks it, so that it
//! is known that the checker would notice.

mod access;
mod backends;
mod cast;
mod client;
mod clock;
mod fleet;
mod gate;
mod network;
mod node;
mod oracle;
mod plan;
mod queue;
mod recorder;
mod rng;
mod run;
mod server;
mod service;
pub mod switch;
#[cfg(test)]
mod tests;
mod wires;
mod workload;
mod world;

pub use run::{Run, on_all_processors, run, run_many};
