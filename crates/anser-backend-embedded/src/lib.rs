//! The backends of a single node: everything it keeps lies in one data folder, used by one process.

mod lock;
mod log;
mod store;

pub use lock::{FolderLock, LockError};
pub use log::{
    InspectError, LogConfig, LogFailure, Now, OpenError, SegmentLog, SegmentReport, Trimmed, inspect_segment,
};
pub use store::{EmbeddedStore, StoreOpenError, StoreOptions};
