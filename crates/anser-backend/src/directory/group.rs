//! How roster records become a view of a group, or of who blocks whom. Pure: every directory and every owner folds alike.

#[cfg(test)]
mod tests;

use anser_types::record::{RosterChange, RosterRecord};
use anser_types::{Offset, Subject, Timestamp, UserId};

use super::{GroupMember, GroupView, PrivateBlocks};

/// How long a view keeps who has left, in milliseconds: far longer than a replay reaches back.
const PAST_KEPT_MS: u64 = 24 * 3600 * 1000;
/// How many ended memberships of one user a view keeps; the oldest go first. A message that is replayed must find the
/// members of its time, so this is more often than anybody comes and goes within what a replay reaches back.
const PAST_PER_USER_MAX: usize = 64;

impl GroupMember {
    /// Whether a record at `offset` is for this member.
    pub fn was_in_at(&self, offset: Offset) -> bool {
        self.joined_at <= offset && self.left_at.is_none_or(|left| offset < left)
    }

    /// Whether the membership goes on.
    pub const fn is_present(&self) -> bool {
        self.left_at.is_none()
    }

    const fn leave(&mut self, offset: Offset, time: Timestamp) {
        self.left_at = Some(offset);
        self.left = time;
    }
}

impl GroupView {
    /// The present member with this id.
    pub fn member(&self, user: &UserId) -> Option<&GroupMember> {
        self.place_of(user).and_then(|place| self.members.get(place))
    }

    /// The present members, by user id.
    pub fn present(&self) -> impl Iterator<Item = &GroupMember> {
        self.members.iter().filter(|member| member.is_present())
    }

    /// Whoever was a member when the record at `offset` was written, by user id.
    pub fn members_at(&self, offset: Offset) -> impl Iterator<Item = &GroupMember> {
        self.members.iter().filter(move |member| member.was_in_at(offset))
    }

    /// Takes the view back to what it was at an offset, as far as it can be told; what happened since is to be taken in again. What
    /// a view has lost of that time comes back so, and what is right already stays.
    pub fn take_back(&mut self, to: Offset) {
        if self.next <= to {
            return;
        }
        self.next = to;
        self.members.retain(|member| member.joined_at < to);
        for member in self.members.iter_mut().filter(|member| member.left_at.is_some_and(|left| left >= to)) {
            (member.left_at, member.left) = (None, Timestamp::ZERO);
        }
    }

    /// Takes in the record at `offset`, unless the view contains it already. Only members that the record names change,
    /// except by a dismissal; so a view that holds no others may be folded too. Returns whether the record was new.
    pub fn apply(&mut self, offset: Offset, record: &RosterRecord) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.next();
        match &record.change {
            RosterChange::Join { name, users } => self.join(offset, record.time, name, users),
            RosterChange::Quit { users } => self.each(users, |member| member.leave(offset, record.time)),
            RosterChange::Dismiss => self.dismiss(offset, record.time),
            RosterChange::Rename { name } => {
                if self.exists {
                    self.name.clone_from(name);
                }
            }
            RosterChange::Mute { users, until } => self.each(users, |member| member.muted_until = *until),
            RosterChange::Unmute { users } => self.each(users, |member| member.muted_until = Timestamp::ZERO),
            RosterChange::Block { .. } | RosterChange::Unblock { .. } => {}
        }
        self.forget_past(record.time);
        true
    }

    fn join(&mut self, offset: Offset, time: Timestamp, name: &str, users: &[UserId]) {
        if !self.exists {
            self.exists = true;
            self.created = time;
            self.name.clear();
        }
        // Later only where the view was taken back.
        self.created = time.min(self.created);
        if !name.is_empty() {
            name.clone_into(&mut self.name);
        }
        let mut joining: Vec<&UserId> = users.iter().filter(|user| self.place_of(user).is_none()).collect();
        joining.sort_unstable();
        joining.dedup();
        self.members.extend(joining.into_iter().map(|user| GroupMember {
            user: user.clone(),
            joined: time,
            joined_at: offset,
            left_at: None,
            left: Timestamp::ZERO,
            muted_until: Timestamp::ZERO,
        }));
        self.members.sort_unstable_by(|a, b| (&a.user, a.joined_at).cmp(&(&b.user, b.joined_at)));
    }

    fn dismiss(&mut self, offset: Offset, time: Timestamp) {
        self.exists = false;
        for member in self.members.iter_mut().filter(|member| member.is_present()) {
            member.leave(offset, time);
        }
    }

    fn each(&mut self, users: &[UserId], change: impl Fn(&mut GroupMember)) {
        for user in users {
            if let Some(member) = self.place_of(user).and_then(|place| self.members.get_mut(place)) {
                change(member);
            }
        }
    }

    /// Where the present membership of a user lies: it is the last one of that user.
    fn place_of(&self, user: &UserId) -> Option<usize> {
        let place = self.members.partition_point(|member| member.user <= *user).checked_sub(1)?;
        let member = self.members.get(place)?;
        (member.user == *user && member.is_present()).then_some(place)
    }

    fn forget_past(&mut self, now: Timestamp) {
        self.members.retain(|member| member.is_present() || member.left.plus(PAST_KEPT_MS) > now);
        let mut newer_of_same = 0;
        let mut after: Option<UserId> = None;
        let mut keep = vec![true; self.members.len()];
        for (member, keep) in self.members.iter().zip(&mut keep).rev() {
            if after.as_ref() != Some(&member.user) {
                after = Some(member.user.clone());
                newer_of_same = 0;
            }
            if !member.is_present() {
                newer_of_same += 1;
                *keep = newer_of_same <= PAST_PER_USER_MAX;
            }
        }
        let mut keep = keep.into_iter();
        self.members.retain(|_| keep.next().unwrap_or(true));
    }
}

impl PrivateBlocks {
    /// As [`GroupView::take_back`].
    pub fn take_back(&mut self, to: Offset) {
        self.next = to.min(self.next);
    }

    /// Takes in the record at `offset`, unless the view contains it already. Returns whether the record was new.
    pub fn apply(&mut self, offset: Offset, record: &RosterRecord) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.next();
        let (by, blocks) = match &record.change {
            RosterChange::Block { by } => (by, true),
            RosterChange::Unblock { by } => (by, false),
            _ => return true,
        };
        if let Subject::Private { low, high, .. } = &record.subject {
            if by == low {
                self.low_blocks = blocks;
            } else if by == high {
                self.high_blocks = blocks;
            }
        }
        true
    }
}
