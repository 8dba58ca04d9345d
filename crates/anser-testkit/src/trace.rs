//! The event trace of a run: what clients asked for, what they were told and shown, and, where a run can see into the
//! server, facts from there.
//!
//! A trace is a list of [`Line`]s in the order in which they happened. Who writes a trace must keep two orders: what
//! happens at one connection, in the order of that connection; and *B after A* wherever B was caused by A. The encoding,
//! one JSON object a line, carries a version; other processes may write it.

mod event;
mod json;
#[cfg(test)]
mod tests;

pub use event::{
    CallId, ClientConnection, Conversation, Direction, Event, Keep, Kind, Line, Name, PageItem, RosterStep, Seen,
    Terminal, Via,
};
pub use json::{TraceError, TraceReader, TraceWriter, VERSION, merge};
