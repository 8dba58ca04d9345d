//! What a run of changes makes of the views that it touches. Pure.

use std::collections::{BTreeMap, HashMap};

use anser_backend::{DirectoryChange, PrivateBlocks, Setting, UserView};
use anser_types::codec::DecodeError;
use anser_types::record::{RosterRecord, UserRecord, group_of};
use anser_types::{Offset, Subject, Timestamp, UserKey};

use super::group::{Group, Members};
use crate::format::{blacklist, blocked_users, blocks, group as group_row, setting, user_view};
use crate::table::{Columns, RowWrite};

/// What must be read before changes can be applied, by row key.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) groups: BTreeMap<Vec<u8>, (Subject, Members)>,
    pub(super) blocks: BTreeMap<Vec<u8>, Subject>,
    pub(super) users: BTreeMap<Vec<u8>, UserKey>,
}

/// Views under change, by row key.
#[derive(Debug, Default)]
pub(super) struct Views {
    groups: BTreeMap<Vec<u8>, Group>,
    blocks: BTreeMap<Vec<u8>, Blocks>,
    users: BTreeMap<Vec<u8>, User>,
    settings: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Setting>>,
    next: Offset,
}

#[derive(Debug)]
struct Blocks {
    subject: Subject,
    view: PrivateBlocks,
    is_changed: bool,
}

#[derive(Debug)]
struct User {
    key: UserKey,
    view: UserView,
    is_changed: bool,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Indexes, and what does not fit. First.
    pub(crate) first: Vec<RowWrite>,
    /// The views, by which all of it counts.
    pub(crate) then: Vec<RowWrite>,
    /// The offset behind the last change.
    pub(super) at: Offset,
}

impl Needs {
    pub(super) fn of(changes: &[(Offset, DirectoryChange)]) -> Self {
        let mut needs = Self::default();
        for (_, change) in changes {
            match change {
                DirectoryChange::Roster(record) => needs.add_roster(record),
                DirectoryChange::User(record) if UserView::is_concerned(&record.change) => {
                    needs.users.insert(user_view::row(&record.user), record.user.clone());
                }
                DirectoryChange::User(_) => {}
            }
        }
        needs
    }

    fn add_roster(&mut self, record: &RosterRecord) {
        let subject = || record.subject.clone();
        if group_of(&record.subject).is_some() {
            let group = self.groups.entry(group_row::row(&record.subject));
            group.or_insert_with(|| (subject(), Members::nobody())).1.add(&record.change);
        } else {
            self.blocks.entry(blocks::row(&record.subject)).or_insert_with(subject);
        }
    }

    /// The rows of blocks and users: all of them have one column of the same name.
    pub(super) fn single_rows(&self) -> Vec<Vec<u8>> {
        self.blocks.keys().chain(self.users.keys()).cloned().collect()
    }
}

impl Views {
    /// From what was read: columns of groups, and values of the other rows.
    pub(super) fn read(
        groups: BTreeMap<Vec<u8>, (Subject, Columns)>,
        blocks: BTreeMap<Vec<u8>, Subject>,
        users: BTreeMap<Vec<u8>, UserKey>,
        mut singles: HashMap<Vec<u8>, Vec<u8>>,
    ) -> Result<Self, DecodeError> {
        let mut views = Self::default();
        for (row, (subject, columns)) in groups {
            views.groups.insert(row, Group::new(subject, columns)?);
        }
        let mut found = |row: &[u8]| singles.remove(row);
        for (row, subject) in blocks {
            let view = found(&row).map(blocks::read).transpose()?.unwrap_or_default();
            views.blocks.insert(row, Blocks { subject, view, is_changed: false });
        }
        for (row, key) in users {
            let view = found(&row).map(user_view::read).transpose()?.unwrap_or_default();
            views.users.insert(row, User { key, view, is_changed: false });
        }
        Ok(views)
    }

    /// Takes all views back to an offset. Whatever is taken in from there on is written, also what is the same in the end: not all that
    /// belongs to a view can be seen in it.
    pub(super) fn take_back(&mut self, to: Offset) {
        self.groups.values_mut().for_each(|group| group.take_back(to));
        self.blocks.values_mut().for_each(|blocks| blocks.view.take_back(to));
        self.users.values_mut().for_each(|user| user.view.take_back(to));
    }

    /// Takes in the next change. It is one of those that said what must be read.
    pub(super) fn apply(&mut self, offset: Offset, change: &DirectoryChange) {
        self.next = self.next.max(offset.next());
        match change {
            DirectoryChange::Roster(record) => self.apply_roster(offset, record),
            DirectoryChange::User(record) => self.apply_user(offset, record),
        }
    }

    fn apply_roster(&mut self, offset: Offset, record: &RosterRecord) {
        if group_of(&record.subject).is_some() {
            if let Some(group) = self.groups.get_mut(&group_row::row(&record.subject)) {
                group.apply(offset, record);
            }
        } else if let Some(blocks) = self.blocks.get_mut(&blocks::row(&record.subject)) {
            blocks.is_changed |= blocks.view.apply(offset, record);
        }
    }

