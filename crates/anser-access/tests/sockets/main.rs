//! The access role over real sockets on this machine, with a small message role in memory behind it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod delivery;
mod fake;
mod faults;
mod hostile;
mod presence;
mod secure;
mod sign_in;
mod world;
