//! A mailbox in memory: the reference for what every other one must do. Forgets nothing but what expires, unless it is told to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use anser_types::{
    BucketId, ConnectionId, Conversation, ConversationType, DeviceId, Mark, MessageUid, NodeId, Offset, PartitionId,
    Position, Timestamp, UserKey,
};

use crate::{
    BoxFuture, BucketBatch, Counted, ListQuery, ListRow, Mailbox, MailboxRow, Online, Page, PartitionRows, Placed,
    RECALLED_KEPT_MS, RECALLED_MAX, RangeQuery, RecalledEntry, ReplayFrom, Side, StoreError, StoredEntry,
    TimelineEntry, Unread,
};

/// A [`Mailbox`] in memory. Clones are the same handle on the same tables.
#[derive(Debug, Clone, Default)]
pub struct MemoryMailbox {
    tables: Arc<Mutex<Tables>>,
    handle: u64,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    /// Buckets that cannot be written.
    damaged: HashSet<BucketId>,
    /// Whether none can be written for now.
    is_away: bool,
    boxes: HashMap<UserKey, UserBox>,
    marks: HashMap<(BucketId, PartitionId), Mark>,
    applied: HashMap<PartitionId, Mark>,
    /// The number of the newest rebuild, and by which one each bucket was begun anew.
    rebuild: u64,
    rebuilt: HashMap<BucketId, u64>,
    expired_before: Timestamp,
    seen: Seen,
}

/// What the handles remember, whatever happens to the tables.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Up to where each handle has written each bucket, since it began the partition's replay.
    written: HashMap<(u64, BucketId, PartitionId), Offset>,
    /// The newest position of each bucket.
    shown: HashMap<BucketId, Position>,
    /// What new positions of a bucket are above: what it had shown when it was rolled back.
    floors: HashMap<BucketId, Position>,
    rollbacks: u64,
    /// To which rebuild the replay of each handle's partitions belongs.
    replayed: HashMap<(u64, PartitionId), u64>,
}

/// The state of a [`MemoryMailbox`] at one time, to come back to.
#[derive(Debug, Clone)]
pub struct SavedMailbox(Tables);

#[derive(Debug, Clone, Default)]
struct UserBox {
    last: Position,
    timeline: BTreeMap<Position, (Side, Bytes)>,
    list: HashMap<Conversation, Row>,
    recalled: BTreeSet<MessageUid>,
    cursors: HashMap<DeviceId, Position>,
    online: BTreeMap<NodeId, ConnectionId>,
}

/// A conversation as the list keeps it; `last` is `None` while it is not on the list.
#[derive(Debug, Clone, Default)]
struct Row {
    last: Option<(Timestamp, Side, Bytes)>,
    unread: Unread,
}

impl UserBox {
    fn append(&mut self, entry: TimelineEntry) -> Placed {
        let previous = self.last;
        let position = Position::after(previous, entry.sent);
        self.last = position;
        if let Some(listed) = entry.listed {
            let row = self.list.entry(listed.conversation).or_default();
            row.last = Some((entry.sent, entry.side, entry.record.clone()));
            if listed.counted == Counted::Yes && entry.side == Side::Inbox {
                row.unread.add(entry.sent);
            }
        }
        self.timeline.insert(position, (entry.side, entry.record));
        Placed { previous, position, online: self.online() }
    }
}

impl UserBox {
    fn recall(&mut self, recalled: RecalledEntry) {
        let RecalledEntry { conversation, uid, sent, by_sent, by_side, by_record, .. } = recalled;
        self.recalled.insert(uid);
        if self.recalled.len() > RECALLED_MAX {
            self.recalled.pop_first();
        }
        if let Some(row) = self.list.get_mut(&conversation) {
            row.unread.recall(sent);
            if let Some(last) = row.last.as_mut().filter(|(last, ..)| *last == sent) {
                *last = (by_sent, by_side, by_record);
            }
        }
    }

    /// Lets go of what comes from the log. What was taken back stays so while the log says it again.
    fn clear(&mut self) {
        self.timeline.clear();
        self.list.clear();
    }

    fn online(&self) -> Online {
        self.online.keys().copied().collect()
    }
}

