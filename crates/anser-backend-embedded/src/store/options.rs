//! How the embedded store is set up.

use std::time::Duration;

/// Sizes and intervals of an [`EmbeddedStore`](super::EmbeddedStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// How long changes are collected before they are written out together. Longer means less work on disk and more to replay
    /// after a crash.
    pub flush_interval: Duration,
    /// Changes of so many bytes are written out at once, without waiting for the interval.
    pub flush_bytes: usize,
    /// Changes of so many bytes make whoever brings more wait until some are written.
    pub dirty_bytes_max: usize,
    /// What is on disk already is kept in memory up to so many bytes, so that recent entries are read without the disk.
    pub memory_bytes_max: usize,
    /// The cache of the database below for what is read from disk, in bytes.
    pub cache_bytes: u64,
    /// How many reads may go to the disk at once; others wait for their turn.
    pub disk_reads_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            flush_interval: Duration::from_secs(1),
            flush_bytes: 16 * MIB,
            dirty_bytes_max: 96 * MIB,
            memory_bytes_max: 256 * MIB,
            cache_bytes: 32 * 1024 * 1024,
            disk_reads_max: 8,
        }
    }
}
