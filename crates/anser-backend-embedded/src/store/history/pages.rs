//! Puts pages of history together, from memory and from disk.

use std::ops::Bound;

use anser_backend::{HistoryCell, HistoryPage, HistoryQuery, Order, StoreError, StoredRow};
use anser_types::{MessageUid, Subject, Timestamp};

use super::archive::Archive;
use super::row::ArchivedRow;
use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::chunk;
use crate::store::format::{cell, subject_key};

/// Cells with the messages that they belong to.
pub(super) type MessageCells = Vec<((Timestamp, MessageUid), HistoryCell)>;

/// The rows that a query asks for, between two places.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// Exclusive.
    after: u64,
    /// Exclusive.
    before: u64,
}

/// Rows under way: as many as asked for, and one more that tells whether there is more.
#[derive(Debug)]
struct Rows {
    rows: Vec<ArchivedRow>,
    most: usize,
}

impl Rows {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.most
    }

    fn add_all<'a>(&mut self, rows: impl Iterator<Item = &'a ArchivedRow>) {
        let room = self.most.saturating_sub(self.rows.len());
        self.rows.extend(rows.take(room).cloned());
    }
}

/// A page that may need the disk.
#[derive(Debug)]
pub(super) struct PagePlan {
    query: HistoryQuery,
    range: Range,
    rows: Rows,
    /// Up to here the rows are on disk and not in `rows`; `None` if none is needed from there.
    disk_to: Option<u64>,
    /// Rows of memory that come after those of the disk.
    then: Vec<ArchivedRow>,
    /// The cells in memory; `None` if the conversation has none at all.
    cells: Option<MessageCells>,
}

impl PagePlan {
    /// Answers from memory as far as that goes. Rows of before `expired` are left out.
    pub(super) fn new(archive: &Archive, query: HistoryQuery, expired: Timestamp, cells: Option<MessageCells>) -> Self {
        let oldest = expired.0.saturating_sub(1);
        let range = match (query.order, query.time) {
            (Order::Before, before) => Range { after: oldest, before: before.map_or(u64::MAX, |time| time.0) },
            (Order::After, after) => Range { after: after.map_or(0, |time| time.0).max(oldest), before: u64::MAX },
        };
        let most = query.count.saturating_add(1);
        let mut plan =
            Self { range, rows: Rows { rows: Vec::new(), most }, disk_to: None, then: Vec::new(), cells, query };
        plan.take_memory(archive);
        plan
    }

    fn take_memory(&mut self, archive: &Archive) {
        let window = archive.window();
        let disk_to = window.after().min(self.range.before.saturating_sub(1));
        let has_disk = disk_to > self.range.after;
        match self.query.order {
            Order::Before => {
                let rows = window.earlier_than(self.range.before).rev();
                self.rows.add_all(rows.take_while(|row| row.place > self.range.after));
                self.disk_to = (has_disk && !self.rows.is_full()).then_some(disk_to);
            }
            Order::After if has_disk => {
                self.then = window.later_than(self.range.after).take(self.rows.most).cloned().collect();
                self.disk_to = Some(disk_to);
            }
            Order::After => self.rows.add_all(window.later_than(self.range.after)),
        }
    }

    /// Whether [`Self::read`] will need the disk.
    pub(super) const fn needs_disk(&self) -> bool {
        self.disk_to.is_some() || self.cells.is_some()
    }

    /// Reads what is missing. Blocks if the disk is needed.
    pub(super) fn read(mut self, disk: &Disk) -> Result<HistoryPage, StoreError> {
        if let Some(to) = self.disk_to {
            match self.query.order {
                Order::Before => self.read_back(disk, to)?,
                Order::After => self.read_on(disk, to)?,
            }
        }
        let then = std::mem::take(&mut self.then);
        self.rows.add_all(then.iter());
        let more = self.rows.rows.len() > self.query.count;
        self.rows.rows.truncate(self.query.count);
        let cells = match self.cells {
            Some(newest) => read_cells(disk, &self.query.subject, &self.rows.rows, newest)?,
            None => Vec::new(),
        };
        let subject = &self.query.subject;
        Ok(HistoryPage { rows: self.rows.rows.into_iter().map(|row| stored(row, subject, &cells)).collect(), more })
    }

