//! The suites of the three ports.

use std::sync::Arc;

use anser_backend::conformance::directory::DirectoryFixture;
use anser_backend::conformance::history::HistoryFixture;
use anser_backend::conformance::mailbox::MailboxFixture;
use anser_backend::{BoxFuture, Directory, History, Mailbox};
use anser_types::LogId;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::store::{EmbeddedStore, StoreOptions};

/// A store in a folder of its own.
pub(super) struct Fixture {
    folder: TempDir,
    store: Mutex<Option<Arc<EmbeddedStore>>>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), store: Mutex::new(None) }
    }

    fn open(&self) -> Arc<EmbeddedStore> {
        let store = EmbeddedStore::open(self.folder.path(), StoreOptions::default(), LogId(7)).unwrap();
        *self.store.lock() = Some(Arc::clone(&store));
        store
    }

    /// Closes the store and opens it again. The caller holds no other handle.
    fn reopen(&self) -> Arc<EmbeddedStore> {
        let store = self.store.lock().take().unwrap();
        store.close().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "nobody else uses the store");
        drop(store);
        self.open()
    }
}

macro_rules! fixture {
    ($fixture:ident, $port:ident $(, $more:item)?) => {
        impl $fixture for Fixture {
            fn create(&self) -> BoxFuture<'_, Arc<dyn $port>> {
                Box::pin(std::future::ready(self.open() as Arc<dyn $port>))
            }

            fn settle(&self, old: Arc<dyn $port>) -> BoxFuture<'_, Arc<dyn $port>> {
                drop(old);
                Box::pin(std::future::ready(self.reopen() as Arc<dyn $port>))
            }

            $($more)?
        }
    };
}

fixture!(
    MailboxFixture,
    Mailbox,
    fn keeps_presence(&self) -> bool {
        false
    }
);
fixture!(HistoryFixture, History);
fixture!(DirectoryFixture, Directory);

mod mailbox {
    use super::*;
    anser_backend::mailbox_suite!(Fixture::new());
}

mod history {
    use super::*;
    anser_backend::history_suite!(Fixture::new());
}

mod directory {
    use super::*;
    anser_backend::directory_suite!(Fixture::new());
}
