//! The embedded backends of a node: the segment log and the store beside it, in one data folder.

use std::sync::Arc;

use anser_backend::{Directory, History, Mailbox, MessageLog};
use anser_backend_embedded::{EmbeddedStore, FolderLock, SegmentLog};
use anser_message::Backends;
use anser_runtime::Clock;
use anser_types::PartitionCount;

use crate::ServeError;
use crate::config::NodeConfig;

/// The folder of the store within a data folder.
const STORE: &str = "store";

/// The log and the store of this run.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) log: Arc<SegmentLog>,
    store: Arc<EmbeddedStore>,
    /// What the message role is given.
    pub(crate) backends: Backends,
}

/// Opens both. Reads what the last run left; damage is refused with what to do.
pub(crate) async fn open(config: &NodeConfig, lock: Arc<FolderLock>, clock: &Clock) -> Result<Storage, ServeError> {
    let now = clock.clone();
    let (settings, options) = (config.log, config.store.into());
    let folder = config.data.join(STORE);
    let opening = move || {
        let log = SegmentLog::open(lock, PartitionCount::EMBEDDED, settings, Arc::new(move || now.now()))?;
        let store = EmbeddedStore::open(&folder, options, log.id())?;
        Ok::<_, ServeError>((Arc::new(log), store))
    };
    let (log, store) = tokio::task::spawn_blocking(opening).await.map_err(|_| ServeError::OpenEnded)??;
    let backends = Backends {
        log: Arc::clone(&log) as Arc<dyn MessageLog>,
        mailbox: Arc::clone(&store) as Arc<dyn Mailbox>,
        history: Arc::clone(&store) as Arc<dyn History>,
        directory: Arc::clone(&store) as Arc<dyn Directory>,
        rebuilds: None,
    };
    Ok(Storage { log, store, backends })
}

impl Storage {
    /// Returns which part has failed for good, once one has. Cancel-safe.
    pub(crate) async fn failed(&self) -> &'static str {
        tokio::select! {
            failure = self.log.failed() => {
                tracing::error!(error = &failure as &dyn std::error::Error, "the log has failed");
                "log"
            }
            () = self.store.failed() => {
                tracing::error!("the store has failed, by a defect of its own");
                "store"
            }
        }
    }

    /// Writes what is to be written and closes the files. What the store cannot write, the next start makes from the log.
    pub(crate) async fn close(&self) {
        self.log.close().await;
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = &error as &dyn std::error::Error, "the store is not written"),
            Err(error) => tracing::error!(%error, "the store is not written"),
        }
    }
}