    fn read_back(&mut self, disk: &Disk, to: u64) -> Result<(), StoreError> {
        let owner = subject_key(&self.query.subject);
        let holder = holder_of(disk, &owner, to)?;
        for row in disk.prefix_back_from(Table::History, &owner, holder) {
            let rows: Vec<ArchivedRow> = chunk::read(row?.value).map_err(damaged("history"))?;
            let after = self.range.after;
            self.rows.add_all(rows.iter().rev().filter(|row| row.place <= to && row.place > after));
            if self.rows.is_full() || rows.first().is_some_and(|row| row.place <= after) {
                break;
            }
        }
        Ok(())
    }

    fn read_on(&mut self, disk: &Disk, to: u64) -> Result<(), StoreError> {
        let owner = subject_key(&self.query.subject);
        let after = self.range.after;
        for row in disk.prefix_from(Table::History, &owner, Bound::Excluded(chunk::key(&owner, after))) {
            let rows: Vec<ArchivedRow> = chunk::read(row?.value).map_err(damaged("history"))?;
            self.rows.add_all(rows.iter().filter(|row| row.place <= to && row.place > after));
            if self.rows.is_full() || rows.last().is_some_and(|row| row.place >= to) {
                break;
            }
        }
        Ok(())
    }
}

/// The key of the first chunk that ends at or after a place: the only one that may hold items on both sides of it.
fn holder_of(disk: &Disk, owner: &[u8], place: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let from = Bound::Included(chunk::key(owner, place));
    let first = disk.prefix_from(Table::History, owner, from).next().transpose()?;
    Ok(first.map(|row| row.key.to_vec()))
}

/// One row from disk. Blocks.
pub(super) fn find_row(
    disk: &Disk,
    subject: &Subject,
    sent: Timestamp,
    uid: MessageUid,
) -> Result<Option<ArchivedRow>, StoreError> {
    let owner = subject_key(subject);
    let from = Bound::Included(chunk::key(&owner, sent.0));
    let Some(row) = disk.prefix_from(Table::History, &owner, from).next().transpose()? else {
        return Ok(None);
    };
    let rows: Vec<ArchivedRow> = chunk::read(row.value).map_err(damaged("history"))?;
    Ok(rows.into_iter().find(|row| row.sent == sent && row.uid == uid))
}

/// The cells of rows that are in the order of their places, or in reverse.
pub(super) fn read_cells(
    disk: &Disk,
    subject: &Subject,
    rows: &[ArchivedRow],
    newest: MessageCells,
) -> Result<MessageCells, StoreError> {
    let mut cells = newest;
    let (Some(one), Some(other)) = (rows.first(), rows.last()) else {
        return Ok(cells);
    };
    let (first, last) = if one.sent <= other.sent { (one, other) } else { (other, one) };
    let prefix = cell::prefix(subject);
    let from = Bound::Included(cell::message_key(subject, first.sent, MessageUid::from_bytes([0; 10])));
    for row in disk.prefix_from(Table::Archives, &prefix, from) {
        let row = row?;
        let (message, cell) = cell::read(row.key, prefix.len(), row.value).map_err(damaged("archives"))?;
        if message.0 > last.sent {
            break;
        }
        if !cells.iter().any(|(known, _)| *known == message) {
            cells.push((message, cell));
        }
    }
    Ok(cells)
}

/// A row with its cells.
pub(super) fn stored(
    row: ArchivedRow,
    subject: &Subject,
    cells: &[((Timestamp, MessageUid), HistoryCell)],
) -> StoredRow {
    let own = cells.iter().filter(|(message, _)| *message == (row.sent, row.uid));
    StoredRow { cells: own.map(|(_, cell)| cell.clone()).collect(), row: row.shown(subject) }
}

impl Archive {
    /// A row that memory has; `Err` if only the disk knows.
    pub(super) fn find(&self, sent: Timestamp, uid: MessageUid) -> Result<Option<ArchivedRow>, ()> {
        let mut rows = self.window().later_than(sent.0.saturating_sub(1));
        let found = rows.find(|row| row.sent == sent && row.uid == uid).cloned();
        if found.is_none() && sent.0 <= self.window().after() { Err(()) } else { Ok(found) }
    }
}
