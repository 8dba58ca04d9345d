//! What every role needs to run: a clock that can be replaced, a drain with phases, and tasks that declare their
//! fate, and metrics.
//!
//! Knows nothing of messages, protocols or backends.

mod clock;
mod drain;
pub mod metrics;
mod tasks;

pub use clock::{Clock, ManualClock};
pub use drain::{Drain, Phase};
pub use tasks::{Fate, TaskCount, Tasks};
