//! Reads: single rows, and rows in the order of their keys.

use std::ops::Bound;

use bytes::Bytes;
use fjall::{Guard, UserValue};

use anser_backend::StoreError;

use super::{Disk, Table};
use crate::store::error::from_database;

/// A row, shared with the database's cache.
pub(in crate::store) struct Row {
    pub(in crate::store) key: Bytes,
    pub(in crate::store) value: Bytes,
}

fn shared(bytes: UserValue) -> Bytes {
    Bytes::from_owner(bytes)
}

fn row(guard: Guard) -> Result<Row, StoreError> {
    let (key, value) = guard.into_inner().map_err(from_database)?;
    Ok(Row { key: shared(key), value: shared(value) })
}

/// The rows, or the error alone.
fn one_or_all<I: Iterator<Item = Result<Row, StoreError>>>(
    rows: Result<I, StoreError>,
) -> impl Iterator<Item = Result<Row, StoreError>> + use<I> {
    let (rows, error) = rows.map_or_else(|error| (None, Some(Err(error))), |rows| (Some(rows), None));
    error.into_iter().chain(rows.into_iter().flatten())
}

/// The first key that does not begin with `prefix`, if there is any.
fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

impl Disk {
    /// The value of a key.
    pub(in crate::store) fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, StoreError> {
        self.with(|opened| Ok(opened.table(table).get(key).map_err(from_database)?.map(shared)))
    }

    /// All rows whose keys begin with `prefix`, in order.
    pub(in crate::store) fn prefix(
        &self,
        table: Table,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<Row, StoreError>> + use<> {
        self.range(table, (Bound::Included(prefix.to_vec()), after_prefix(prefix)))
    }

    /// Those of them whose keys are at or after `from`.
    pub(in crate::store) fn prefix_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: Bound<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Row, StoreError>> + use<> {
        self.range(table, (from, after_prefix(prefix)))
    }

    /// Those of them whose keys are at or before `to`, in reverse order.
    pub(in crate::store) fn prefix_back_from(
        &self,
        table: Table,
        prefix: &[u8],
        to: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Row, StoreError>> + use<> {
        let end = to.map_or_else(|| after_prefix(prefix), Bound::Included);
        let rows = self.with(|opened| Ok(opened.table(table).range((Bound::Included(prefix.to_vec()), end))));
        one_or_all(rows.map(|rows| rows.rev().map(row)))
    }

    fn range(
        &self,
        table: Table,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> impl Iterator<Item = Result<Row, StoreError>> + use<> {
        let rows = self.with(|opened| Ok(opened.table(table).range::<Vec<u8>, _>(range)));
        one_or_all(rows.map(|rows| rows.map(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(after_prefix(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), Bound::Unbounded);
    }
}
