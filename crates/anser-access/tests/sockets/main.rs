//! The access role over real sockets on this machine, with a small message role in memory behind it.

mod client;
mod delivery;
mod faults;
mod fake;
mod sign_in;
mod world;
