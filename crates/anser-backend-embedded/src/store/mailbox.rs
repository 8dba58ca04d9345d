//! The mailbox of the embedded store: buckets of users in memory before the disk.

mod bucket;
mod lists;
mod pages;
mod timeline_item;
mod user_box;

use parking_lot::{Mutex, MutexGuard};

use anser_backend::{BoxFuture, BucketBatch, ListQuery, ListRow, Mailbox, Page, Placed, RangeQuery, StoreError};
use anser_types::{BUCKETS, BucketId, DeviceId, Mark, PartitionId, Position, Timestamp, UserKey};

use self::bucket::Bucket;
use super::disk::{Batch, Disk, Table};
use super::error::damaged;
use super::expiry::ExpiredBefore;
use super::flush::ReplayTable;
use super::format::lift::{self, Lift};
use super::format::marks::{self, Marks};
use super::{EmbeddedStore, Inner};

pub(super) use self::user_box::CapturedUser;

/// All users, by bucket.
#[derive(Debug)]
pub(super) struct MailboxTables {
    buckets: Vec<Mutex<Bucket>>,
    pub(super) expired: ExpiredBefore,
}

impl MailboxTables {
    /// Reads the marks of all buckets, and the lifts that no flush has taken in.
    pub(super) fn load(disk: &Disk, expired: ExpiredBefore) -> Result<Self, StoreError> {
        let mut buckets = Vec::with_capacity(usize::from(BUCKETS));
        for bucket in 0..=u8::MAX {
            let stored = disk.get(Table::Meta, marks::marks_key(bucket))?;
            let marks = stored.map_or(Ok(Marks::new()), marks::read_marks).map_err(damaged("marks"))?;
            buckets.push(Mutex::new(Bucket::loaded(marks)));
        }
        let tables = Self { buckets, expired };
        for row in disk.prefix(Table::Lifts, &[]) {
            let row = row?;
            if row.key.first() != Some(&super::disk::CHAIN_PREFIX) {
                let (user, lift) = lift::read(row.key, row.value).map_err(damaged("lifts"))?;
                tables.bucket_of(&user).add_found_lift(user, lift);
            }
        }
        Ok(tables)
    }

    fn bucket(&self, bucket: BucketId) -> MutexGuard<'_, Bucket> {
        // There is a bucket for each value of the byte.
        self.buckets[usize::from(bucket.0)].lock()
    }

    fn bucket_of(&self, user: &UserKey) -> MutexGuard<'_, Bucket> {
        self.bucket(user.bucket())
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&self) -> (Vec<CapturedUser>, Vec<(u8, Marks)>) {
        let (mut users, mut marks) = (Vec::new(), Vec::new());
        for (number, bucket) in (0..=u8::MAX).zip(&self.buckets) {
            let changed = bucket.lock().capture(&mut users, self.expired.get());
            marks.extend(changed.map(|changed| (number, changed)));
        }
        (users, marks)
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&self, users: &[CapturedUser]) {
        for captured in users {
            self.bucket_of(&captured.user).note_flushed(captured);
        }
    }

    /// What all users take in memory.
    pub(super) fn held(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.lock().held()).sum()
    }

    /// Sweeps one bucket. Returns what it holds afterwards.
    pub(super) fn sweep(&self, bucket: u8, keep: Option<usize>) -> usize {
        self.bucket(BucketId(bucket)).sweep(keep)
    }
}

impl Inner {
    fn apply_batch(&self, batch: BucketBatch) -> Result<Vec<Vec<Option<Placed>>>, StoreError> {
        let _moment = self.gate.read();
        let applied = self.mailbox.bucket(batch.bucket).apply(&self.disk, batch)?;
        self.add_dirty(applied.bytes);
        Ok(applied.placed)
    }

    /// The lift is on disk before it takes effect, so that a crash cannot take back what made others move.
    fn lift_now(&self, user: &UserKey, floor: Position) -> Result<bool, StoreError> {
        let _moment = self.gate.read();
        let mut bucket = self.mailbox.bucket_of(user);
        let last = bucket.open(&self.disk, user)?.last();
        if last >= floor {
            return Ok(false);
        }
        let lift = Lift { after: last, floor };
        let mut batch = Batch::default();
        batch.insert(Table::Lifts, lift::key(user, lift), lift::write(lift));
        self.disk.write(&batch)?;
        bucket.change(user, |user_box| user_box.lift(lift));
        Ok(true)
    }
}

impl Mailbox for EmbeddedStore {
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Vec<Vec<Option<Placed>>>, StoreError>> {
        Box::pin(async move {
            self.inner.wait_for_room().await?;
            self.inner.apply_batch(batch)
        })
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            let plan = {
                let mut bucket = self.inner.mailbox.bucket_of(&query.user);
                let user_box = bucket.open(&self.inner.disk, &query.user)?;
                pages::plan(user_box, query, self.inner.mailbox.expired.get())
            };
            match plan {
                pages::Plan::Done(page) => Ok(page),
                pages::Plan::Disk(page) => self.inner.on_disk(move |disk| page.read(disk)).await,
            }
        })
    }

    fn head(&self, user: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>> {
        let opened = self.inner.mailbox.bucket_of(user).open(&self.inner.disk, user).map(|user_box| user_box.last());
        Box::pin(std::future::ready(opened))
    }

    fn lift(&self, user: &UserKey, floor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        let lifted = self.inner.lift_now(user, floor);
        Box::pin(async move {
            if lifted? {
                self.inner.on_disk(Disk::sync).await?;
            }
            Ok(())
        })
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(async move {
            let plan = {
                let mut bucket = self.inner.mailbox.bucket_of(&query.user);
                lists::plan(bucket.open(&self.inner.disk, &query.user)?, query)
            };
            match plan {
                lists::Plan::Done(rows) => Ok(rows),
                lists::Plan::Disk(list) => self.inner.on_disk(move |disk| list.read(disk)).await,
            }
        })
    }

    fn set_cursor(&self, user: &UserKey, device: &DeviceId, cursor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        let inner = &self.inner;
        let mut bucket = inner.mailbox.bucket_of(user);
        let noted =
            bucket.open(&inner.disk, user).and_then(|opened| opened.set_cursor(&inner.disk, user, device, cursor));
        if matches!(noted, Ok(true)) {
            bucket.change(user, |_| {});
        }
        Box::pin(std::future::ready(noted.map(|_| ())))
    }

    fn cursor(&self, user: &UserKey, device: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>> {
        let disk = &self.inner.disk;
        let mut bucket = self.inner.mailbox.bucket_of(user);
        let cursor = bucket.open(disk, user).and_then(|user_box| user_box.cursor(disk, user, device));
        Box::pin(std::future::ready(cursor))
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner.durable_mark(ReplayTable::Mailbox, partition))))
    }

    fn applied(&self, partition: PartitionId, mark: Mark) -> BoxFuture<'_, Result<(), StoreError>> {
        let _moment = self.inner.gate.read();
        self.inner.note_applied(ReplayTable::Mailbox, partition, mark);
        Box::pin(std::future::ready(Ok(())))
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.inner.mailbox.expired.raise(time) {
            self.inner.note_expiry();
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
