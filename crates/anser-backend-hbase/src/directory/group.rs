//! Groups as they lie in HBase: which part of one a change needs, and what of it has changed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anser_backend::{GroupMember, GroupView};
use anser_types::codec::DecodeError;
use anser_types::record::{RosterChange, RosterRecord, group_of};
use anser_types::{Offset, Subject, Timestamp, UserId, UserKey};

use crate::format::{group as row, groups_of};
use crate::table::{Columns, RowWrite, split};

/// Whose memberships a change may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Members {
    Of(BTreeSet<UserId>),
    All,
}

impl Members {
    pub(super) const fn nobody() -> Self {
        Self::Of(BTreeSet::new())
    }

    /// Adds those whom another change may touch.
    pub(super) fn add(&mut self, change: &RosterChange) {
        match change {
            RosterChange::Join { users, .. }
            | RosterChange::Quit { users }
            | RosterChange::Mute { users, .. }
            | RosterChange::Unmute { users } => {
                if let Self::Of(some) = self {
                    some.extend(users.iter().cloned());
                }
            }
            RosterChange::Dismiss => *self = Self::All,
            RosterChange::Rename { .. } | RosterChange::Block { .. } | RosterChange::Unblock { .. } => {}
        }
    }

    fn has(&self, user: &UserId) -> bool {
        match self {
            Self::Of(some) => some.contains(user),
            Self::All => true,
        }
    }
}

/// A group from its columns, with those members that are among them; `None` if there is none.
///
/// The columns of members may be ahead of the group itself, when a change that needed several calls did not get to its end.
/// They are taken back to where the group says it is; the replay makes the change again.
pub(super) fn read(mut columns: Columns) -> Result<Option<GroupView>, DecodeError> {
    let Some(stored) = columns.remove(row::COLUMN) else {
        return Ok(None);
    };
    let mut view = row::read(stored)?;
    for (column, stored) in columns {
        view.members.extend(row::read_memberships(&column, stored)?);
    }
    let next = view.next;
    view.members.retain(|member| member.joined_at < next);
    for member in &mut view.members {
        if member.left_at.is_some_and(|left_at| left_at >= next) {
            member.left_at = None;
            member.left = Timestamp::ZERO;
        }
    }
    Ok(Some(view))
}

/// A group under change.
#[derive(Debug)]
pub(super) struct Group {
    subject: Subject,
    view: GroupView,
    before: Vec<GroupMember>,
    is_changed: bool,
    /// Whose memberships are written, also where they are in the end what they were: what an owner before this one writes late has to find
    /// something newer.
    touched: Members,
}

/// What to write of a group: rows that come first, and the last one, by which all of it counts.
#[derive(Debug)]
pub(super) struct GroupWrites {
    pub(super) first: Vec<RowWrite>,
    pub(super) last: RowWrite,
}

impl Group {
    pub(super) fn new(subject: Subject, columns: Columns) -> Result<Self, DecodeError> {
        let view = read(columns)?.unwrap_or_default();
        Ok(Self { subject, before: view.members.clone(), view, is_changed: false, touched: Members::nobody() })
    }

    pub(super) fn take_back(&mut self, to: Offset) {
        self.view.take_back(to);
        self.touched = Members::All;
    }

    pub(super) fn apply(&mut self, offset: Offset, record: &RosterRecord) {
        if self.view.apply(offset, record) {
            self.is_changed = true;
            self.touched.add(&record.change);
        }
    }

    /// What has changed; `None` if nothing. A row that does not fit into one call comes in several.
    pub(super) fn into_writes(self, bytes_max: usize) -> Option<GroupWrites> {
        let (app, name) = group_of(&self.subject).filter(|_| self.is_changed)?;
        let (before, after) = (by_user(&self.before), by_user(&self.view.members));
        let mut users: BTreeSet<&UserId> = before.keys().chain(after.keys()).copied().collect();
        if let Members::Of(some) = &self.touched {
            users.extend(some);
        }
        let mut cells = Vec::new();
        let mut first = Vec::new();
        for user in users.into_iter().filter(|user| self.touched.has(user)) {
            let memberships = after.get(user).copied();
            cells.push((row::member_column(user), memberships.map(row::write_memberships)));
            let is_in = memberships.is_some_and(|all| all.iter().any(GroupMember::is_present));
            let own = groups_of::row(&UserKey::new(app.clone(), user.clone()));
            first.push(RowWrite { row: own, cells: vec![(groups_of::column(name), is_in.then(groups_of::write))] });
        }
        cells.push((row::COLUMN.to_vec(), Some(row::write(&self.view))));
        let (more, last) = split(RowWrite { row: row::row(&self.subject), cells }, bytes_max);
        first.extend(more);
        Some(GroupWrites { first, last })
    }
}

