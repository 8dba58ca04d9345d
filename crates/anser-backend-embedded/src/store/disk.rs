//! The database below the store: its tables, and the flushes that change them.
//!
//! A flush is one atomic, synced batch. It is synced because the database writes tables out by themselves: one that had got
//! ahead of the journal would, after a loss of power, hold rows that the marks beside it do not know of.
//!
//! Each flush also puts its number into every table. At a start the newest numbers of every table have to be without a hole,
//! and the same in all: the database drops a damaged part of its journal in silence, and this is where it shows.

mod chain;
mod scan;

use std::path::Path;
use std::sync::Arc;

use fjall::compaction::filter::Factory;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode};

use anser_backend::StoreError;
use anser_types::LogId;

use super::error::{StoreOpenError, damaged, from_database};
use super::expiry::ExpiredBefore;
use super::format::identity;
use super::options::StoreOptions;

pub(super) use chain::CHAIN_PREFIX;
pub(super) use scan::Row;

/// Tables with chunks are written out often: their rows lie in files of their own, so what is left is small.
const CHUNK_MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// What a start has to read again at most, which bounds how long it takes.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
const FILES_MAX: usize = 512;

/// One table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Table {
    /// Marks, positions, identity.
    Meta,
    /// Chunks of timelines.
    Timelines,
    /// Heads, list rows and cursors of users.
    Users,
    /// Lifts that no flush has taken in.
    Lifts,
    /// Chunks of history.
    History,
    /// Heads, cells and hides of conversations.
    Archives,
    /// Groups, blocks, users, settings.
    Directory,
}

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
pub(super) struct Disk {
    database: Database,
    /// In the order of [`TABLES`].
    tables: Vec<Keyspace>,
    chain: parking_lot::Mutex<chain::Chain>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

/// Changes that become visible and durable together.
pub(super) struct Batch<'a> {
    disk: &'a Disk,
    writes: OwnedWriteBatch,
}

impl Batch<'_> {
    pub(super) fn insert(&mut self, table: Table, key: impl Into<fjall::UserKey>, value: Vec<u8>) {
        self.writes.insert(self.disk.table(table), key, value);
    }

    pub(super) fn remove(&mut self, table: Table, key: impl Into<fjall::UserKey>) {
        self.writes.remove(self.disk.table(table), key);
    }
}

impl Disk {
    /// Opens the database in the folder, or makes one. Checks that it belongs to the log and that no flush is missing.
    pub(super) fn open(
        path: &Path,
        options: &StoreOptions,
        log: LogId,
        expiries: (ExpiredBefore, ExpiredBefore),
    ) -> Result<Self, StoreOpenError> {
        let failed = |source: fjall::Error| StoreOpenError::Database { path: path.to_owned(), source: source.into() };
        let database = open_database(path, options, expiries).map_err(failed)?;
        let tables = TABLES.iter().map(|(table, name)| database.keyspace(name, || table_options(*table)));
        let tables = tables.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let chain = chain::Chain::check(&tables).map_err(|what| what.into_open_error(path))?;
        let disk = Self { database, tables, chain: parking_lot::Mutex::new(chain) };
        disk.check_log(path, log)?;
        Ok(disk)
    }

    fn check_log(&self, path: &Path, log: LogId) -> Result<(), StoreOpenError> {
        let failed = |source: StoreError| StoreOpenError::Database { path: path.to_owned(), source: source.into() };
        let known = self.get(Table::Meta, identity::LOG_KEY).map_err(failed)?;
        if let Some(bytes) = known {
            let found = identity::read_log(bytes).map_err(|error| failed(damaged("identity")(error)))?;
            if found != log {
                return Err(StoreOpenError::OtherLog { path: path.to_owned(), found, asked: log });
            }
            return Ok(());
        }
        let mut batch = self.batch();
        batch.insert(Table::Meta, identity::LOG_KEY, identity::write_log(log));
        self.flush(batch).map_err(failed)
    }

    fn table(&self, table: Table) -> &Keyspace {
        // The enumeration numbers the tables in the order of the list that made this one.
        &self.tables[table as usize]
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { disk: self, writes: self.database.batch().durability(Some(PersistMode::SyncData)) }
    }

    /// Writes a flush, with its number. Durable and visible on return; on an error nobody knows, and the same rows have to be
    /// written again before anything else.
    pub(super) fn flush(&self, mut batch: Batch<'_>) -> Result<(), StoreError> {
        let mut chain = self.chain.lock();
        for table in &self.tables {
            chain.add_link(&mut batch.writes, table);
        }
        batch.writes.commit().map_err(from_database)?;
        chain.advance();
        Ok(())
    }

    /// Writes rows that stand for themselves, whatever becomes of other ones. They survive a crash of the process on return.
    pub(super) fn write(&self, batch: Batch<'_>) -> Result<(), StoreError> {
        batch.writes.durability(Some(PersistMode::Buffer)).commit().map_err(from_database)
    }

    /// Returns when everything that was written survives a loss of power.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncData).map_err(from_database)
    }
}

fn open_database(
    path: &Path,
    options: &StoreOptions,
    (timelines, history): (ExpiredBefore, ExpiredBefore),
) -> fjall::Result<Database> {
    let filters = move |table: &str| -> Option<Arc<dyn Factory>> {
        match table {
            "timelines" => Some(Arc::new(timelines.clone())),
            "history" => Some(Arc::new(history.clone())),
            _ => None,
        }
    };
    Database::builder(path)
        .cache_size(options.cache_bytes)
        .journal_compression(CompressionType::None)
        .max_journaling_size(JOURNAL_BYTES)
        .max_cached_files(Some(FILES_MAX))
        .worker_threads(1)
        .with_compaction_filter_factories(Arc::new(filters))
        .open()
}

fn table_options(table: Table) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default();
    let chunks = |compression| Some(KvSeparationOptions::default().compression(compression));
    match table {
        // Timelines are short-lived: what compression would save on disk is not worth its time.
        Table::Timelines => {
            options.max_memtable_size(CHUNK_MEMTABLE_BYTES).with_kv_separation(chunks(CompressionType::None))
        }
        Table::History => options.max_memtable_size(CHUNK_MEMTABLE_BYTES).with_kv_separation(chunks(CompressionType::Lz4)),
        _ => options.max_memtable_size(CHUNK_MEMTABLE_BYTES),
    }
}
