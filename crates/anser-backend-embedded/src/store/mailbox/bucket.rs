//! One bucket of users with its marks: where batches are applied.

use anser_backend::{BucketBatch, MailboxRow, PartitionRows, Placed, StoreError};
use anser_types::{Mark, Offset, Timestamp, UserKey};

use super::user_box::{CapturedUser, UserBox};
use crate::store::disk::Disk;
use crate::store::format::lift::Lift;
use crate::store::format::marks::Marks;
use crate::store::hash::QuickMap;

/// The users of one bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Each in memory of its own: a table has room for twice as many at times, and one that emptied keeps its room.
    boxes: QuickMap<UserKey, Box<UserBox>>,
    /// Users whose boxes differ from the disk.
    queue: Vec<UserKey>,
    marks: Marks,
    are_marks_changed: bool,
    /// Lifts found on disk, of users that have not been loaded since.
    lifts: QuickMap<UserKey, Vec<Lift>>,
    /// What the boxes take in memory.
    held: usize,
}

/// What a batch did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) placed: Vec<Vec<Option<Placed>>>,
    /// How many bytes it added to what is not on disk.
    pub(super) bytes: usize,
}

impl Bucket {
    /// A bucket as the disk has it.
    pub(super) fn loaded(marks: Marks) -> Self {
        Self { marks, ..Self::default() }
    }

    /// Notes a lift that was found on disk.
    pub(super) fn add_found_lift(&mut self, user: UserKey, lift: Lift) {
        self.lifts.entry(user).or_default().push(lift);
    }

    /// Applies a batch as a whole, or nothing of it.
    pub(super) fn apply(&mut self, disk: &Disk, batch: BucketBatch) -> Result<Applied, StoreError> {
        for part in &batch.parts {
            if self.mark(part).claim > part.claim {
                return Err(StoreError::StaleClaim);
            }
        }
        for part in &batch.parts {
            let from = self.mark(part).next;
            for (_, row) in part.rows.iter().filter(|(offset, _)| *offset >= from) {
                self.prepare(disk, row)?;
            }
        }
        let mut applied = Applied { placed: Vec::with_capacity(batch.parts.len()), bytes: 0 };
        for part in batch.parts {
            let from = self.move_mark(&part);
            let rows = part.rows.into_iter();
            applied.placed.push(
                rows.map(|(offset, row)| (offset >= from).then(|| self.apply_row(row, &mut applied.bytes))?).collect(),
            );
        }
        Ok(applied)
    }

    fn mark(&self, part: &PartitionRows) -> Mark {
        self.marks.get(&part.partition).copied().unwrap_or_default()
    }

    /// Moves the mark behind a part. Returns the offset from which its rows are new.
    fn move_mark(&mut self, part: &PartitionRows) -> Offset {
        let mark = self.marks.entry(part.partition).or_default();
        let from = mark.next;
        let moved = Mark { claim: mark.claim.max(part.claim), next: from.max(part.next) };
        self.are_marks_changed |= moved != *mark;
        *mark = moved;
        from
    }

    /// Loads what applying a row needs, which may fail; applying cannot.
    fn prepare(&mut self, disk: &Disk, row: &MailboxRow) -> Result<(), StoreError> {
        let (user, conversation) = match row {
            MailboxRow::Entry(entry) => (&entry.user, entry.listed.as_ref().map(|listed| &listed.conversation)),
            MailboxRow::Recall(recalled) => (&recalled.user, Some(&recalled.conversation)),
            MailboxRow::Read { user, conversation, .. } | MailboxRow::Remove { user, conversation } => {
                (user, Some(conversation))
            }
        };
        if !self.boxes.contains_key(user) {
            self.open(disk, user)?;
        }
        let user_box = self.boxes.get_mut(user).expect("it was opened above");
        if let Some(conversation) = conversation {
            self.held += user_box.load_row(disk, user, conversation)?;
        }
        Ok(())
    }

    fn apply_row(&mut self, row: MailboxRow, bytes: &mut usize) -> Option<Placed> {
        match row {
            MailboxRow::Entry(entry) => {
                let mut placed = None;
                self.change(&entry.user.clone(), |user_box| {
                    let (place, added) = user_box.append(entry);
                    *bytes += added;
                    placed = Some(place);
                });
                placed
            }
            MailboxRow::Read { user, conversation, until } => {
                self.change(&user, |user_box| user_box.read(conversation, until));
                None
            }
            MailboxRow::Recall(recalled) => {
                self.change(&recalled.user.clone(), |user_box| user_box.recall(recalled));
                None
            }
            MailboxRow::Remove { user, conversation } => {
                self.change(&user, |user_box| user_box.remove(conversation));
                None
            }
        }
    }

    /// Changes a box that has been opened, and queues it for the next flush.
    pub(super) fn change(&mut self, user: &UserKey, change: impl FnOnce(&mut UserBox)) {
        let user_box = self.boxes.get_mut(user).expect("the box was opened under the same lock");
        let before = user_box.held();
        change(user_box);
        user_box.is_recent = true;
        self.held += user_box.held() - before;
        if user_box.needs_queueing() {
            self.queue.push(user.clone());
        }
    }

    /// The box of a user, loaded if need be, as one that is used.
    pub(super) fn open(&mut self, disk: &Disk, user: &UserKey) -> Result<&mut UserBox, StoreError> {
        if !self.boxes.contains_key(user) {
            let lifts = self.lifts.get(user).cloned().unwrap_or_default();
            let user_box = Box::new(UserBox::load(disk, user, lifts)?);
            self.held += user_box.held();
            self.boxes.insert(user.clone(), user_box);
            if self.lifts.remove(user).is_some() {
                // The next flush takes the lifts in and removes their rows.
                self.change(user, |_| {});
            }
        }
        let user_box = self.boxes.get_mut(user).expect("it was inserted above");
        user_box.is_recent = true;
        Ok(user_box)
    }

    /// Takes what the next flush writes: the users that changed, and the marks if they did.
    pub(super) fn capture(&mut self, users: &mut Vec<CapturedUser>, expired: Timestamp) -> Option<Marks> {
        for user in std::mem::take(&mut self.queue) {
            if let Some(user_box) = self.boxes.get_mut(&user) {
                users.push(user_box.capture(user, expired));
            }
        }
        std::mem::take(&mut self.are_marks_changed).then(|| self.marks.clone())
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&mut self, captured: &CapturedUser) {
        if let Some(user_box) = self.boxes.get_mut(&captured.user) {
            user_box.note_flushed(captured);
        }
    }

    /// Lets go of users that nobody has used since the last call, and of older entries of the others where `keep` says how many
    /// each may have. Returns what is held afterwards.
    pub(super) fn sweep(&mut self, keep: Option<usize>) -> usize {
        self.boxes.retain(|_, user_box| {
            let goes = !std::mem::take(&mut user_box.is_recent) && user_box.is_clean();
            if goes {
                self.held -= user_box.held();
            }
            !goes
        });
        if let Some(keep) = keep {
            self.held -= self.boxes.values_mut().map(|user_box| user_box.evict(keep)).sum::<usize>();
        }
        self.held
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }
}
