//! One module for each command.

pub(crate) mod app;
pub(crate) mod chat;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod load;
pub(crate) mod serve;
pub(crate) mod token;
