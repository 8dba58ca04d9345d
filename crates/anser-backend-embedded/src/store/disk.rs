//! The database below the store: its tables, and the flushes that change them.
//!
//! A flush is one atomic, synced batch. It is synced because the database writes tables out by themselves: one that had got
//! ahead of the journal would, after a loss of power, hold rows that the marks beside it do not know of.
//!
//! Each flush also puts its number into every table. At a start the newest numbers of every table have to be without a hole,
//! and the same in all: the database drops a damaged part of its journal in silence, and this is where it shows.
//!
//! A database that could not write something, most often because the disk is full, takes no more writes. It is opened again
//! until that works; what was under way is written again.

mod chain;
mod opened;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use anser_backend::StoreError;
use anser_types::LogId;

use self::opened::Opened;
use super::error::{StoreOpenError, damaged};
use super::expiry::ExpiredBefore;
use super::format::identity;
use super::options::StoreOptions;

pub(super) use chain::CHAIN_PREFIX;
pub(super) use scan::Row;

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

/// Changes that become visible together. A row without a value is removed.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    pub(super) fn insert(&mut self, table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.rows.push((table, key.into(), Some(value)));
    }

    pub(super) fn remove(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.rows.push((table, key.into(), None));
    }
}

/// A database that may have to be opened again.
#[derive(Debug)]
pub(super) struct Disk {
    place: Place,
    /// Empty only while the database cannot be opened again.
    opened: RwLock<Option<Opened>>,
    is_broken: AtomicBool,
}

/// Where a database is, and how it is opened.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    options: StoreOptions,
    expiries: (ExpiredBefore, ExpiredBefore),
}

/// The database could not be opened again yet.
#[derive(Debug, thiserror::Error)]
#[error("the store's database is closed after a failed write")]
struct Closed;

impl Disk {
    /// Opens the database in the folder, or makes one. Checks that it belongs to the log and that no flush is missing.
    pub(super) fn open(
        path: &Path,
        options: &StoreOptions,
        log: LogId,
        expiries: (ExpiredBefore, ExpiredBefore),
    ) -> Result<Self, StoreOpenError> {
        let place = Place { path: path.to_owned(), options: *options, expiries };
        let opened = RwLock::new(Some(Opened::open(&place)?));
        let disk = Self { place, opened, is_broken: AtomicBool::new(false) };
        disk.check_log(log)?;
        Ok(disk)
    }

    fn check_log(&self, log: LogId) -> Result<(), StoreOpenError> {
        let path = || self.place.path.clone();
        let failed = |source: StoreError| StoreOpenError::Database { path: path(), source: source.into() };
        let known = self.get(Table::Meta, identity::LOG_KEY).map_err(failed)?;
        if let Some(bytes) = known {
            let found = identity::read_log(bytes).map_err(|error| failed(damaged("identity")(error)))?;
            if found != log {
                return Err(StoreOpenError::OtherLog { path: path(), found, asked: log });
            }
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.insert(Table::Meta, identity::LOG_KEY, identity::write_log(log));
        self.flush(&batch).map_err(failed)
    }

    fn with<T>(&self, work: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.opened.read() {
            Some(opened) => work(opened),
            None => Err(StoreError::Unavailable(Closed.into())),
        }
    }

    fn change(&self, work: impl FnOnce(&Opened) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let done = self.with(work);
        if done.is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Writes a flush, with its number. Durable and visible on return; on an error nobody knows, and the same rows have to be
    /// written again before any other flush.
    pub(super) fn flush(&self, batch: &Batch) -> Result<(), StoreError> {
        self.change(|opened| opened.flush(batch))
    }

    /// Writes rows that stand for themselves, whatever becomes of other ones. They survive a crash of the process on return.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.change(|opened| opened.write(batch))
    }

    /// Returns when everything that was written survives a loss of power.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.change(Opened::sync)
    }

    /// Opens the database again if a write has failed since it was opened. Waits for reads and writes under way.
    pub(super) fn mend(&self) -> Result<(), StoreError> {
        if !self.is_broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut opened = self.opened.write();
        // The old one has to be gone before its folder can be opened.
        *opened = None;
        *opened = Some(Opened::open(&self.place).map_err(|source| StoreError::Unavailable(source.into()))?);
        self.is_broken.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the database as one that has failed.
    #[cfg(test)]
    pub(super) fn fail(&self) {
        *self.opened.write() = None;
        self.is_broken.store(true, Ordering::Relaxed);
    }
}
