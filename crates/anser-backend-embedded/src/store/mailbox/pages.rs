//! Puts pages of a timeline together, from memory and from disk.

use std::ops::Bound;

use anser_backend::{Page, RangeQuery, StoreError, StoredEntry};
use anser_types::{MessageUid, Position, Timestamp};

use super::user_box::UserBox;
use crate::store::disk::{Disk, Table};
use crate::store::error::damaged;
use crate::store::format::chunk::{self, Item};
use crate::store::format::user_key;

/// A page under way.
#[derive(Debug)]
pub(super) struct PageBuilder {
    page: Page,
    entries_max: usize,
    bytes_left: usize,
}

impl PageBuilder {
    fn new(query: &RangeQuery, head: Position, recalled: Vec<MessageUid>) -> Self {
        let page = Page { entries: Vec::new(), head, finished: true, recalled };
        Self { page, entries_max: query.entries_max.max(1), bytes_left: query.bytes_max }
    }

    /// Adds an entry if there is room. Returns whether there was.
    fn add(&mut self, entry: &StoredEntry) -> bool {
        let bytes = entry.record.len();
        let has_room = self.page.entries.len() < self.entries_max && bytes <= self.bytes_left;
        if !has_room && !self.page.entries.is_empty() {
            self.page.finished = false;
            return false;
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.page.entries.push(entry.clone());
        true
    }

    fn add_all<'a>(mut self, entries: impl Iterator<Item = &'a StoredEntry>) -> Page {
        for entry in entries {
            if !self.add(entry) {
                break;
            }
        }
        self.page
    }
}

/// A page that needs the disk: what is there up to where memory begins, then what memory held when it was asked for.
#[derive(Debug)]
pub(super) struct DiskPage {
    query: RangeQuery,
    after: Position,
    /// The last position that is to be read from disk.
    to: Position,
    recent: Vec<StoredEntry>,
    recalled: Vec<MessageUid>,
    head: Position,
}

/// Where a page comes from.
#[derive(Debug)]
pub(super) enum Plan {
    Done(Page),
    Disk(DiskPage),
}

/// Answers from memory, or says what to read. Entries before `expired` are left out.
pub(super) fn plan(user_box: &UserBox, query: RangeQuery, expired: Timestamp) -> Plan {
    let after = query.after.max(Position(expired.0.saturating_sub(1)));
    let window = user_box.window();
    let (head, recalled) = (user_box.last(), user_box.recalled(expired));
    if after.0 >= window.after() {
        return Plan::Done(PageBuilder::new(&query, head, recalled).add_all(window.later_than(after.0)));
    }
    // One more than fits, so that the page knows whether it is the last.
    let recent = window.later_than(window.after()).take(query.entries_max.saturating_add(1)).cloned().collect();
    Plan::Disk(DiskPage { query, after, to: Position(window.after()), recent, recalled, head })
}

impl DiskPage {
    /// Reads the page. Blocks.
    pub(super) fn read(self, disk: &Disk) -> Result<Page, StoreError> {
        let owner = user_key(&self.query.user);
        let mut builder = PageBuilder::new(&self.query, self.head, self.recalled);
        let from = Bound::Excluded(chunk::key(&owner, self.after.0));
        for row in disk.prefix_from(Table::Timelines, &owner, from) {
            let entries: Vec<StoredEntry> = chunk::read(row?.value).map_err(damaged("timelines"))?;
            for entry in entries.iter().filter(|entry| entry.position > self.after && entry.position <= self.to) {
                if !builder.add(entry) {
                    return Ok(builder.page);
                }
            }
            if entries.last().is_some_and(|entry| entry.place() >= self.to.0) {
                break;
            }
        }
        Ok(builder.add_all(self.recent.iter()))
    }
}
