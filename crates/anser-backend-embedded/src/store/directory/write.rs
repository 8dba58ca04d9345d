//! Changes of the directory. They go to disk at once: each view knows what it contains, so none of them depends on what else a
//! crash leaves.

use anser_backend::{DirectoryChange, GroupMember, GroupView, PrivateBlocks, Setting, StoreError, UserView};
use anser_types::record::{RosterChange, RosterRecord, UserRecord, group_of};
use anser_types::{Offset, Subject, TargetId, UserId, UserKey};

use super::read;
use crate::store::disk::{Batch, Disk, Table};
use crate::store::format::{group, member, private, setting, user_view, value};

/// Writes the changes, one after the other, each as a whole.
pub(super) fn write_all(disk: &Disk, changes: &[(Offset, DirectoryChange)]) -> Result<(), StoreError> {
    for (offset, change) in changes {
        match change {
            DirectoryChange::Roster(record) => write_roster(disk, *offset, record)?,
            DirectoryChange::User(record) => write_user(disk, *offset, record)?,
        }
    }
    Ok(())
}

fn write_roster(disk: &Disk, offset: Offset, record: &RosterRecord) -> Result<(), StoreError> {
    match group_of(&record.subject) {
        Some((_, group)) => write_group(disk, offset, record, group),
        None => write_blocks(disk, offset, record),
    }
}

/// Loads no more of a group than the record can change, folds, and writes what has.
fn write_group(disk: &Disk, offset: Offset, record: &RosterRecord, name: &TargetId) -> Result<(), StoreError> {
    let subject = &record.subject;
    let mut view = read::group_head(disk, subject)?.unwrap_or_default();
    if offset < view.next {
        return Ok(());
    }
    view.members = match named(&record.change) {
        Named::Nobody => Vec::new(),
        Named::Some(users) => read::memberships(disk, subject, users)?,
        Named::All => read::members(disk, subject)?,
    };
    let before = view.members.clone();
    view.apply(offset, record);
    let mut batch = Batch::default();
    batch.insert(Table::Directory, group::key(subject), group::write(&view));
    write_members(&mut batch, subject, name, &before, &view);
    disk.write(&batch)
}

/// Whose rows a change may touch.
enum Named<'a> {
    Nobody,
    Some(&'a [UserId]),
    All,
}

fn named(change: &RosterChange) -> Named<'_> {
    match change {
        RosterChange::Join { users, .. }
        | RosterChange::Quit { users }
        | RosterChange::Mute { users, .. }
        | RosterChange::Unmute { users } => Named::Some(users),
        RosterChange::Dismiss => Named::All,
        RosterChange::Rename { .. } | RosterChange::Block { .. } | RosterChange::Unblock { .. } => Named::Nobody,
    }
}

/// Writes the difference between two lists of memberships, both in the order of user and offset of joining.
fn write_members(batch: &mut Batch, subject: &Subject, name: &TargetId, before: &[GroupMember], view: &GroupView) {
    let place = |list: &[GroupMember], one: &GroupMember| {
        list.binary_search_by(|other| (&other.user, other.joined_at).cmp(&(&one.user, one.joined_at))).ok()
    };
    for old in before {
        if place(&view.members, old).is_none() {
            batch.remove(Table::Directory, member::key(subject, old));
        }
    }
    for new in &view.members {
        if place(before, new).and_then(|at| before.get(at)) == Some(new) {
            continue;
        }
        batch.insert(Table::Directory, member::key(subject, new), member::write(new));
        let own = member::group_of_user_key(&UserKey::new(subject.app().clone(), new.user.clone()), name);
        if new.is_present() {
            batch.insert(Table::Directory, own, value(|_| {}));
        } else if view.member(&new.user).is_none() {
            batch.remove(Table::Directory, own);
        }
    }
}

fn write_blocks(disk: &Disk, offset: Offset, record: &RosterRecord) -> Result<(), StoreError> {
    let Subject::Private { app, low, high } = &record.subject else {
        return Ok(());
    };
    let before = read::blocks(disk, &record.subject)?;
    let mut blocks = before;
    if !blocks.apply(offset, record) {
        return Ok(());
    }
    let mut batch = Batch::default();
    batch.insert(Table::Directory, private::key(&record.subject), private::write(blocks));
    let user = |user: &UserId| UserKey::new(app.clone(), user.clone());
    let is_blocked = |blocks: PrivateBlocks| [(blocks.low_blocks, low, high), (blocks.high_blocks, high, low)];
    for (blocks, by, other) in is_blocked(blocks) {
        let key = private::blacklist_key(&user(by), other);
        if blocks {
            batch.insert(Table::Directory, key, value(|_| {}));
        } else if low != high {
            batch.remove(Table::Directory, key);
        }
    }
    disk.write(&batch)
}

fn write_user(disk: &Disk, offset: Offset, record: &UserRecord) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    if UserView::is_concerned(&record.change) {
        let mut view = read::user(disk, &record.user)?.unwrap_or_default();
        if !view.apply(offset, record) {
            return Ok(());
        }
        batch.insert(Table::Directory, user_view::key(&record.user), user_view::write(&view));
        let blocked = user_view::blocked_key(&record.user);
        if view.blocked_until == anser_types::Timestamp::ZERO {
            batch.remove(Table::Directory, blocked);
        } else {
            batch.insert(Table::Directory, blocked, user_view::write_blocked(view.blocked_until));
        }
    }
    if let Some(new) = Setting::of_record(record) {
        let key = setting::key(&record.user, new.item, &new.conversation);
        if read::setting(disk, &key)?.is_some_and(|known| known.time >= new.time) {
            return Ok(());
        }
        batch.insert(Table::Directory, key, setting::write(&new));
    }
    disk.write(&batch)
}
