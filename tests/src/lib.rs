//! What black-box scenarios need: the real server as a process of its own, users who chat with it through our own client
//! and write down what they see, and ways of waiting for conditions.
//!
//! Knows the server only by its command line, its ports and its exit code.

mod chatter;
mod reader;
mod recorder;
mod server;
mod wait;

pub use chatter::{Chatter, Load};
pub use reader::read_everything;
pub use recorder::Recorder;
pub use server::{Ended, Ready, Server, ServerBuilder, anser};
pub use wait::{until, within};
