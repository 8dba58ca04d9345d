//! The settings of the segment log.

/// How the segment log uses memory and disk. The defaults suit a single node; tests make everything small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How large a segment file becomes, in bytes: 4 KiB to 1 GiB, 64 MiB by default. Retention removes whole segments,
    /// so this is also the grain of retention.
    pub segment_bytes: u32,
    /// How large the first segment is, in bytes; each later one is twice as large, up to `segment_bytes`. 8 MiB by default.
    /// A segment's space is written ahead, so this is what an empty log takes.
    pub first_segment_bytes: u32,
    /// How many bytes of appends may wait or be under way, 64 MiB by default. More are refused as retryable.
    pub queue_bytes_max: usize,
    /// How many bytes one commit writes, 4 MiB by default. A single larger append is written alone.
    pub commit_bytes_max: usize,
    /// How many bytes of log lie between two places where reading can begin, 128 KiB by default.
    pub checkpoint_every_bytes: u32,
    /// How many bytes a sequential reader takes from a file at once, 1 MiB by default.
    pub read_chunk_bytes: usize,
    /// After a full disk: how many milliseconds appends are refused before the disk is tried again, 200 by default.
    pub full_retry_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        const MIB: u32 = 1024 * 1024;
        Self {
            segment_bytes: 64 * MIB,
            first_segment_bytes: 8 * MIB,
            queue_bytes_max: 64 << 20,
            commit_bytes_max: 4 << 20,
            checkpoint_every_bytes: 128 * 1024,
            read_chunk_bytes: 1 << 20,
            full_retry_ms: 200,
        }
    }
}

impl LogConfig {
    /// How large the segment with this number is to become.
    pub(super) fn segment_bytes_of(&self, number: u64) -> u32 {
        let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let largest = self.segment_bytes.clamp(4096, 1 << 30);
        self.first_segment_bytes.max(1).saturating_mul(factor).min(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_double_until_they_have_their_full_size() {
        let config = LogConfig::default();
        let sizes = [1, 2, 3, 4, 5, 33, u64::MAX].map(|number| config.segment_bytes_of(number) >> 20);
        assert_eq!(sizes, [8, 16, 32, 64, 64, 64, 64]);
    }
}
