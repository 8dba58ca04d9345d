//! Why a request was refused.

use anser_types::Status;

/// A refusal: a documented status, which also says whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused with status {}", status.0)]
pub struct Refusal {
    /// The code that the caller is told.
    pub status: Status,
}

impl Refusal {
    /// A refusal with this status.
    pub const fn new(status: Status) -> Self {
        Self { status }
    }

    /// Not now; try again.
    pub const UNAVAILABLE: Self = Self::new(Status::UNAVAILABLE);
}
