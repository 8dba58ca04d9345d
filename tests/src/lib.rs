//! What black-box scenarios need: the real server as one process or as a cluster of them, users who chat with it through our own client
//! and write down what they see, and ways of waiting for conditions.
//!
//! Knows the server only by its command line, its ports and its exit code.

mod chatter;
mod many;
mod met;
mod reader;
mod recorder;
mod server;
mod single;
mod wait;

pub use chatter::{Chatter, Load};
pub use many::More;
pub use met::{Met, at_most};
pub use reader::read_everything;
pub use recorder::Recorder;
pub use server::{Ready, Server, ServerBuilder, Site};
pub use single::anser;
pub use wait::{until, within};
