//! What tests, fault runs and the load tool share: the event trace of a run, and the history checker that decides every
//! promise from it.
//!
//! Nothing here knows how the events came about: the simulator, a run over real sockets and the load tool write the same
//! trace.

pub mod checker;
pub mod trace;
