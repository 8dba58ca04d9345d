//! What a terminal allows.

use anser_types::Limits;

/// The limits of one terminal. Sizes are bytes, times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalConfig {
    /// The largest message content. Default 128 KiB.
    pub message_bytes_max: usize,
    /// How many publishes may wait for their outcome. Default 4,096; more are refused as retryable.
    pub publishes_max: usize,
    /// How many publishes may come at once. Default 1,000.
    pub publish_burst: u32,
    /// How many publishes a second go on, once the burst is used up. Default 500; 0 refuses nothing.
    pub publish_rate: u32,
    /// How many queries may wait for their answer. Default 32; more are refused as retryable.
    pub questions_max: usize,
    /// After how long a query without an answer is refused. Default 25,000: clients give up after 30,000.
    pub question_timeout_ms: u64,
    /// After how long a direct push without a PUBACK is taken for lost, and a notice is sent. Default 10,000.
    pub direct_timeout_ms: u64,
    /// How many messages may wait for the push in flight. Beyond it one notice stands for all. Default 8; 0: none.
    pub direct_queue_max: usize,
    /// As `direct_timeout_ms`, where messages wait for the push. Default 1,000.
    pub direct_queue_ms: u64,
    /// After how long a notice that no pull followed is repeated; each time twice as long, five times. Also how long a new
    /// client may be there without a pull until it is looked after. Default 5,000.
    pub notice_repeat_ms: u64,
    /// After how long a failed pull is tried again for the client; each time twice as long, five times. Default 1,000.
    pub probe_ms: u64,
    /// The members that a directional message may name. Default 1,000.
    pub to_users_max: usize,
    /// The most rows of a conversation list. Default 1,000.
    pub conversations_max: usize,
    /// The rows of a conversation list where the client names no number. Default 300.
    pub conversations_default: usize,
    /// The changes that one query may ask for: messages to delete, histories to clean. Default 1,000.
    pub changes_max: usize,
}

impl Default for TerminalConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: Limits::default().message_bytes_max,
            publishes_max: 4_096,
            publish_burst: 1_000,
            publish_rate: 500,
            questions_max: 32,
            question_timeout_ms: 25_000,
            direct_timeout_ms: 10_000,
            direct_queue_max: 8,
            direct_queue_ms: 1_000,
            notice_repeat_ms: 5_000,
            probe_ms: 1_000,
            to_users_max: 1_000,
            conversations_max: 1_000,
            conversations_default: 300,
            changes_max: 1_000,
        }
    }
}
