//! What is allowed, with the defaults. Every limit is configurable and has a code of its own for what exceeds it.

/// The limits that the machines enforce. Sizes are bytes, times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message content.
    pub message_bytes_max: usize,
    /// The most members of a group.
    pub group_members_max: usize,
    /// The most entries in one pull answer.
    pub pull_entries_max: usize,
    /// The most bytes in one pull answer (one entry always fits).
    pub pull_bytes_max: usize,
    /// Entries of a history page when the client names no number.
    pub history_page_default: usize,
    /// The most entries of a history page.
    pub history_page_max: usize,
    /// How long a resend is recognised.
    pub duplicate_window_ms: u64,
    /// How many accepted messages a partition remembers for that.
    pub duplicate_entries_max: usize,
    /// How long a claim lasts before its owner renews it in front of the next record.
    pub claim_renew_ms: u64,
    /// After how many records a claim is renewed.
    pub claim_renew_records: u64,
    /// How far a sent time or position may run ahead of the clock before a conversation refuses more.
    pub ahead_ms_max: u64,
    /// To how many readers a message is fitted at most, so that each can be shown it directly.
    pub fitted_readers_max: usize,
    /// Publishes that one user may have waiting.
    pub user_waiting_max: usize,
    /// Bytes of publishes that one user may have waiting.
    pub user_waiting_bytes_max: usize,
    /// How long timelines keep entries.
    pub offline_retention_ms: u64,
    /// How long history keeps messages.
    pub history_retention_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 3600 * 1000;
        Self {
            message_bytes_max: 128 * 1024,
            group_members_max: 3_000,
            pull_entries_max: 200,
            pull_bytes_max: 5 * 1024 * 1024,
            history_page_default: 20,
            history_page_max: 100,
            duplicate_window_ms: 3600 * 1000,
            duplicate_entries_max: 262_144,
            claim_renew_ms: 600 * 1000,
            claim_renew_records: 100_000,
            ahead_ms_max: 2_000,
            fitted_readers_max: 64,
            user_waiting_max: 1_024,
            user_waiting_bytes_max: 32 * 1024 * 1024,
            offline_retention_ms: 7 * DAY_MS,
            history_retention_ms: 180 * DAY_MS,
        }
    }
}
