//! What every role needs to run: a clock that can be replaced, a drain with phases, tasks that declare their fate, metrics, and log
//! lines that are not too many.
//!
//! Knows nothing of messages, protocols or backends.

mod clock;
mod drain;
pub mod metrics;
mod seldom;
mod tasks;

pub use clock::{Clock, ManualClock};
pub use drain::{Drain, Phase};
pub use seldom::Seldom;
pub use tasks::{Fate, TaskCount, Tasks};
