//! The numbers of the flushes, one row of each in every table.

use std::path::Path;

use fjall::{Keyspace, OwnedWriteBatch};

use crate::store::error::StoreOpenError;

/// What the keys of numbers begin with. No key of app data does: those begin with a length of at most 256.
pub(in crate::store) const CHAIN_PREFIX: u8 = 0xff;
/// How many numbers a table keeps: a hole shows as long as it is not older than so many flushes, and a start reads them all.
const LINKS_KEPT: u64 = 10_000;

/// The number of the newest flush.
#[derive(Debug)]
pub(super) struct Chain {
    last: u64,
}

/// Why the numbers are not as they have to be.
pub(super) enum ChainError {
    Database(fjall::Error),
    Broken(String),
}

impl ChainError {
    pub(super) fn into_open_error(self, path: &Path) -> StoreOpenError {
        let path = path.to_owned();
        match self {
            Self::Database(source) => StoreOpenError::Database { path, source: source.into() },
            Self::Broken(what) => StoreOpenError::Damaged { path, what },
        }
    }
}

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![CHAIN_PREFIX];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

impl Chain {
    /// Reads the numbers of all tables and finds the newest flush.
    pub(super) fn check(tables: &[Keyspace]) -> Result<Self, ChainError> {
        let mut newest = None;
        for table in tables {
            let last = check_table(table)?;
            let first = *newest.get_or_insert(last);
            if first != last {
                let name = table.name();
                return Err(ChainError::Broken(format!("table {name:?} ends with flush {last}, another with {first}")));
            }
        }
        Ok(Self { last: newest.unwrap_or(0) })
    }

    /// Adds the number of the next flush to a batch.
    pub(super) fn add_link(&self, batch: &mut OwnedWriteBatch, table: &Keyspace) {
        let next = self.last + 1;
        batch.insert(table, key(next), [super::super::format::VERSION]);
        if let Some(old) = next.checked_sub(LINKS_KEPT) {
            batch.remove(table, key(old));
        }
    }

    /// That flush has been written.
    pub(super) const fn advance(&mut self) {
        self.last += 1;
    }
}

fn check_table(table: &Keyspace) -> Result<u64, ChainError> {
    let mut last: Option<u64> = None;
    for guard in table.prefix([CHAIN_PREFIX]) {
        let key = guard.key().map_err(ChainError::Database)?;
        let number = key.last_chunk::<8>().map(|number| u64::from_be_bytes(*number)).unwrap_or_default();
        if let Some(last) = last.filter(|last| last.checked_add(1) != Some(number)) {
            let name = table.name();
            return Err(ChainError::Broken(format!(
                "table {name:?} lacks what was written between flushes {last} and {number}"
            )));
        }
        last = Some(number);
    }
    Ok(last.unwrap_or(0))
}
