//! Writes what memory has and the disk has not: everything of one moment in one batch.
//!
//! The moment is taken under the gate, which every change passes as a reader. So rows, marks and replay positions belong
//! together, and a replay from those positions, in the same order, brings every entry to the place that it had.

mod capture;

use std::collections::BTreeMap;

use parking_lot::Mutex;

use anser_backend::StoreError;
use anser_types::{Mark, PartitionId};

use self::capture::Capture;
use super::Inner;
use super::disk::{Disk, Table};
use super::error::damaged;
use super::format::marks::{self, Marks};

/// A table that is replayed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum ReplayTable {
    Mailbox = 1,
    History = 2,
    Directory = 3,
}

const REPLAY_TABLES: [ReplayTable; 3] = [ReplayTable::Mailbox, ReplayTable::History, ReplayTable::Directory];

/// From where each table is replayed, by partition.
pub(super) type ReplayMarks = BTreeMap<ReplayTable, Marks>;

/// Reads the marks that the last flush wrote.
pub(super) fn load_replay_marks(disk: &Disk) -> Result<ReplayMarks, StoreError> {
    let mut all = ReplayMarks::new();
    for table in REPLAY_TABLES {
        let stored = disk.get(Table::Meta, marks::replay_key(table as u8))?;
        all.insert(table, stored.map_or(Ok(Marks::new()), marks::read_marks).map_err(damaged("marks"))?);
    }
    Ok(all)
}

/// Positions as they are, and as the disk has them.
#[derive(Debug)]
pub(super) struct Positions {
    pub(super) present: ReplayMarks,
    pub(super) durable: ReplayMarks,
    pub(super) is_expiry_changed: bool,
}

/// The flush that failed last, if one did: it is written again before any other.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    pending: Mutex<Option<Capture>>,
}

impl Inner {
    /// Notes that a table contains everything of a partition up to a mark. The caller holds the gate.
    pub(super) fn note_applied(&self, table: ReplayTable, partition: PartitionId, mark: Mark) {
        let mut positions = self.positions.lock();
        let known = positions.present.entry(table).or_default().entry(partition).or_default();
        *known = mark.max(*known);
    }

    /// The mark of a table as the disk has it.
    pub(super) fn durable_mark(&self, table: ReplayTable, partition: PartitionId) -> Mark {
        let positions = self.positions.lock();
        positions.durable.get(&table).and_then(|marks| marks.get(&partition)).copied().unwrap_or_default()
    }

    /// Notes that expiry has moved on.
    pub(super) fn note_expiry(&self) {
        self.positions.lock().is_expiry_changed = true;
    }

    /// Makes everything durable that was applied before the call.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let mut pending = self.flusher.pending.lock();
        let mended = self.disk.mend();
        if mended.is_err() {
            self.room.note_flush(false);
        }
        mended?;
        if let Some(failed) = pending.take() {
            self.write_capture(failed, &mut pending)?;
        }
        if let Some(capture) = self.capture() {
            self.write_capture(capture, &mut pending)?;
        }
        Ok(())
    }

    fn write_capture(&self, capture: Capture, pending: &mut Option<Capture>) -> Result<(), StoreError> {
        let written = capture.write(&self.disk).and_then(|batch| self.disk.flush(&batch));
        self.room.note_flush(written.is_ok());
        if let Err(error) = written {
            *pending = Some(capture);
            return Err(error);
        }
        self.mailbox.note_flushed(&capture.users);
        self.history.note_flushed(&capture.history);
        self.positions.lock().durable = capture.replay;
        self.room.release(capture.bytes);
        Ok(())
    }
}
