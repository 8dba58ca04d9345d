//! Why the segment log does not open, and why it stopped.

use std::io;
use std::path::PathBuf;

use anser_types::PartitionCount;

/// Why a log folder is not opened. Nothing in the folder was changed, unless the error says that a write failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused an operation.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is damaged in a way that no crash explains; acknowledged records may be lost. Somebody has to decide.
    #[error(
        "log file {} is damaged: {what}. Nothing was changed. Restore the data folder from a backup; without one, keep a copy of \
         it, check the disk, and start with an empty data folder",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and at which byte.
        what: String,
    },
    /// A file is missing.
    #[error(
        "log file {} is missing, though files around it are there. Nothing was changed. Put the file back, or restore the data folder \
         from a backup",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The log was made with another number of partitions, and that number never changes.
    #[error("the log in {} was made with {found} partitions and cannot be used with {asked}", path.display())]
    Partitions {
        /// The folder.
        path: PathBuf,
        /// What it was made with.
        found: u16,
        /// What was asked for.
        asked: u16,
    },
    /// No random number for the id of a new log.
    #[error("cannot draw an id for a new log: {0}")]
    NoRandom(String),
}

impl OpenError {
    pub(super) fn partitions(path: PathBuf, found: PartitionCount, asked: PartitionCount) -> Self {
        Self::Partitions { path, found: found.get(), asked: asked.get() }
    }
}

/// What made the log stop for good. It refuses everything from then on; the node has to stop, and a new start finds out
/// what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {what}")]
pub struct LogFailure {
    pub(super) doing: &'static str,
    pub(super) what: String,
}

/// Damage that a reader met in bytes that had been durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log file {} is damaged at byte {position}", path.display())]
pub(super) struct DamagedAt {
    pub(super) path: PathBuf,
    pub(super) position: u64,
}

/// Why a segment file makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the segment is damaged: {0}")]
pub struct InspectError(pub(super) String);
