//! The changes of one moment, and the rows they become.

use anser_backend::StoreError;
use anser_types::Timestamp;

use super::ReplayMarks;
use crate::store::Inner;
use crate::store::disk::{Batch, Disk, Table};
use crate::store::format::hide::{self, Hide};
use crate::store::format::identity::{self, Expiry};
use crate::store::format::marks::{self, Marks};
use crate::store::format::{
    cell, chunk, cursor, lift, list_row, recalled, subject_head, subject_key, user_head, user_key,
};
use crate::store::history::{CapturedArchive, CapturedHistory, hides};
use crate::store::mailbox::CapturedUser;

/// What one flush writes.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) users: Vec<CapturedUser>,
    marks: Vec<(u8, Marks)>,
    pub(super) history: CapturedHistory,
    pub(super) replay: ReplayMarks,
    expiry: Option<Expiry>,
    /// What it takes off the bytes that are not on disk.
    pub(super) bytes: usize,
}

impl Inner {
    /// Takes everything that has changed, as of one moment; `None` if nothing has.
    pub(super) fn capture(&self) -> Option<Capture> {
        let _moment = self.gate.write();
        let (users, marks) = self.mailbox.capture();
        let history = self.history.capture();
        let mut positions = self.positions.lock();
        let expiry = std::mem::take(&mut positions.is_expiry_changed)
            .then(|| Expiry { timelines: self.mailbox.expired.get(), history: self.history.expired.get() });
        let is_empty = users.is_empty()
            && marks.is_empty()
            && history.is_empty()
            && expiry.is_none()
            && positions.present == positions.durable;
        let replay = positions.present.clone();
        (!is_empty).then(|| Capture { users, marks, history, replay, expiry, bytes: self.room.dirty() })
    }
}

impl CapturedHistory {
    fn is_empty(&self) -> bool {
        self.archives.is_empty() && self.cells.iter().all(|cells| cells.is_empty()) && self.hides.is_empty()
    }
}

impl Capture {
    /// The rows as a batch. Looks up on disk what may not move back.
    pub(super) fn write(&self, disk: &Disk) -> Result<Batch, StoreError> {
        let mut rows = Batch::default();
        let batch = &mut rows;
        for user in &self.users {
            write_user(batch, user);
        }
        for (bucket, marks) in &self.marks {
            batch.insert(Table::Meta, marks::marks_key(*bucket), marks::write_marks(marks));
        }
        for archive in &self.history.archives {
            write_archive(batch, archive);
        }
        self.write_cells(batch);
        self.write_hides(batch, disk)?;
        for (table, marks) in &self.replay {
            batch.insert(Table::Meta, marks::replay_key(*table as u8), marks::write_marks(marks));
        }
        if let Some(expiry) = self.expiry {
            batch.insert(Table::Meta, identity::EXPIRY_KEY, identity::write_expiry(expiry));
        }
        Ok(rows)
    }

    fn write_cells(&self, batch: &mut Batch) {
        for ((subject, sent, uid), happened) in self.history.cells.iter().flat_map(|cells| cells.iter()) {
            batch.insert(Table::Archives, cell::key(subject, *sent, *uid, happened), cell::write(happened));
        }
    }

    fn write_hides(&self, batch: &mut Batch, disk: &Disk) -> Result<(), StoreError> {
        for ((user, subject), set) in self.history.hides.iter() {
            let prefix = hide::prefix(user, subject);
            let until = match set.until {
                Timestamp::ZERO => None,
                until => Some(Hide::Until(until.max(hides::until_on_disk(disk, user, subject)?))),
            };
            let single = set.messages.iter().map(|(uid, sent)| Hide::Single(*sent, *uid));
            for one in single.chain(until) {
                batch.insert(Table::Archives, hide::key(&prefix, one), hide::write(one));
            }
        }
        Ok(())
    }
}

fn write_user(batch: &mut Batch, user: &CapturedUser) {
    let head = user_head::write_head(user.last, user.has_recalled);
    batch.insert(Table::Users, user_head::key(&user.user), head);
    if let Some(uids) = &user.recalled {
        batch.insert(Table::Users, recalled::key(&user.user), recalled::write(uids));
    }
    for (conversation, state) in &user.rows {
        batch.insert(Table::Users, list_row::key(&user.user, conversation), list_row::write(state));
    }
    for (device, position) in &user.cursors {
        batch.insert(Table::Users, cursor::key(&user.user, device), cursor::write(*position));
    }
    for spent in &user.spent {
        batch.remove(Table::Lifts, lift::key(&user.user, *spent));
    }
    chunk::write_all(&user_key(&user.user), &user.entries, |key, value| batch.insert(Table::Timelines, key, value));
}

fn write_archive(batch: &mut Batch, archive: &CapturedArchive) {
    batch.insert(Table::Archives, subject_head::key(&archive.subject), subject_head::write(&archive.head));
    chunk::write_all(&subject_key(&archive.subject), &archive.rows, |key, value| {
        batch.insert(Table::History, key, value)
    });
}
