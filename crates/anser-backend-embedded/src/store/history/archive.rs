//! What memory holds of one conversation: its head and its newest rows.

use anser_backend::{HistoryRow, StoreError};
use anser_types::{Offset, Subject};

use super::row::ArchivedRow;
use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::subject_head::{self, SubjectHead};
use crate::store::window::Window;

const ARCHIVE_OVERHEAD: usize = 512;

/// One conversation.
#[derive(Debug)]
pub(super) struct Archive {
    head: SubjectHead,
    window: Window<ArchivedRow>,
    held: usize,
    is_queued: bool,
    is_in_flight: bool,
    /// Used since the sweeper last came by.
    pub(super) is_recent: bool,
}

/// What a flush writes of one conversation.
#[derive(Debug)]
pub(in crate::store) struct CapturedArchive {
    pub(in crate::store) subject: Subject,
    pub(in crate::store) head: SubjectHead,
    pub(in crate::store) rows: Vec<ArchivedRow>,
}

impl Archive {
    /// Loads a conversation, or makes one without rows.
    pub(super) fn load(disk: &Disk, subject: &Subject) -> Result<Self, StoreError> {
        let stored = disk.get(Table::Archives, subject_head::key(subject))?;
        let head =
            stored.map_or_else(|| Ok(SubjectHead::default()), subject_head::read).map_err(damaged("archives"))?;
        Ok(Self {
            head,
            window: Window::at(head.last),
            held: ARCHIVE_OVERHEAD,
            is_queued: false,
            is_in_flight: false,
            is_recent: true,
        })
    }

    /// Adds a row, unless it is here already. Returns what it adds to what is not on disk; `None` if nothing.
    pub(super) fn add(&mut self, offset: Offset, row: HistoryRow) -> Option<usize> {
        if offset < self.head.head.next {
            return None;
        }
        self.head.head.number = row.number;
        self.head.head.next = offset.next();
        let row = ArchivedRow::after(self.head.last, row);
        self.head.last = row.place;
        let cost = self.window.push(row);
        self.held += cost;
        Some(cost)
    }

    /// Notes that there is a cell in the conversation.
    pub(super) const fn note_cell(&mut self) {
        self.head.has_cells = true;
    }

    pub(super) const fn head(&self) -> &SubjectHead {
        &self.head
    }

    pub(super) const fn window(&self) -> &Window<ArchivedRow> {
        &self.window
    }

    /// Whether nobody has queued it since it was last captured or loaded. From now on it counts as queued.
    pub(super) const fn needs_queueing(&mut self) -> bool {
        !std::mem::replace(&mut self.is_queued, true)
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&mut self, subject: Subject) -> CapturedArchive {
        self.is_queued = false;
        self.is_in_flight = true;
        CapturedArchive { subject, head: self.head, rows: self.window.unflushed() }
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&mut self, captured: &CapturedArchive) {
        self.is_in_flight = false;
        if let Some(row) = captured.rows.last() {
            self.window.note_flushed(row.place);
        }
    }

    /// Lets go of rows that are on disk until at most `keep` are left. Returns the memory that is free now.
    pub(super) fn evict(&mut self, keep: usize) -> usize {
        let freed = self.window.evict(keep);
        self.held = self.held.saturating_sub(freed);
        freed
    }

    /// Whether nothing would be lost if all of it were let go.
    pub(super) const fn is_clean(&self) -> bool {
        !self.is_queued && !self.is_in_flight
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }
}
