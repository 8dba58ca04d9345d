//! Reads of the directory. All of them block; those of single rows only for moments.

use std::ops::Bound;

use anser_backend::{GroupMember, GroupView, PrivateBlocks, Setting, Settings, StoreError, UserView};
use anser_types::codec::DecodeError;
use anser_types::{AppKey, Subject, TargetId, Timestamp, UserId, UserKey};

use crate::store::disk::{Disk, Row, Table};
use crate::store::error::damaged;
use crate::store::format::{group, member, private, setting, user_view};

const TABLE: Table = Table::Directory;

fn bad(error: DecodeError) -> StoreError {
    damaged("directory")(error)
}

/// Reads every row that begins with `prefix`.
fn rows<T>(disk: &Disk, prefix: &[u8], read: impl Fn(Row) -> Result<T, DecodeError>) -> Result<Vec<T>, StoreError> {
    disk.prefix(TABLE, prefix).map(|row| read(row?).map_err(bad)).collect()
}

/// A group without its members.
pub(super) fn group_head(disk: &Disk, subject: &Subject) -> Result<Option<GroupView>, StoreError> {
    disk.get(TABLE, group::key(subject))?.map(group::read).transpose().map_err(bad)
}

/// A group with its members. A change that comes between the rows shows, or does not, with the offset it leads to: readers
/// that must know look at that.
pub(super) fn group(disk: &Disk, subject: &Subject) -> Result<Option<GroupView>, StoreError> {
    let Some(mut view) = group_head(disk, subject)? else {
        return Ok(None);
    };
    view.members = members(disk, subject)?;
    Ok(Some(view))
}

/// All members of a group, present and past.
pub(super) fn members(disk: &Disk, subject: &Subject) -> Result<Vec<GroupMember>, StoreError> {
    let prefix = member::prefix(subject);
    rows(disk, &prefix, |row| member::read(&row.key, prefix.len(), row.value))
}

/// The memberships of some users, in the order of user and offset of joining.
pub(super) fn memberships(disk: &Disk, subject: &Subject, users: &[UserId]) -> Result<Vec<GroupMember>, StoreError> {
    let prefix_len = member::prefix(subject).len();
    let mut users: Vec<&UserId> = users.iter().collect();
    users.sort_unstable();
    users.dedup();
    let mut found = Vec::new();
    for user in users {
        let prefix = member::user_prefix(subject, user);
        found.extend(rows(disk, &prefix, |row| member::read(&row.key, prefix_len, row.value))?);
    }
    Ok(found)
}

/// The present membership of a user.
pub(super) fn member(disk: &Disk, subject: &Subject, user: &UserId) -> Result<Option<GroupMember>, StoreError> {
    let found = memberships(disk, subject, std::slice::from_ref(user))?;
    Ok(found.into_iter().find(GroupMember::is_present))
}

/// The groups of a user, with their names.
pub(super) fn groups_of(
    disk: &Disk,
    user: &UserKey,
    after: Option<&TargetId>,
    count: usize,
) -> Result<Vec<(TargetId, String)>, StoreError> {
    let prefix = member::groups_prefix(user);
    let from = match after {
        Some(after) => Bound::Excluded(member::group_of_user_key(user, after)),
        None => Bound::Included(prefix.clone()),
    };
    let mut groups = Vec::new();
    for row in disk.prefix_from(TABLE, &prefix, from).take(count) {
        let name = member::group_of_user(&row?.key, prefix.len()).map_err(bad)?;
        let view = group_head(disk, &Subject::group(user.app.clone(), name.clone()))?;
        groups.push((name, view.unwrap_or_default().name));
    }
    Ok(groups)
}

pub(super) fn blocks(disk: &Disk, subject: &Subject) -> Result<PrivateBlocks, StoreError> {
    let stored = disk.get(TABLE, private::key(subject))?;
    stored.map_or_else(|| Ok(PrivateBlocks::default()), private::read).map_err(bad)
}

pub(super) fn blacklist(disk: &Disk, user: &UserKey) -> Result<Vec<UserId>, StoreError> {
    let prefix = private::blacklist_prefix(user);
    rows(disk, &prefix, |row| private::blocked(&row.key, prefix.len()))
}

pub(super) fn user(disk: &Disk, user: &UserKey) -> Result<Option<UserView>, StoreError> {
    disk.get(TABLE, user_view::key(user))?.map(user_view::read).transpose().map_err(bad)
}

pub(super) fn blocked_users(disk: &Disk, app: &AppKey, now: Timestamp) -> Result<Vec<(UserId, Timestamp)>, StoreError> {
    let prefix = user_view::blocked_prefix(app);
    let mut blocked = rows(disk, &prefix, |row| user_view::read_blocked(&row.key, prefix.len(), row.value))?;
    blocked.retain(|(_, until)| *until > now);
    Ok(blocked)
}

pub(super) fn setting(disk: &Disk, key: &[u8]) -> Result<Option<Setting>, StoreError> {
    disk.get(TABLE, key)?.map(setting::read).transpose().map_err(bad)
}

pub(super) fn settings(disk: &Disk, user: &UserKey, version: Timestamp) -> Result<Settings, StoreError> {
    let all = rows(disk, &setting::prefix(user), |row| setting::read(row.value))?;
    let newest = all.iter().map(|setting| setting.time).max().unwrap_or_default();
    let mut settings: Vec<Setting> = all.into_iter().filter(|setting| setting.time > version).collect();
    settings.sort_unstable_by_key(|setting| setting.time);
    Ok(Settings { version: newest, settings })
}
