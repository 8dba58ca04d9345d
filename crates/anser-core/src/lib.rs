//! The machines, pure: what a node decides.
//!
//! `handle(event, now)` in, effects out. No IO, no clock, no random numbers but those passed in, no order that depends on a
//! hash map. The shells in the roles move bytes and call backends; the simulator drives the very same values.

pub mod applier;
pub mod archiver;
pub mod clock;
pub mod downstream;
pub mod draft;
pub mod history;
pub mod horizon;
pub mod navigation;
pub mod node;
pub mod owner;
pub mod session;
pub mod terminal;
pub mod user_queue;
