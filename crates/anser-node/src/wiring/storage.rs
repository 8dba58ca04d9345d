//! The embedded backends of a node: the segment log and the store beside it, in one data folder.

use std::sync::Arc;

use anser_backend_embedded::{FolderLock, SegmentLog};
use anser_message::Backends;
use anser_runtime::Clock;
use anser_types::PartitionCount;

use crate::config::NodeConfig;
use crate::ServeError;

/// The log and the store of this run.
#[derive(Debug)]
pub(crate) struct Storage {
    log: Arc<SegmentLog>,
    /// What the message role is given.
    pub(crate) backends: Backends,
}

/// Opens both. Reads what the last run left; damage is refused with what to do.
pub(crate) async fn open(config: &NodeConfig, lock: Arc<FolderLock>, clock: &Clock) -> Result<Storage, ServeError> {
    let now = clock.clone();
    let settings = config.log;
    let opening = move || SegmentLog::open(lock, PartitionCount::EMBEDDED, settings, Arc::new(move || now.now()));
    let log = Arc::new(tokio::task::spawn_blocking(opening).await.map_err(|error| ServeError::Store(error.into()))??);
    let backends = Backends {
        log: Arc::clone(&log) as Arc<dyn anser_backend::MessageLog>,
        mailbox: Arc::new(anser_backend::memory::MemoryMailbox::new()),
        history: Arc::new(anser_backend::memory::MemoryHistory::new()),
        directory: Arc::new(anser_backend::memory::MemoryDirectory::new()),
    };
    Ok(Storage { log, backends })
}

impl Storage {
    /// Returns when the storage has failed for good. Cancel-safe.
    pub(crate) async fn failed(&self) {
        let failure = self.log.failed().await;
        tracing::error!(error = &failure as &dyn std::error::Error, "the log has failed");
    }

    /// Writes what is to be written and closes the files.
    pub(crate) async fn close(&self) {
        self.log.close().await;
    }
}
