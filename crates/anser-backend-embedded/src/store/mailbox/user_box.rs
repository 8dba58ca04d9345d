//! What memory holds of one user: the newest entries, the list rows that were touched, cursors. Pure but for the tables it is
//! loaded from.

use std::collections::BTreeSet;

use anser_backend::{
    Counted, Online, Placed, RECALLED_KEPT_MS, RECALLED_MAX, RecalledEntry, Side, StoreError, StoredEntry,
    TimelineEntry,
};
use anser_types::{Conversation, DeviceId, MessageUid, Position, Timestamp, UserKey};
use bytes::Bytes;

use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::lift::Lift;
use crate::store::format::list_row::{Last, ListState};
use crate::store::format::{cursor, list_row, recalled, user_head};
use crate::store::hash::QuickMap;
use crate::store::window::Window;

/// Roughly what a user and a list row take beside what they hold.
const BOX_OVERHEAD: usize = 512;
const ROW_OVERHEAD: usize = 320;
/// Roughly what a message that was taken back takes.
const RECALLED_OVERHEAD: usize = 32;
/// A user's list rows are let go with the user, or when there are more than so many.
const ROWS_KEPT: usize = 128;
/// Cursors of so many terminals are held in memory until the next flush at most; others wait for it.
const CURSORS_MAX: usize = 64;

/// One user.
#[derive(Debug)]
pub(super) struct UserBox {
    last: Position,
    /// Lifts that a replay has not reached, in order.
    pending: Vec<Lift>,
    /// Lifts that have taken effect, and whose rows the next flush removes.
    spent: Vec<Lift>,
    window: Window<StoredEntry>,
    rows: QuickMap<Conversation, Row>,
    /// Whether `rows` holds all there are.
    has_all_rows: bool,
    cursors: QuickMap<DeviceId, Position>,
    /// What was taken back; mostly nothing.
    #[expect(
        clippy::box_collection,
        reason = "a word for each of the many users of whom nothing is taken back, not three"
    )]
    recalled: Option<Box<BTreeSet<MessageUid>>>,
    /// What is held, as counted by the budget.
    held: usize,
    changes: Changes,
    /// Used since the sweeper last came by.
    pub(super) is_recent: bool,
}

/// How the box differs from what is on disk.
#[derive(Debug, Default)]
struct Changes {
    is_recalled: bool,
    is_queued: bool,
    is_in_flight: bool,
}

#[derive(Debug, Default)]
struct Row {
    state: ListState,
    is_changed: bool,
}

/// What a flush writes of one user.
#[derive(Debug)]
pub(in crate::store) struct CapturedUser {
    pub(in crate::store) user: UserKey,
    pub(in crate::store) last: Position,
    pub(in crate::store) entries: Vec<StoredEntry>,
    pub(in crate::store) rows: Vec<(Conversation, ListState)>,
    pub(in crate::store) cursors: Vec<(DeviceId, Position)>,
    pub(in crate::store) spent: Vec<Lift>,
    pub(in crate::store) has_recalled: bool,
    /// If it has changed.
    pub(in crate::store) recalled: Option<BTreeSet<MessageUid>>,
}

impl UserBox {
    /// Loads a user, or makes one that nobody has written to. `lifts` are those that no flush has taken in.
    pub(super) fn load(disk: &Disk, user: &UserKey, mut lifts: Vec<Lift>) -> Result<Self, StoreError> {
        let head = disk.get(Table::Users, user_head::key(user))?;
        let is_new = head.is_none();
        let head = head.map_or(Ok((Position::START, false)), user_head::read_head);
        let (last, has_recalled) = head.map_err(damaged("users"))?;
        let stored = if has_recalled { disk.get(Table::Users, recalled::key(user))? } else { None };
        let recalled = stored.map(recalled::read).transpose().map_err(damaged("users"))?.map(Box::new);
        lifts.sort_unstable();
        let mut loaded = Self {
            last,
            pending: lifts,
            spent: Vec::new(),
            window: Window::at(last.0),
            rows: QuickMap::default(),
            has_all_rows: is_new,
            cursors: QuickMap::default(),
            held: BOX_OVERHEAD + recalled.as_ref().map_or(0, |uids| uids.len() * RECALLED_OVERHEAD),
            recalled,
            changes: Changes::default(),
            is_recent: true,
        };
        loaded.spend_lifts();
        Ok(loaded)
    }