impl Tables {
    fn apply(&mut self, handle: u64, batch: BucketBatch) -> Result<Vec<Vec<Option<Placed>>>, StoreError> {
        let bucket = batch.bucket;
        if self.is_away {
            return Err(StoreError::Unavailable("it is away".into()));
        }
        if self.damaged.contains(&bucket) {
            return Err(StoreError::Damaged { table: "mailbox", source: "a key of another kind".into() });
        }
        for part in &batch.parts {
            let mark = self.marks.get(&(bucket, part.partition)).copied().unwrap_or_default();
            if part.claim < mark.claim {
                return Err(StoreError::StaleClaim);
            }
        }
        self.rebuild(handle, &batch)?;
        for part in &batch.parts {
            let mark = self.marks.get(&(bucket, part.partition)).copied().unwrap_or_default();
            if self.seen.written.get(&(handle, bucket, part.partition)).is_some_and(|written| mark.next < *written) {
                return Err(StoreError::RolledBack);
            }
        }
        Ok(batch.parts.into_iter().map(|part| self.apply_part(handle, bucket, part)).collect())
    }

    /// The first write of a rebuild begins a bucket anew. What belongs to an older one is refused.
    fn rebuild(&mut self, handle: u64, batch: &BucketBatch) -> Result<(), StoreError> {
        let of = |part: &PartitionRows| self.seen.replayed.get(&(handle, part.partition)).copied().unwrap_or_default();
        let oldest = batch.parts.iter().map(of).min().unwrap_or_default();
        let newest = batch.parts.iter().map(of).max().unwrap_or_default();
        let rebuilt = self.rebuilt.entry(batch.bucket).or_default();
        if newest > *rebuilt {
            *rebuilt = newest;
            let own = self.boxes.iter_mut().filter(|(user, _)| user.bucket() == batch.bucket);
            own.for_each(|(_, user)| user.clear());
            let own = self.marks.iter_mut().filter(|((bucket, _), _)| *bucket == batch.bucket);
            own.for_each(|(_, mark)| mark.next = Offset::START);
        }
        if oldest < *rebuilt { Err(StoreError::RolledBack) } else { Ok(()) }
    }

    fn apply_part(&mut self, handle: u64, bucket: BucketId, part: PartitionRows) -> Vec<Option<Placed>> {
        let mark = self.marks.entry((bucket, part.partition)).or_default();
        let from = mark.next;
        *mark = Mark { claim: mark.claim.max(part.claim), next: from.max(part.next) };
        self.seen.written.insert((handle, bucket, part.partition), mark.next);
        let rows = part.rows.into_iter();
        rows.map(|(offset, row)| if offset < from { None } else { self.apply_row(row) }).collect()
    }

    fn apply_row(&mut self, row: MailboxRow) -> Option<Placed> {
        match row {
            MailboxRow::Entry(entry) => {
                let bucket = entry.user.bucket();
                let placed = self.open(&entry.user).append(entry);
                self.seen.show(bucket, placed.position);
                Some(placed)
            }
            MailboxRow::Read { user, conversation, until } => {
                let list = &mut self.boxes.entry(user).or_default().list;
                list.entry(conversation).or_default().unread.read(until);
                None
            }
            MailboxRow::Recall(recalled) => {
                self.open(&recalled.user.clone()).recall(recalled);
                None
            }
            MailboxRow::Remove { user, conversation } => {
                if let Some(row) = self.boxes.entry(user).or_default().list.get_mut(&conversation) {
                    row.last = None;
                    row.unread.clear();
                }
                None
            }
        }
    }

    /// The box of a user that is about to be written to.
    fn open(&mut self, user: &UserKey) -> &mut UserBox {
        let last = self.head(user);
        let user_box = self.boxes.entry(user.clone()).or_default();
        user_box.last = last;
        user_box
    }

    fn head(&self, user: &UserKey) -> Position {
        let last = self.boxes.get(user).map_or(Position::START, |user| user.last);
        last.max(self.seen.floors.get(&user.bucket()).copied().unwrap_or_default())
    }

