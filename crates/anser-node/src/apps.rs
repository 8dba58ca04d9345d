//! The apps of a node: how they are made, kept in the data folder, and found by the roles.

mod file;
mod registry;
mod secret;

pub(crate) use file::replace;
pub use file::{AppFile, AppFileError, OlderSecret, OlderTokens, StoredApp};
pub use registry::{FileRegistry, app};
pub use secret::{Judgement, NoRandom, judge, random_number};