    fn apply_user(&mut self, offset: Offset, record: &UserRecord) {
        if UserView::is_concerned(&record.change)
            && let Some(user) = self.users.get_mut(&user_view::row(&record.user))
        {
            user.is_changed |= user.view.apply(offset, record);
        }
        // Times rise with offsets for one user; so the later one replaces the earlier, here and by the timestamp in HBase.
        if let Some(new) = Setting::of_record(record) {
            let settings = self.settings.entry(setting::row(&record.user)).or_default();
            settings.insert(setting::column(&new), new);
        }
    }

    /// What has changed.
    pub(super) fn into_writes(self, bytes_max: usize) -> Writes {
        let mut writes = Writes { at: self.next, ..Writes::default() };
        for group in self.groups.into_values() {
            if let Some(group) = group.into_writes(bytes_max) {
                writes.first.extend(group.first);
                writes.then.push(group.last);
            }
        }
        for (row, blocks) in self.blocks.into_iter().filter(|(_, blocks)| blocks.is_changed) {
            writes.first.extend(blacklists(&blocks.subject, blocks.view));
            writes.then.push(RowWrite::put(row, blocks::COLUMN, blocks::write(blocks.view)));
        }
        for (row, user) in self.users.into_iter().filter(|(_, user)| user.is_changed) {
            writes.first.push(sign_in_block(&user.key, user.view.blocked_until));
            writes.then.push(RowWrite::put(row, user_view::COLUMN, user_view::write(&user.view)));
        }
        for (row, settings) in self.settings {
            let cells = settings.into_iter().map(|(column, setting)| (column, Some(setting::write(&setting))));
            writes.first.push(RowWrite { row, cells: cells.collect() });
        }
        writes
    }
}

/// Both sides of a private chat, as each user's blacklist has them. In a chat with oneself there is one side.
fn blacklists(subject: &Subject, blocks: PrivateBlocks) -> Vec<RowWrite> {
    let Subject::Private { app, low, high } = subject else {
        return Vec::new();
    };
    let mut sides = vec![(blocks.low_blocks, low, high)];
    if low != high {
        sides.push((blocks.high_blocks, high, low));
    }
    let side = |(is_blocked, by, other): (bool, _, _)| RowWrite {
        row: blacklist::row(&UserKey::new(app.clone(), Clone::clone(by))),
        cells: vec![(blacklist::column(other), is_blocked.then(blacklist::write))],
    };
    sides.into_iter().map(side).collect()
}

fn sign_in_block(user: &UserKey, until: Timestamp) -> RowWrite {
    let value = (until != Timestamp::ZERO).then(|| blocked_users::write(until));
    RowWrite { row: blocked_users::row(&user.app), cells: vec![(blocked_users::column(&user.user), value)] }
}

#[cfg(test)]
mod tests {
    use anser_types::record::UserChange;
    use anser_types::{Conversation, ConversationType, TargetId};

    use super::*;
    use crate::format::tests::{bob, chat};

    fn of_user(time: u64, change: UserChange) -> DirectoryChange {
        DirectoryChange::User(UserRecord { user: bob(), time: Timestamp(time), change })
    }

    fn setting(time: u64, value: &'static str) -> DirectoryChange {
        let conversation = Conversation::new(ConversationType::Private, TargetId::new("al").unwrap());
        of_user(time, UserChange::Setting { conversation, item: 1, value: value.into() })
    }

    #[test]
    fn settings_need_no_reading_and_the_last_one_stays() {
        let changes = [(Offset(3), setting(10, "old")), (Offset(4), setting(11, "new"))];
        let needs = Needs::of(&changes);
        assert!(needs.single_rows().is_empty() && needs.groups.is_empty());
        let mut views = Views::read(BTreeMap::new(), needs.blocks, needs.users, HashMap::new()).unwrap();
        changes.iter().for_each(|(offset, change)| views.apply(*offset, change));
        let writes = views.into_writes(1 << 20);
        assert_eq!((writes.first.len(), writes.first[0].cells.len(), writes.at), (1, 1, Offset(5)));
        let (column, value) = writes.first[0].cells[0].clone();
        assert_eq!(setting::read(&column, value.unwrap()).unwrap().value, "new");
    }

    #[test]
    fn what_a_view_contains_is_not_written_again() {
        let blocked = UserView { next: Offset(9), ..UserView::default() };
        let changes = [(Offset(8), of_user(10, UserChange::Unblocked))];
        let needs = Needs::of(&changes);
        let singles = HashMap::from([(user_view::row(&bob()), user_view::write(&blocked))]);
        let mut views = Views::read(BTreeMap::new(), needs.blocks, needs.users, singles).unwrap();
        views.apply(changes[0].0, &changes[0].1);
        let writes = views.into_writes(1 << 20);
        assert!(writes.first.is_empty() && writes.then.is_empty());
    }

    #[test]
    fn a_chat_with_oneself_has_one_side() {
        let blocks = PrivateBlocks { low_blocks: true, ..PrivateBlocks::default() };
        let own = Subject::private(bob().app, bob().user, bob().user);
        assert_eq!(blacklists(&own, blocks).len(), 1);
        assert!(blacklists(&own, blocks)[0].cells[0].1.is_some());
        let sides: Vec<_> = blacklists(&chat(), blocks).iter().map(|side| side.cells[0].1.is_some()).collect();
        assert_eq!(sides, [true, false]);
    }
}
