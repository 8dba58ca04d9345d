//! A stand-in for HBase: tables in memory, with its rules of timestamps, and faults on demand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use hbase_thrift::hbase::{BatchMutation, ColumnDescriptor, IOError, Mutation, TCell, TRowResult, TScan};
use parking_lot::{Condvar, Mutex};

type Bytes = Vec<u8>;
type Rows = BTreeMap<Bytes, BTreeMap<Bytes, Cell>>;

/// What happens to a call that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is applied and answered.
    Fine,
    /// It is applied, and the connection ends before the answer.
    LoseAnswer,
    /// The connection ends before it is applied.
    LoseCall,
    /// The first half of its rows is applied, then HBase says that it failed.
    Half,
    /// The connection ends, and it is applied when [`FakeHbase::apply_late`] says so.
    Late,
    /// It is applied, and nothing comes back until [`FakeHbase::speak`].
    Silent,
}

/// Tables that several gateways share.
#[derive(Clone, Default)]
pub(super) struct FakeHbase(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    spoken: Condvar,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<Bytes, (Vec<ColumnDescriptor>, Rows)>,
    scanners: HashMap<i32, VecDeque<TRowResult>>,
    fates: VecDeque<Fate>,
    late: Vec<(Bytes, Vec<BatchMutation>, Option<i64>)>,
    silent: usize,
    opened: i32,
    clock: i64,
}

/// Of several writes the one with the highest timestamp is seen, unless a deletion at that time or later hides it.
#[derive(Default)]
struct Cell {
    put: Option<(i64, Bytes)>,
    deleted_to: Option<i64>,
}

/// The end of a connection without an answer.
pub(super) struct Hangup;

fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new(Hangup))
}

fn io_error(message: &str) -> thrift::Error {
    thrift::Error::User(Box::new(IOError::new(message.to_owned(), false)))
}

impl Cell {
    fn value(&self) -> Option<&(i64, Bytes)> {
        self.put.as_ref().filter(|(at, _)| self.deleted_to.is_none_or(|deleted| *at > deleted))
    }

    fn write(&mut self, at: i64, mutation: &Mutation) {
        if mutation.is_delete == Some(true) {
            self.deleted_to = self.deleted_to.max(Some(at));
        } else if self.put.as_ref().is_none_or(|(newest, _)| *newest <= at) {
            self.put = Some((at, mutation.value.clone().unwrap_or_default()));
        }
    }
}

impl State {
    fn rows(&mut self, table: &[u8]) -> thrift::Result<&mut Rows> {
        let name = String::from_utf8_lossy(table).into_owned();
        let found = self.tables.get_mut(table).map(|(_, rows)| rows);
        found.ok_or_else(|| {
            io_error(&format!("org.apache.hadoop.hbase.TableNotFoundException: {name}\n\tat some.Class"))
        })
    }

    /// Without `at` a write has the time of day, of the moment when it is applied.
    fn apply(&mut self, table: &[u8], batches: &[BatchMutation], at: Option<i64>) -> thrift::Result<()> {
        self.clock += 1;
        let at = at.unwrap_or(1_700_000_000_000 + self.clock);
        let rows = self.rows(table)?;
        for batch in batches {
            let row = rows.entry(batch.row.clone().unwrap()).or_default();
            for mutation in batch.mutations.iter().flatten() {
                assert_eq!(mutation.write_to_w_a_l, Some(true), "a write that HBase may forget");
                row.entry(mutation.column.clone().unwrap()).or_default().write(at, mutation);
            }
        }
        Ok(())
    }
}

fn result(row: &[u8], cells: &BTreeMap<Bytes, Cell>, wanted: Option<&[Bytes]>) -> Option<TRowResult> {
    let cells = cells.iter().filter(|(column, _)| wanted.is_none_or(|wanted| wanted.contains(column)));
    let seen = cells.filter_map(|(column, cell)| {
        let (at, value) = cell.value()?;
        Some((column.clone(), TCell { value: Some(value.clone()), timestamp: Some(*at) }))
    });
    let columns: BTreeMap<_, _> = seen.collect();
    (!columns.is_empty()).then(|| TRowResult { row: Some(row.to_vec()), columns: Some(columns), sorted_columns: None })
}

impl FakeHbase {
    /// The fates of the next calls that write; later ones are fine.
    pub(super) fn plan(&self, fates: impl IntoIterator<Item = Fate>) {
        self.0.state.lock().fates = fates.into_iter().collect();
    }

    /// Applies the oldest late write, if there is one.
    pub(super) fn apply_late(&self) -> bool {
        let mut state = self.0.state.lock();
        if state.late.is_empty() {
            return false;
        }
        let (table, batches, at) = state.late.remove(0);
        state.apply(&table, &batches, at).unwrap();
        true
    }

