//! What an operator can set for the message role.

use anser_backend::RECORD_BYTES_MAX;
use anser_types::Limits;
use serde::{Deserialize, Serialize};

/// Settings of the message role. Every size is in bytes, every time in the unit that its name says.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageConfig {
    /// The largest message content. Larger ones are refused with status 20115. At most 15728640 (15 MiB): a record of the log
    /// holds 16 MiB, with all that is around the content. With it raise `access.frame_bytes_max`, to at least 65536 more, and
    /// `api.body_bytes_max`: a client whose frame is larger is disconnected. Default 131072 (128 KiB). Since 0.1.
    pub message_bytes_max: usize,
    /// The most members of a group. Joins beyond it are refused. Default 3000. Since 0.1.
    pub group_members_max: usize,
    /// The most messages in one pull answer. Default 200. Since 0.1.
    pub pull_messages_max: usize,
    /// The most bytes in one pull answer or page of history; one message always fits. Default 5242880 (5 MiB). Since 0.1.
    pub pull_bytes_max: usize,
    /// The most messages in one page of history. Default 100. Since 0.1.
    pub history_page_max: usize,
    /// How long a resend of a message is recognised. Default 3600. Since 0.1.
    pub duplicate_window_seconds: u64,
    /// How many accepted messages each partition remembers for that, about 40 bytes each. Default 262144. Since 0.1.
    pub duplicate_entries_max: usize,
    /// After how many records of a partition its owner renews the claim in the log. Who begins to read in the middle of the log
    /// has to read up to the next claim. Default 100000. Since 0.1.
    pub claim_renew_records: u64,
    /// Publishes that one user may have waiting. Beyond it they are refused as retryable. Default 1024. Since 0.1.
    pub user_waiting_max: usize,
    /// The most readers to whom a message is fitted: it gets a time above all that they have, so that terminals which are up to
    /// date can be shown it directly. With more readers some pull it instead. 0 fits no message. Default 64. Since 0.1.
    pub fitted_readers_max: usize,
    /// How long messages wait for terminals that are away. At least 1; the same at all message nodes of a cluster, where the shortest
    /// counts. Default 7. Since 0.1.
    pub offline_days: u64,
    /// How long history keeps messages. Default 180. Of several nodes `cluster.hbase.history_ttl_days` says so instead. Since 0.1.
    pub history_days: u64,
    /// How far history and the directory may lag behind before a partition takes nothing in, so that the log loses nothing that
    /// they do not have. 0 means three quarters of the time for which the log keeps records; a log of our own keeps them until
    /// they are there, and needs no bound. Default 0. Since 0.2.
    pub archive_lag_hours_max: u64,
}

const HOUR_MS: u64 = 3600 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Default for MessageConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            message_bytes_max: limits.message_bytes_max,
            group_members_max: limits.group_members_max,
            pull_messages_max: limits.pull_entries_max,
            pull_bytes_max: limits.pull_bytes_max,
            history_page_max: limits.history_page_max,
            duplicate_window_seconds: limits.duplicate_window_ms / 1000,
            duplicate_entries_max: limits.duplicate_entries_max,
            claim_renew_records: limits.claim_renew_records,
            user_waiting_max: limits.user_waiting_max,
            fitted_readers_max: limits.fitted_readers_max,
            offline_days: limits.offline_retention_ms / DAY_MS,
            history_days: limits.history_retention_ms / DAY_MS,
            archive_lag_hours_max: 0,
        }
    }
}

/// What a record needs at most beside the content of a message: names, push texts, the named members of a group.
const AROUND_BYTES_MAX: usize = 1 << 20;
/// The largest content that fits into a record of every log.
const CONTENT_BYTES_MAX: usize = RECORD_BYTES_MAX - AROUND_BYTES_MAX;

impl MessageConfig {
    /// Whether a node can work with these settings; the text says which is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.message_bytes_max > CONTENT_BYTES_MAX {
            return Err(format!(
                "message_bytes_max: at most {CONTENT_BYTES_MAX}, or a message would not fit into a record of the log"
            ));
        }
        if self.offline_days == 0 {
            return Err("offline_days: at least 1, or messages would be gone before anybody reads them".to_owned());
        }
        Ok(())
    }

    /// How far archiving may lag, where the log keeps records for so long whatever becomes of them; `None` without a bound.
    pub(crate) fn archive_lag_ms_max(&self, retention_ms: Option<u64>) -> Option<u64> {
        let kept = retention_ms.map(|retention_ms| retention_ms / 4 * 3);
        match self.archive_lag_hours_max {
            0 => kept,
            hours => Some(hours.saturating_mul(HOUR_MS).min(kept.unwrap_or(u64::MAX))),
        }
    }

    /// The limits that the machines enforce.
    pub fn limits(&self) -> Limits {
        Limits {
            message_bytes_max: self.message_bytes_max,
            group_members_max: self.group_members_max,
            pull_entries_max: self.pull_messages_max.max(1),
            pull_bytes_max: self.pull_bytes_max,
            history_page_max: self.history_page_max.max(1),
            duplicate_window_ms: self.duplicate_window_seconds.saturating_mul(1000),
            duplicate_entries_max: self.duplicate_entries_max.max(1),
            claim_renew_records: self.claim_renew_records.max(1),
            user_waiting_max: self.user_waiting_max.max(1),
            fitted_readers_max: self.fitted_readers_max,
            offline_retention_ms: self.offline_days.saturating_mul(DAY_MS),
            history_retention_ms: self.history_days.saturating_mul(DAY_MS),
            ..Limits::default()
        }
    }
}
