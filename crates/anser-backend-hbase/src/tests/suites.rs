//! The suites of the ports against a real HBase.

use std::sync::Arc;

use anser_backend::conformance::directory::DirectoryFixture;
use anser_backend::conformance::history::HistoryFixture;
use anser_backend::conformance::rebuild::{Anew, RebuildFixture};
use anser_backend::{BoxFuture, Directory, History};

use super::real::RealTables;

macro_rules! fixture {
    ($fixture:ident, $port:ident) => {
        impl $fixture for RealTables {
            fn create(&self) -> BoxFuture<'_, Arc<dyn $port>> {
                Box::pin(async move { Self::create(self).await as Arc<dyn $port> })
            }

            fn settle(&self, old: Arc<dyn $port>) -> BoxFuture<'_, Arc<dyn $port>> {
                drop(old);
                Box::pin(async move { self.open().await as Arc<dyn $port> })
            }
        }
    };
}

fixture!(HistoryFixture, History);
fixture!(DirectoryFixture, Directory);

impl RebuildFixture for RealTables {
    fn create(&self) -> BoxFuture<'_, Anew> {
        Box::pin(async move {
            let store = Self::create(self).await;
            Anew { history: Arc::clone(&store) as _, directory: Arc::clone(&store) as _, rebuilds: store }
        })
    }
}

/// The tables of one case; a case ends at once where there is no HBase.
macro_rules! tables {
    () => {
        match RealTables::find() {
            Some(tables) => tables,
            None => return,
        }
    };
}

mod history {
    use super::*;
    anser_backend::history_suite!(tables!());
}

mod directory {
    use super::*;
    anser_backend::directory_suite!(tables!());
}

mod rebuild {
    use super::*;
    anser_backend::rebuild_suite!(tables!());
}