    /// How many calls wait for [`Self::speak`].
    pub(super) fn silent(&self) -> usize {
        self.0.state.lock().silent
    }

    /// Answers what was not answered.
    pub(super) fn speak(&self) {
        self.0.state.lock().silent = 0;
        self.0.spoken.notify_all();
    }

    pub(super) fn create_table(&self, name: Bytes, families: Vec<ColumnDescriptor>) -> thrift::Result<()> {
        let mut state = self.0.state.lock();
        if state.tables.contains_key(&name) {
            let error = hbase_thrift::hbase::AlreadyExists::new("table name already in use".to_owned());
            return Err(thrift::Error::User(Box::new(error)));
        }
        state.tables.insert(name, (families, Rows::new()));
        Ok(())
    }

    pub(super) fn families(&self, name: &[u8]) -> thrift::Result<BTreeMap<Bytes, ColumnDescriptor>> {
        let mut state = self.0.state.lock();
        state.rows(name)?;
        let families = &state.tables[name].0;
        Ok(families.iter().map(|family| (family.name.clone().unwrap(), family.clone())).collect())
    }

    pub(super) fn get(
        &self,
        table: &[u8],
        rows: &[Bytes],
        columns: Option<&[Bytes]>,
    ) -> thrift::Result<Vec<TRowResult>> {
        let mut state = self.0.state.lock();
        let stored = state.rows(table)?;
        Ok(rows.iter().filter_map(|row| result(row, stored.get(row)?, columns)).collect())
    }

    pub(super) fn mutate(&self, table: &[u8], batches: Vec<BatchMutation>, at: Option<i64>) -> thrift::Result<()> {
        let mut state = self.0.state.lock();
        match state.fates.pop_front().unwrap_or(Fate::Fine) {
            Fate::Fine => state.apply(table, &batches, at),
            Fate::LoseAnswer => {
                state.apply(table, &batches, at)?;
                hang_up()
            }
            Fate::LoseCall => hang_up(),
            Fate::Half => {
                state.apply(table, &batches[..batches.len() / 2], at)?;
                Err(io_error(
                    "org.apache.hadoop.hbase.client.RetriesExhaustedWithDetailsException: Failed some\n\tat a.B",
                ))
            }
            Fate::Late => {
                state.late.push((table.to_vec(), batches, at));
                hang_up()
            }
            Fate::Silent => {
                state.apply(table, &batches, at)?;
                state.silent += 1;
                self.0.spoken.wait_while(&mut state, |state| state.silent > 0);
                Ok(())
            }
        }
    }

    pub(super) fn put_if_absent(&self, table: &[u8], row: &[u8], put: &Mutation) -> thrift::Result<bool> {
        let column = put.column.clone().unwrap();
        if !self.get(table, &[row.to_vec()], Some(&[column]))?.is_empty() {
            return Ok(false);
        }
        let batch = BatchMutation { row: Some(row.to_vec()), mutations: Some(vec![put.clone()]) };
        self.mutate(table, vec![batch], None)?;
        Ok(true)
    }

    pub(super) fn open_scanner(&self, table: &[u8], scan: TScan) -> thrift::Result<i32> {
        let (start, stop) = (scan.start_row.unwrap(), scan.stop_row.unwrap());
        assert!(scan.filter_string.is_none() && scan.timestamp.is_none() && scan.columns.is_none());
        let mut state = self.0.state.lock();
        let rows = state.rows(table)?.iter();
        let found: VecDeque<_> = if scan.reversed == Some(true) {
            let inside = rows.rev().filter(|(row, _)| **row <= start && **row > stop);
            inside.filter_map(|(row, cells)| result(row, cells, None)).collect()
        } else {
            let inside = rows.filter(|(row, _)| **row >= start && **row < stop);
            inside.filter_map(|(row, cells)| result(row, cells, None)).collect()
        };
        state.opened += 1;
        let number = state.opened;
        state.scanners.insert(number, found);
        Ok(number)
    }

    pub(super) fn read_scanner(&self, number: i32, count: i32) -> Vec<TRowResult> {
        let mut state = self.0.state.lock();
        let rows = state.scanners.get_mut(&number).unwrap();
        let count = usize::try_from(count).unwrap().min(rows.len());
        rows.drain(..count).collect()
    }

    pub(super) fn close_scanner(&self, number: i32) {
        assert!(self.0.state.lock().scanners.remove(&number).is_some(), "a scanner is closed once");
    }

    /// Scanners that nobody has closed.
    pub(super) fn open_scanners(&self) -> usize {
        self.0.state.lock().scanners.len()
    }
}
