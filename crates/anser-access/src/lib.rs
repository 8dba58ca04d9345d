//! The access role: it holds the long connections of terminals.
//!
//! Listeners over TCP, TLS and WebSocket, sign-in, one task per connection that moves bytes between its socket and its
//! [`anser_core::terminal::Terminal`], and the [`Registry`] through which the message role reaches connections. What is said
//! to a client and when is decided by the terminal alone.
//!
//! Must never know: how messages are stored or distributed, which backend there is, where the other roles run.

mod ban;
mod config;
mod connection;
mod handshake;
mod io;
mod listener;
mod metrics;
mod outbox;
mod presence;
mod registry;
mod server;
mod services;
mod session;
mod sign_in;
mod sweeper;
mod tls;

pub use config::AccessConfig;
pub use metrics::AccessMetrics;
pub use registry::Registry;
pub use server::{AccessDeps, AccessServer, StartError};
pub use tls::TlsError;