    /// Reads the row of a conversation, if it is not here. Returns what it takes in memory.
    pub(super) fn load_row(
        &mut self,
        disk: &Disk,
        user: &UserKey,
        conversation: &Conversation,
    ) -> Result<usize, StoreError> {
        if self.has_all_rows || self.rows.contains_key(conversation) {
            return Ok(0);
        }
        let stored = disk.get(Table::Users, list_row::key(user, conversation))?;
        let mut state = stored.map_or(Ok(ListState::default()), list_row::read).map_err(damaged("users"))?;
        if let Some(last) = &mut state.last {
            // A copy, so that the row does not keep a whole block of the database in memory.
            last.record = Bytes::copy_from_slice(&last.record);
        }
        self.held += ROW_OVERHEAD;
        self.rows.insert(conversation.clone(), Row { state, is_changed: false });
        Ok(ROW_OVERHEAD)
    }

    /// Appends an entry; its list row has been loaded. Returns where it went and what it adds to what is not on disk.
    pub(super) fn append(&mut self, entry: TimelineEntry) -> (Placed, usize) {
        let previous = self.last;
        let position = Position::after(previous, entry.sent);
        self.last = position;
        if let Some(listed) = entry.listed {
            let row = self.row(listed.conversation);
            row.state.last = Some(Last { sent: entry.sent, side: entry.side, record: entry.record.clone() });
            if listed.counted == Counted::Yes && entry.side == Side::Inbox {
                row.state.unread.add(entry.sent);
            }
        }
        let cost = self.window.push(StoredEntry { position, side: entry.side, record: entry.record });
        self.held += cost;
        self.spend_lifts();
        (Placed { previous, position, online: Online::new() }, cost)
    }

    /// The user has read a conversation, whose row has been loaded.
    pub(super) fn read(&mut self, conversation: Conversation, until: Timestamp) {
        self.row(conversation).state.unread.read(until);
    }

    /// A message was taken back; the row of its conversation has been loaded.
    pub(super) fn recall(&mut self, recalled: RecalledEntry) {
        let RecalledEntry { conversation, uid, sent, by_sent, by_side, by_record, .. } = recalled;
        let known = self.recalled.get_or_insert_default();
        if known.insert(uid) {
            self.changes.is_recalled = true;
            if known.len() > RECALLED_MAX {
                known.pop_first();
            } else {
                self.held += RECALLED_OVERHEAD;
            }
        }
        let Some(row) = self.rows.get_mut(&conversation) else {
            return;
        };
        row.is_changed = true;
        row.state.unread.recall(sent);
        if let Some(last) = row.state.last.as_mut().filter(|last| last.sent == sent) {
            *last = Last { sent: by_sent, side: by_side, record: by_record };
        }
    }

    /// What was taken back of the timeline, as far as entries of that time may still be there.
    pub(super) fn recalled(&self, expired: Timestamp) -> Vec<MessageUid> {
        let uids = self.recalled.iter().flat_map(|uids| uids.iter());
        uids.filter(|uid| is_kept(uid, expired)).copied().collect()
    }

    /// A conversation leaves the list; its row has been loaded.
    pub(super) fn remove(&mut self, conversation: Conversation) {
        let state = &mut self.row(conversation).state;
        state.last = None;
        state.unread.clear();
    }

    fn row(&mut self, conversation: Conversation) -> &mut Row {
        let row = self.rows.entry(conversation).or_insert_with(|| {
            self.held += ROW_OVERHEAD;
            Row::default()
        });
        row.is_changed = true;
        row
    }

    /// Notes a lift that has been made durable.
    pub(super) fn lift(&mut self, lift: Lift) {
        self.pending.push(lift);
        self.pending.sort_unstable();
        self.spend_lifts();
    }

    fn spend_lifts(&mut self) {
        while let Some(lift) = self.pending.first().copied().filter(|lift| lift.after <= self.last) {
            self.pending.remove(0);
            self.last = self.last.max(lift.floor);
            self.spent.push(lift);
        }
    }