/// Memberships are in the order of users.
fn by_user(members: &[GroupMember]) -> BTreeMap<&UserId, &[GroupMember]> {
    members.chunk_by(|one, other| one.user == other.user).map(|all| (&all[0].user, all)).collect()
}

#[cfg(test)]
mod tests {
    use anser_types::TargetId;

    use super::*;
    use crate::format::tests::bob;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn record(time: u64, change: RosterChange) -> RosterRecord {
        let subject = Subject::group(bob().app, TargetId::new("g").unwrap());
        RosterRecord { subject, time: Timestamp(time), change }
    }

    fn join(users: &[&str]) -> RosterChange {
        RosterChange::Join { name: String::new(), users: users.iter().map(|name| user(name)).collect() }
    }

    fn quit(users: &[&str]) -> RosterChange {
        RosterChange::Quit { users: users.iter().map(|name| user(name)).collect() }
    }

    /// Applies to a group that lies in `columns`, and writes as much of it back as `calls` says.
    fn change(columns: &mut Columns, offset: u64, change: RosterChange, calls: usize) {
        let mut group = Group::new(record(0, RosterChange::Dismiss).subject, columns.clone()).unwrap();
        group.apply(Offset(offset), &record(offset, change));
        let Some(writes) = group.into_writes(150) else {
            return;
        };
        let own = writes.last.row.clone();
        let rows = writes.first.into_iter().filter(|write| write.row == own).chain([writes.last]);
        for (column, value) in rows.take(calls).flat_map(|write| write.cells) {
            match value {
                Some(value) => drop(columns.insert(column, value)),
                None => drop(columns.remove(&column)),
            }
        }
    }

    /// A large change may end after any of its calls: readers see the group as it was, and the replay completes it.
    #[test]
    fn a_change_in_many_calls_is_seen_as_a_whole() {
        for change_in_the_middle in [join(&["b", "x", "y", "z"]), quit(&["a", "b", "c"]), RosterChange::Dismiss] {
            for calls in 0..6 {
                let mut columns = Columns::new();
                change(&mut columns, 1, join(&["a", "b", "c", "d"]), usize::MAX);
                change(&mut columns, 2, quit(&["b"]), usize::MAX);
                let before = read(columns.clone()).unwrap().unwrap();
                let mut expected = before.clone();
                expected.apply(Offset(3), &record(3, change_in_the_middle.clone()));
                change(&mut columns, 3, change_in_the_middle.clone(), calls);
                let seen = read(columns.clone()).unwrap().unwrap();
                assert!(seen == before || seen == expected, "{calls}");
                change(&mut columns, 3, change_in_the_middle.clone(), usize::MAX);
                assert_eq!(read(columns).unwrap().unwrap(), expected);
            }
        }
    }

    /// What an owner before this one has sent and what comes late carries the older timestamp, and loses to what is there.
    #[test]
    fn who_was_muted_and_is_not_any_more_is_written_all_the_same() {
        let mut columns = Columns::new();
        change(&mut columns, 1, join(&["a", "b"]), usize::MAX);
        let mut group = Group::new(record(0, RosterChange::Dismiss).subject, columns).unwrap();
        let (users, until) = (vec![user("a")], Timestamp(u64::MAX));
        group.apply(Offset(2), &record(2, RosterChange::Mute { users: users.clone(), until }));
        group.apply(Offset(3), &record(3, RosterChange::Unmute { users }));
        let cells = group.into_writes(usize::MAX).unwrap().last.cells;
        assert!(cells.iter().any(|(column, _)| *column == row::member_column(&user("a"))));
        assert!(
            !cells.iter().any(|(column, _)| *column == row::member_column(&user("b"))),
            "nobody said anything of b"
        );
    }

    #[test]
    fn no_more_is_loaded_than_changes_touch() {
        let mut members = Members::nobody();
        members.add(&RosterChange::Rename { name: "n".into() });
        assert_eq!(members, Members::nobody());
        members.add(&join(&["b", "a"]));
        members.add(&quit(&["b"]));
        assert_eq!(members, Members::Of([user("a"), user("b")].into()));
        members.add(&RosterChange::Dismiss);
        members.add(&quit(&["b"]));
        assert_eq!(members, Members::All);
    }
}
