//! The calls between nodes: who the others are, which of them is asked, and the streams that carry questions and answers.
//!
//! Each node dials every node that it may have to ask, and keeps one stream to it: requests go out on it in order, answers
//! come back on it. Behind the service traits of `anser-cluster` stand clients that ask the right node, or the service in
//! this process where that is the right one; so no role can tell how many nodes there are.
//!
//! Whatever is said here is a hint or is said again: what is true is decided by the log. Promises kept here: **in-order**
//! (publishes of a connection reach the queue of their user in order, and after a break again in order), **slow-is-alone** (a
//! slow node fills its own bounded buffer), **told-why** (a publish without an outcome is refused as retryable).
//!
//! Must never know: what the calls do, and which backends there are.

mod accept;
mod access;
mod codec;
mod config;
mod dial;
mod directory;
mod hub;
mod incoming;
mod kept;
mod link;
mod members;
mod messages;
mod node;
mod peers;
mod routes;
mod serve;
mod suspicions;
mod tls;
pub mod wire;

pub use access::RoutedAccess;
pub use config::{PeerConfig, TlsFiles};
pub use kept::{Kept, Ways};
pub use messages::RoutedMessages;
pub use node::{Announced, Local, PeerDeps, PeerNode, StartError};
pub use peers::Peers;
pub use routes::{Claimed, Routes};
pub use suspicions::{Suspects, Suspicions};
pub use tls::TlsError;