    /// Notes how far a terminal has got. Returns whether that is news; if too many wait for the next flush it is dropped, for
    /// a cursor is a hint.
    pub(super) fn set_cursor(
        &mut self,
        disk: &Disk,
        user: &UserKey,
        device: &DeviceId,
        cursor: Position,
    ) -> Result<bool, StoreError> {
        let known = self.cursor(disk, user, device)?;
        let is_news = known.is_none_or(|known| known < cursor) && self.cursors.len() < CURSORS_MAX;
        if is_news {
            self.cursors.insert(device.clone(), cursor);
        }
        Ok(is_news)
    }

    /// How far a terminal had got.
    pub(super) fn cursor(
        &self,
        disk: &Disk,
        user: &UserKey,
        device: &DeviceId,
    ) -> Result<Option<Position>, StoreError> {
        if let Some(cursor) = self.cursors.get(device) {
            return Ok(Some(*cursor));
        }
        let stored = disk.get(Table::Users, cursor::key(user, device))?;
        stored.map(cursor::read).transpose().map_err(damaged("users"))
    }

    pub(super) const fn last(&self) -> Position {
        self.last
    }

    pub(super) const fn window(&self) -> &Window<StoredEntry> {
        &self.window
    }

    /// The rows that are in memory, and whether there are no others.
    pub(super) fn rows(&self) -> (impl Iterator<Item = (&Conversation, &ListState)>, bool) {
        (self.rows.iter().map(|(conversation, row)| (conversation, &row.state)), self.has_all_rows)
    }

    /// Whether something differs from the disk since the box was last captured or loaded, and nobody has queued it yet.
    /// From now on it counts as queued.
    pub(super) fn needs_queueing(&mut self) -> bool {
        !std::mem::replace(&mut self.changes.is_queued, true)
    }

    /// Takes what the next flush writes.
    pub(super) fn capture(&mut self, user: UserKey, expired: Timestamp) -> CapturedUser {
        let is_recalled = self.changes.is_recalled;
        self.changes = Changes { is_recalled: false, is_queued: false, is_in_flight: true };
        if let Some(uids) = self.recalled.as_mut().filter(|_| is_recalled) {
            uids.retain(|uid| is_kept(uid, expired));
        }
        let changed = self.rows.iter_mut().filter_map(|(conversation, row)| {
            std::mem::take(&mut row.is_changed).then(|| (conversation.clone(), row.state.clone()))
        });
        CapturedUser {
            user,
            last: self.last,
            rows: changed.collect(),
            entries: self.window.unflushed(),
            cursors: self.cursors.iter().map(|(device, cursor)| (device.clone(), *cursor)).collect(),
            spent: std::mem::take(&mut self.spent),
            has_recalled: self.recalled.is_some(),
            recalled: self.recalled.as_deref().filter(|_| is_recalled).cloned(),
        }
    }

    /// That flush is on disk.
    pub(super) fn note_flushed(&mut self, captured: &CapturedUser) {
        self.changes.is_in_flight = false;
        if let Some(entry) = captured.entries.last() {
            self.window.note_flushed(entry.position.0);
        }
        for (device, cursor) in &captured.cursors {
            if self.cursors.get(device) == Some(cursor) {
                self.cursors.remove(device);
            }
        }
    }

    /// Lets go of what is on disk until at most `keep` entries are left. Returns the memory that is free now.
    pub(super) fn evict(&mut self, keep: usize) -> usize {
        let mut freed = self.window.evict(keep);
        if !self.changes.is_in_flight && self.rows.len() > ROWS_KEPT {
            let before = self.rows.len();
            self.rows.retain(|_, row| row.is_changed);
            self.has_all_rows = false;
            freed += (before - self.rows.len()) * ROW_OVERHEAD;
        }
        self.held = self.held.saturating_sub(freed);
        freed
    }

    /// Whether nothing would be lost if the whole box were let go.
    pub(super) fn is_clean(&self) -> bool {
        !self.changes.is_queued && !self.changes.is_in_flight && self.pending.is_empty()
    }

    /// What it takes in memory.
    pub(super) const fn held(&self) -> usize {
        self.held
    }
}

/// Whether an entry of this message may still be there.
fn is_kept(uid: &MessageUid, expired: Timestamp) -> bool {
    uid.sent_time().plus(RECALLED_KEPT_MS) >= expired
}
