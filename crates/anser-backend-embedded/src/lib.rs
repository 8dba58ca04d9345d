//! The backends of a single node: everything it keeps lies in one data folder, used by one process.

mod lock;
mod log;

pub use lock::{FolderLock, LockError};
pub use log::{LogConfig, LogFailure, Now, OpenError, SegmentLog, Trimmed};