    fn range(&self, query: &RangeQuery) -> Page {
        let mut page = Page { head: self.head(&query.user), finished: true, ..Page::default() };
        let Some(user) = self.boxes.get(&query.user) else {
            return page;
        };
        page.recalled.extend(&user.recalled);
        let mut bytes = 0usize;
        let after = query.after.max(Position(self.expired_before.0.saturating_sub(1)));
        for (position, (side, record)) in
            user.timeline.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
        {
            bytes = bytes.saturating_add(record.len());
            let is_full = page.entries.len() >= query.entries_max || bytes > query.bytes_max;
            if is_full && !page.entries.is_empty() {
                page.finished = false;
                break;
            }
            page.entries.push(StoredEntry { position: *position, side: *side, record: record.clone() });
        }
        page
    }

    fn list(&self, query: &ListQuery) -> Vec<ListRow> {
        let Some(user) = self.boxes.get(&query.user) else {
            return Vec::new();
        };
        let mut rows: Vec<ListRow> =
            user.list.iter().filter_map(|(conversation, row)| row.shown(conversation)).collect();
        rows.retain(|row| is_asked_for(query.kind, query.before, row));
        sort_list(&mut rows);
        rows.truncate(query.count);
        rows
    }
}

impl Seen {
    fn show(&mut self, bucket: BucketId, position: Position) {
        let shown = self.shown.entry(bucket).or_default();
        *shown = position.max(*shown);
    }
}

impl Row {
    fn shown(&self, conversation: &Conversation) -> Option<ListRow> {
        let (sent, side, record) = self.last.clone()?;
        Some(ListRow {
            conversation: conversation.clone(),
            record,
            sent,
            side,
            unread: self.unread.count(),
            read_until: self.unread.read_until(),
        })
    }
}

fn is_asked_for(kind: Option<ConversationType>, before: Timestamp, row: &ListRow) -> bool {
    kind.is_none_or(|kind| row.conversation.kind == kind) && (before == Timestamp::ZERO || row.sent < before)
}

/// Newest first; equal times in the order of the conversations, so that every mailbox answers alike.
fn sort_list(rows: &mut [ListRow]) {
    rows.sort_unstable_by(|a, b| b.sent.cmp(&a.sent).then_with(|| a.conversation.cmp(&b.conversation)));
}

impl MemoryMailbox {
    /// From now on a bucket cannot be written, whoever tries; or it can be.
    pub fn set_damaged(&self, bucket: BucketId, is_damaged: bool) {
        let damaged = &mut self.tables.lock().damaged;
        if is_damaged {
            damaged.insert(bucket);
        } else {
            damaged.remove(&bucket);
        }
    }

    /// From now on nothing can be written, but perhaps later; or it can be.
    pub fn set_away(&self, is_away: bool) {
        self.tables.lock().is_away = is_away;
    }

    /// An empty mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tables as the process with that number has them. What one handle has written another does not know of.
    pub fn handle(&self, handle: u64) -> Self {
        Self { tables: Arc::clone(&self.tables), handle }
    }

    /// What it holds now, to come back to.
    pub fn save(&self) -> SavedMailbox {
        SavedMailbox(self.tables.lock().clone())
    }

    /// Forgets what was written since: the tables are as they were, and new positions are above all that was ever shown.
    pub fn roll_back(&self, saved: &SavedMailbox) {
        let mut tables = self.tables.lock();
        let mut seen = std::mem::take(&mut tables.seen);
        seen.floors.clone_from(&seen.shown);
        seen.rollbacks += 1;
        *tables = Tables { seen, ..saved.0.clone() };
    }

    /// Asks for everything to be made anew from the log.
    pub fn ask_rebuild(&self) {
        let mut tables = self.tables.lock();
        tables.rebuild += 1;
        tables.applied.clear();
    }

    fn ready<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let result = work(&mut self.tables.lock());
        Box::pin(std::future::ready(Ok(result)))
    }
}

impl Mailbox for MemoryMailbox {
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Vec<Vec<Option<Placed>>>, StoreError>> {
        let result = self.tables.lock().apply(self.handle, batch);
        Box::pin(std::future::ready(result))
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.ready(|tables| tables.range(&query))
    }

    fn head(&self, user: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>> {
        self.ready(|tables| tables.head(user))
    }

    fn lift(&self, user: &UserKey, floor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            let user_box = tables.open(user);
            user_box.last = user_box.last.max(floor);
            tables.seen.show(user.bucket(), floor);
        })
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>> {
        self.ready(|tables| tables.list(&query))
    }

