//! A part of all conversations, behind one lock.

use std::sync::Arc;

use anser_backend::{HistoryCell, HistoryRow, StoreError};
use anser_types::{MessageUid, Offset, Subject, Timestamp};

use super::archive::{Archive, CapturedArchive};
use crate::store::disk::{Disk, Table};
use crate::store::format::cell;
use crate::store::hash::QuickMap;

/// Names a message: its conversation, sent time and UID.
pub(in crate::store) type MessageKey = (Subject, Timestamp, MessageUid);
/// Cells that are not on disk yet.
pub(in crate::store) type Cells = QuickMap<MessageKey, HistoryCell>;

/// Some conversations.
#[derive(Debug, Default)]
pub(super) struct Shard {
    archives: QuickMap<Subject, Archive>,
    queue: Vec<Subject>,
    cells: Cells,
    /// Cells that a flush is writing.
    flushing: Arc<Cells>,
    held: usize,
}

impl Shard {
    /// The conversation, loaded if need be.
    pub(super) fn open(&mut self, disk: &Disk, subject: &Subject) -> Result<&mut Archive, StoreError> {
        if !self.archives.contains_key(subject) {
            let archive = Archive::load(disk, subject)?;
            self.held += archive.held();
            self.archives.insert(subject.clone(), archive);
        }
        let archive = self.archives.get_mut(subject).expect("it was inserted above");
        archive.is_recent = true;
        Ok(archive)
    }

    /// Adds a row, unless it is here already. Returns what that adds to what is not on disk.
    pub(super) fn add(&mut self, disk: &Disk, offset: Offset, row: HistoryRow) -> Result<usize, StoreError> {
        let subject = row.subject.clone();
        let archive = self.open(disk, &subject)?;
        let Some(cost) = archive.add(offset, row) else {
            return Ok(0);
        };
        if archive.needs_queueing() {
            self.queue.push(subject);
        }
        self.held += cost;
        Ok(cost)
    }

    /// Adds a cell, unless the message has one of its kind.
    pub(super) fn add_cell(&mut self, disk: &Disk, message: MessageKey, cell: HistoryCell) -> Result<(), StoreError> {
        if self.cell(&message).is_some() {
            return Ok(());
        }
        let (subject, sent, uid) = &message;
        let archive = self.open(disk, subject)?;
        if archive.head().has_cells && disk.get(Table::Archives, cell::key(subject, *sent, *uid, &cell))?.is_some() {
            return Ok(());
        }
        archive.note_cell();
        if archive.needs_queueing() {
            self.queue.push(subject.clone());
        }
        self.cells.insert(message, cell);
        Ok(())
    }

    fn cell(&self, message: &MessageKey) -> Option<&HistoryCell> {
        self.cells.get(message).or_else(|| self.flushing.get(message))
    }

    /// The cells of a conversation that are not on disk yet.
    pub(super) fn cells_of(&self, subject: &Subject) -> Vec<((Timestamp, MessageUid), HistoryCell)> {
        let all = self.cells.iter().chain(self.flushing.iter());
        let own = all.filter(|((of, ..), _)| of == subject);
        own.map(|((_, sent, uid), cell)| ((*sent, *uid), cell.clone())).collect()
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&mut self, archives: &mut Vec<CapturedArchive>) -> Arc<Cells> {
        for subject in std::mem::take(&mut self.queue) {
            if let Some(archive) = self.archives.get_mut(&subject) {
                archives.push(archive.capture(subject));
            }
        }
        self.flushing = Arc::new(std::mem::take(&mut self.cells));
        Arc::clone(&self.flushing)
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&mut self, captured: &CapturedArchive) {
        if let Some(archive) = self.archives.get_mut(&captured.subject) {
            archive.note_flushed(captured);
        }
    }

    /// So are the cells of that flush.
    pub(super) fn note_cells_flushed(&mut self) {
        self.flushing = Arc::default();
    }

    /// Lets go of conversations that nobody has used since the last call, and of older rows of the others where `keep` says how
    /// many each may have. Returns what is held afterwards.
    pub(super) fn sweep(&mut self, keep: Option<usize>) -> usize {
        self.archives.retain(|_, archive| {
            let goes = !std::mem::take(&mut archive.is_recent) && archive.is_clean();
            if goes {
                self.held -= archive.held();
            }
            !goes
        });
        if let Some(keep) = keep {
            self.held -= self.archives.values_mut().map(|archive| archive.evict(keep)).sum::<usize>();
        }
        self.held
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }
}
