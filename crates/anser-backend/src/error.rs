//! Why a derived table could not be read or written.

/// What went wrong with a table. The log is untouched by it: whatever was not applied will be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend does not answer now. Try again; a write may or may not have happened, and repeating it is harmless.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A newer owner has written to this table: whoever sees this steps down and never tries again under its claim.
    #[error("a newer claim has written to the store")]
    StaleClaim,
    /// The store came back without rows that this handle has written, or is being rebuilt, and nothing of the batch was applied.
    /// The same call fails again until [`Mailbox::begin_replay`](crate::Mailbox::begin_replay) was called for its partitions,
    /// whose records are then applied again in order from there.
    #[error("the store came back without its newest writes")]
    RolledBack,
    /// Stored bytes cannot be read. Not worth a retry: somebody has to look.
    #[error("stored bytes of {table} cannot be read")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later, with nothing else done in between.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