    fn set_cursor(&self, user: &UserKey, device: &DeviceId, cursor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            let known = tables.boxes.entry(user.clone()).or_default().cursors.entry(device.clone()).or_default();
            *known = cursor.max(*known);
        })
    }

    fn cursor(&self, user: &UserKey, device: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>> {
        self.ready(|tables| tables.boxes.get(user).and_then(|user| user.cursors.get(device).copied()))
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        self.ready(|tables| tables.applied.get(&partition).copied().unwrap_or_default())
    }

    fn begin_replay(&self, partition: PartitionId) -> BoxFuture<'_, Result<ReplayFrom, StoreError>> {
        let own = self.handle;
        self.ready(move |tables| {
            tables.seen.written.retain(|(handle, _, written), _| (*handle, *written) != (own, partition));
            tables.seen.replayed.insert((own, partition), tables.rebuild);
            match tables.applied.get(&partition) {
                None if tables.rebuild > 0 => ReplayFrom::Anew,
                mark => ReplayFrom::Mark(mark.copied().unwrap_or_default()),
            }
        })
    }

    fn written<'a>(&'a self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Offset>, StoreError>> {
        self.ready(|tables| {
            let newest = |partition: &PartitionId| {
                let marks = tables.marks.iter().filter(|((_, of), _)| of == partition);
                marks.map(|(_, mark)| mark.next).max().unwrap_or(Offset::START)
            };
            partitions.iter().map(newest).collect()
        })
    }

    fn rollbacks(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.ready(|tables| tables.seen.rollbacks)
    }

    fn rebuilds(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.ready(|tables| tables.rebuild)
    }

    fn applied(&self, partition: PartitionId, mark: Mark) -> BoxFuture<'_, Result<(), StoreError>> {
        let own = self.handle;
        self.ready(move |tables| {
            // What was applied for an older rebuild is not there any more.
            if tables.seen.replayed.get(&(own, partition)).copied().unwrap_or_default() == tables.rebuild {
                let applied = tables.applied.entry(partition).or_default();
                *applied = mark.max(*applied);
            }
        })
    }

    fn set_online(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, StoreError>> {
        self.ready(|tables| {
            let user = tables.boxes.entry(user.clone()).or_default();
            let newest = user.online.entry(node).or_default();
            *newest = connection.max(*newest);
            user.online()
        })
    }

    fn set_offline(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            if let Some(user) = tables.boxes.get_mut(user) {
                user.online.retain(|noted, newest| *noted != node || *newest > connection);
            }
        })
    }

    fn online(&self, user: &UserKey) -> BoxFuture<'_, Result<Online, StoreError>> {
        self.ready(|tables| tables.boxes.get(user).map(UserBox::online).unwrap_or_default())
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            tables.expired_before = tables.expired_before.max(time);
            for user in tables.boxes.values_mut() {
                user.timeline = user.timeline.split_off(&Position(time.0));
                user.recalled.retain(|uid| uid.sent_time().plus(RECALLED_KEPT_MS) >= time);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::mailbox::MailboxFixture;

    #[derive(Default)]
    struct Fixture {
        mailbox: MemoryMailbox,
        saved: Mutex<Option<SavedMailbox>>,
    }

    impl MailboxFixture for Fixture {
        fn create(&self) -> BoxFuture<'_, Arc<dyn Mailbox>> {
            Box::pin(std::future::ready(Arc::new(self.mailbox.clone()) as Arc<dyn Mailbox>))
        }

        fn save(&self) -> BoxFuture<'_, ()> {
            *self.saved.lock() = Some(self.mailbox.save());
            Box::pin(std::future::ready(()))
        }

        fn roll_back(&self) -> BoxFuture<'_, bool> {
            self.mailbox.roll_back(self.saved.lock().as_ref().unwrap());
            Box::pin(std::future::ready(true))
        }

        fn ask_rebuild(&self) -> BoxFuture<'_, bool> {
            self.mailbox.ask_rebuild();
            Box::pin(std::future::ready(true))
        }

        fn settle(&self, mailbox: Arc<dyn Mailbox>) -> BoxFuture<'_, Arc<dyn Mailbox>> {
            Box::pin(std::future::ready(mailbox))
        }
    }

    crate::mailbox_suite!(Fixture::default());
}
