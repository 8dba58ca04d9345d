//! An open database, and how its tables are set up.

use std::sync::Arc;

use fjall::compaction::filter::Factory;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode,
};
use parking_lot::Mutex;

use anser_backend::StoreError;

use super::chain::Chain;
use super::{Batch, Place, Table};
use crate::store::error::{StoreOpenError, from_database};

/// Tables are written out early: chunks lie in files of their own anyway, and the others are small.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// What a start has to read again at most, which bounds how long it takes.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
const FILES_MAX: usize = 512;

const TABLES: [(Table, &str); 7] = [
    (Table::Meta, "meta"),
    (Table::Timelines, "timelines"),
    (Table::Users, "users"),
    (Table::Lifts, "lifts"),
    (Table::History, "history"),
    (Table::Archives, "archives"),
    (Table::Directory, "directory"),
];

/// An open database.
pub(super) struct Opened {
    database: Database,
    /// In the order of [`TABLES`].
    tables: Vec<Keyspace>,
    chain: Mutex<Chain>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Opened {
    /// Opens the database, or makes one. Checks that no flush is missing.
    pub(super) fn open(place: &Place) -> Result<Self, StoreOpenError> {
        let failed =
            |source: fjall::Error| StoreOpenError::Database { path: place.path.clone(), source: source.into() };
        let database = open_database(place).map_err(failed)?;
        let tables = TABLES.iter().map(|(table, name)| database.keyspace(name, || table_options(*table)));
        let tables = tables.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let chain = Chain::check(&tables).map_err(|what| what.into_open_error(&place.path))?;
        Ok(Self { database, tables, chain: Mutex::new(chain) })
    }

    pub(super) fn table(&self, table: Table) -> &Keyspace {
        // The enumeration numbers the tables in the order of the list that made this one.
        &self.tables[table as usize]
    }

    fn batch(&self, batch: &Batch, mode: PersistMode) -> OwnedWriteBatch {
        let mut writes = self.database.batch().durability(Some(mode));
        for (table, key, value) in &batch.rows {
            match value {
                Some(value) => writes.insert(self.table(*table), key.as_slice(), value.as_slice()),
                None => writes.remove(self.table(*table), key.as_slice()),
            }
        }
        writes
    }

    pub(super) fn flush(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writes = self.batch(batch, PersistMode::SyncData);
        let mut chain = self.chain.lock();
        for table in &self.tables {
            chain.add_link(&mut writes, table);
        }
        writes.commit().map_err(from_database)?;
        chain.advance();
        Ok(())
    }

    pub(super) fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.batch(batch, PersistMode::Buffer).commit().map_err(from_database)
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncData).map_err(from_database)
    }
}

fn open_database(place: &Place) -> fjall::Result<Database> {
    let (timelines, history) = place.expiries.clone();
    let filters = move |table: &str| -> Option<Arc<dyn Factory>> {
        match table {
            "timelines" => Some(Arc::new(timelines.clone())),
            "history" => Some(Arc::new(history.clone())),
            _ => None,
        }
    };
    Database::builder(&place.path)
        .cache_size(place.options.cache_bytes)
        .journal_compression(CompressionType::None)
        .max_journaling_size(JOURNAL_BYTES)
        .max_cached_files(Some(FILES_MAX))
        .worker_threads(1)
        .with_compaction_filter_factories(Arc::new(filters))
        .open()
}

fn table_options(table: Table) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    let chunks = |compression| Some(KvSeparationOptions::default().compression(compression));
    match table {
        // Timelines are short-lived: what compression would save on disk is not worth its time.
        Table::Timelines => options.with_kv_separation(chunks(CompressionType::None)),
        Table::History => options.with_kv_separation(chunks(CompressionType::Lz4)),
        _ => options,
    }
}
