//! Several nodes in this process, over real sockets, with small services behind them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod fakes;
mod faults;
mod hints;
mod newcomers;
mod proxy;
mod publishes;
mod secure;
mod world;
