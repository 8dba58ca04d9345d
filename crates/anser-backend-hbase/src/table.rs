//! The calls that the adapter makes, on rows of its two tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_backend::StoreError;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hbase_thrift::hbase::{BatchMutation, Mutation, TCell, THbaseSyncClient, TRowResult, TScan};

use crate::HbaseConfig;
use crate::format::message_row::Range;
use crate::gateway::{GatewayError, Gateways, Lane};

mod batch;

pub(crate) use self::batch::{RowWrite, split};

/// How many rows a scan fetches at once.
const SCAN_ROWS_MAX: usize = 1000;
/// How many calls of one write are under way at once; more would only wait in the queue.
const PARALLEL: usize = 8;

/// A row as it was read: its key, and its values by column name.
pub(crate) type Row = (Vec<u8>, Columns);
/// Values by column name.
pub(crate) type Columns = BTreeMap<Vec<u8>, Vec<u8>>;

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// What expires.
    Messages,
    /// What stays.
    Views,
}

/// Both tables of a cluster.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) gateways: Gateways,
    messages: Arc<[u8]>,
    views: Arc<[u8]>,
    rows_max: usize,
    pub(crate) bytes_max: usize,
    rows_written: AtomicU64,
}

impl Table {
    pub(crate) const ALL: [Self; 2] = [Self::Messages, Self::Views];

    /// Its name in HBase.
    pub(crate) fn name(self, prefix: &str) -> String {
        match self {
            Self::Messages => format!("{prefix}_messages"),
            Self::Views => format!("{prefix}_views"),
        }
    }

    /// Its only column family.
    pub(crate) const fn family(self) -> &'static str {
        match self {
            Self::Messages => "m",
            Self::Views => "v",
        }
    }
}

impl Tables {
    pub(crate) fn start(config: &HbaseConfig) -> std::io::Result<Self> {
        let name = |table: Table| Arc::from(table.name(&config.table_prefix).into_bytes());
        Ok(Self {
            gateways: Gateways::start(config)?,
            messages: name(Table::Messages),
            views: name(Table::Views),
            rows_max: config.batch_rows_max,
            bytes_max: config.batch_bytes_max,
            rows_written: AtomicU64::new(0),
        })
    }

    /// How many rows were written so far, those counted each time that were written again.
    pub(crate) fn rows_written(&self) -> u64 {
        self.rows_written.load(Ordering::Relaxed)
    }

    fn name(&self, table: Table) -> Arc<[u8]> {
        Arc::clone(match table {
            Table::Messages => &self.messages,
            Table::Views => &self.views,
        })
    }

    /// One value.
    pub(crate) async fn get(
        &self,
        table: Table,
        row: Vec<u8>,
        column: &'static [u8],
    ) -> Result<Option<Vec<u8>>, GatewayError> {
        let mut columns = self.get_columns(table, row, vec![column.to_vec()]).await?;
        Ok(columns.remove(column))
    }

    /// Some values of a row.
    pub(crate) async fn get_columns(
        &self,
        table: Table,
        row: Vec<u8>,
        columns: Vec<Vec<u8>>,
    ) -> Result<Columns, GatewayError> {
        let name = self.name(table);
        let bytes = row.len() + columns.iter().map(Vec::len).sum::<usize>();
        let call = self.gateways.call(Lane::Read, bytes, move |connection| {
            connection.client.get_row_with_columns(name.to_vec(), row.clone(), columns.clone(), BTreeMap::new())
        });
        Ok(only_row(call.await?))
    }

    /// All values of a row.
    pub(crate) async fn get_row(&self, table: Table, row: Vec<u8>) -> Result<Columns, GatewayError> {
        let name = self.name(table);
        let call = self.gateways.call(Lane::Read, row.len(), move |connection| {
            connection.client.get_row(name.to_vec(), row.clone(), BTreeMap::new())
        });
        Ok(only_row(call.await?))
    }

