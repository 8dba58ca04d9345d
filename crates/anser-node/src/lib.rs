//! A node: its configuration, its apps, and the wiring of roles and adapters.
//!
//! This is the only crate that knows which adapters exist. It decides nothing about messages.

mod apps;
pub mod config;

pub use apps::{
    AppFile, AppFileError, FileRegistry, Judgement, NoRandom, OlderSecret, OlderTokens, StoredApp,
    app, judge,
};
pub use config::NodeConfig;