    /// One column of many rows, by row key; rows without it are not among them.
    pub(crate) async fn get_rows(
        &self,
        table: Table,
        rows: Vec<Vec<u8>>,
        column: &'static [u8],
    ) -> Result<HashMap<Vec<u8>, Vec<u8>>, GatewayError> {
        let calls = rows.chunks(self.rows_max).map(<[_]>::to_vec).collect::<Vec<_>>();
        let found: Vec<_> = stream::iter(calls)
            .map(|rows| {
                let name = self.name(table);
                let bytes = rows.iter().map(Vec::len).sum();
                self.gateways.call(Lane::Read, bytes, move |connection| {
                    let columns = vec![column.to_vec()];
                    connection.client.get_rows_with_columns(name.to_vec(), rows.clone(), columns, BTreeMap::new())
                })
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let rows = found.into_iter().flatten().map(row);
        Ok(rows.filter_map(|(row, mut columns)| columns.remove(column).map(|value| (row, value))).collect())
    }

    /// Rows of a range that have a column, until there are `most`.
    pub(crate) async fn scan(
        &self,
        table: Table,
        range: Range,
        column: &'static [u8],
        most: usize,
    ) -> Result<Vec<Row>, GatewayError> {
        let name = self.name(table);
        let bytes = range.start.len() + range.stop.len();
        let call = self.gateways.call(Lane::Read, bytes, move |connection| {
            let scan = TScan {
                start_row: Some(range.start.clone()),
                stop_row: Some(range.stop.clone()),
                caching: Some(as_count(most)),
                reversed: Some(range.is_reversed),
                cache_blocks: Some(true),
                timestamp: None,
                columns: None,
                filter_string: None,
                batch_size: None,
                sort_columns: None,
            };
            let scanner = connection.client.scanner_open_with_scan(name.to_vec(), scan, BTreeMap::new())?;
            connection.scanner = Some(scanner);
            let mut found = Vec::new();
            while found.len() < most {
                let wanted = (most - found.len()).min(SCAN_ROWS_MAX);
                let rows = connection.client.scanner_get_list(scanner, as_count(wanted))?;
                let is_end = rows.len() < wanted;
                found.extend(rows.into_iter().map(row).filter(|(_, columns)| columns.contains_key(column)));
                if is_end {
                    break;
                }
            }
            Ok(found)
        });
        call.await
    }

    /// Writes rows, in several calls at once and in no order. With `at`, that is the timestamp of all of it: of two values of a
    /// cell the one with the higher timestamp stays.
    pub(crate) async fn write(&self, table: Table, rows: Vec<RowWrite>, at: Option<i64>) -> Result<(), GatewayError> {
        self.rows_written.fetch_add(u64::try_from(rows.len()).unwrap_or_default(), Ordering::Relaxed);
        let batches = batch::batches(rows, self.rows_max, self.bytes_max);
        stream::iter(batches)
            .map(|rows| {
                let name = self.name(table);
                let bytes = rows.iter().map(RowWrite::bytes).sum();
                self.gateways.call(Lane::Write, bytes, move |connection| {
                    let (name, rows) = (name.to_vec(), rows.iter().map(mutations).collect());
                    match at {
                        Some(at) => connection.client.mutate_rows_ts(name, rows, at, BTreeMap::new()),
                        None => connection.client.mutate_rows(name, rows, BTreeMap::new()),
                    }
                })
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    /// Writes a value where another one stands, or none. Returns whether it did.
    pub(crate) async fn put_if(
        &self,
        table: Table,
        row: &[u8],
        column: &'static [u8],
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, GatewayError> {
        let (name, place) = (self.name(table), row.to_vec());
        // An empty value stands for no value.
        let expected = expected.unwrap_or_default();
        let call = self.gateways.call(Lane::Write, value.len(), move |connection| {
            let put = mutation(column, Some(&value));
            let (name, place, expected) = (name.to_vec(), place.clone(), expected.clone());
            connection.client.check_and_put(name, place, column.to_vec(), expected, put, BTreeMap::new())
        });
        call.await
    }

    /// Writes a value where none is, and says what stands there now.
    pub(crate) async fn put_if_absent(
        &self,
        table: Table,
        row: &[u8],
        column: &'static [u8],
        value: Vec<u8>,
    ) -> Result<Vec<u8>, GatewayError> {
        if self.put_if(table, row, column, None, value.clone()).await? {
            return Ok(value);
        }
        Ok(self.get(table, row.to_vec(), column).await?.unwrap_or(value))
    }
}

/// Retryable, whatever it was: the tables are untouched or may be written again.
impl From<GatewayError> for StoreError {
    fn from(error: GatewayError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A log offset or a time as the timestamp of a cell. The largest number is none: HBase replaces it by the time of day.
pub(crate) fn cell_time(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX).min(i64::MAX - 1)
}

fn as_count(count: usize) -> i32 {
    i32::try_from(count.clamp(1, SCAN_ROWS_MAX)).unwrap_or(1)
}

fn mutations(row: &RowWrite) -> BatchMutation {
    let cells = row.cells.iter().map(|(column, value)| mutation(column, value.as_deref()));
    BatchMutation { row: Some(row.row.clone()), mutations: Some(cells.collect()) }
}

fn mutation(column: &[u8], value: Option<&[u8]>) -> Mutation {
    Mutation {
        is_delete: Some(value.is_none()),
        column: Some(column.to_vec()),
        value: value.map(<[u8]>::to_vec),
        write_to_w_a_l: Some(true),
    }
}

fn only_row(rows: Vec<TRowResult>) -> Columns {
    rows.into_iter().next().map(|result| row(result).1).unwrap_or_default()
}

fn row(result: TRowResult) -> Row {
    let value = |cell: TCell| cell.value.unwrap_or_default();
    let columns = result.columns.unwrap_or_default();
    (result.row.unwrap_or_default(), columns.into_iter().map(|(column, cell)| (column, value(cell))).collect())
}
