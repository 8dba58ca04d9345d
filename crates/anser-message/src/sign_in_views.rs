//! Who may sign in, as the directory said last: for as long as it cannot be read.
//!
//! Whatever changes that for a user is a record of one partition, and passes through the loop of the node that serves it. So this node
//! knows what the directory would say of the users of its partitions of whom it once said something, whether or not it can be read
//! (one-way-in). What was read counts only if the directory had every change then, and none has come since; all of a partition is
//! forgotten when it is not served any more.

use std::collections::HashMap;
use std::sync::Arc;

use anser_cluster::SignInView;
use anser_types::record::{UserChange, UserRecord};
use anser_types::{Offset, PartitionCount, PartitionId, Subject, Timestamp, UserKey};
use parking_lot::Mutex;

use crate::progress::Progress;

/// Users of whom something is known, at most twice as many. Those who were read longest ago make room.
const USERS_MAX: usize = 131_072;

/// What is known of the users of the partitions that are served here.
#[derive(Debug)]
pub(crate) struct SignInViews {
    progress: Progress,
    partitions: PartitionCount,
    users_max: usize,
    state: Mutex<State>,
}

/// Where a partition stood before the directory was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    partition: PartitionId,
    term: u64,
    changed: Offset,
}

#[derive(Debug, Default)]
struct State {
    /// For each partition, in which term, and below which offset all changes are.
    changed: HashMap<PartitionId, (u64, Offset)>,
    young: HashMap<UserKey, Known>,
    old: HashMap<UserKey, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    term: u64,
    view: SignInView,
}

impl SignInViews {
    pub(crate) fn new(progress: &Progress, partitions: PartitionCount) -> Arc<Self> {
        Arc::new(Self::keeping(USERS_MAX, progress, partitions))
    }

    fn keeping(users_max: usize, progress: &Progress, partitions: PartitionCount) -> Self {
        Self { progress: progress.clone(), partitions, users_max, state: Mutex::default() }
    }

    /// To be called before the directory is asked about a user. `None`: what it says is not to be kept.
    pub(crate) fn begin(&self, user: &UserKey) -> Option<Stand> {
        let partition = self.partition(user);
        let term = self.progress.term(partition)?;
        let mut state = self.state.lock();
        let known = state.changed.entry(partition).or_default();
        if known.0 != term {
            *known = (term, self.progress.accepted(partition));
        }
        let changed = known.1;
        (self.progress.archived_in(partition) >= changed).then_some(Stand { partition, term, changed })
    }

    /// What the directory has said. Returns whether that holds.
    pub(crate) fn note(&self, stand: Stand, user: UserKey, view: SignInView) -> bool {
        let Stand { partition, term, changed } = stand;
        let mut state = self.state.lock();
        if state.changed.get(&partition) != Some(&(term, changed)) {
            return false;
        }
        state.old.remove(&user);
        state.young.insert(user, Known { term, view });
        if state.young.len() < self.users_max {
            return true;
        }
        let young = std::mem::take(&mut state.young);
        let oldest = std::mem::replace(&mut state.old, young);
        // What is many takes time: others do not wait for it.
        drop(state);
        drop(oldest);
        true
    }

    /// A change of a user is in the log. To be called before anybody is told. What is read again for a replay is known already, and
    /// newer changes with it.
    pub(crate) fn changed(&self, partition: PartitionId, offset: Offset, record: &UserRecord) {
        if !concerns(&record.change) {
            return;
        }
        let Some(term) = self.progress.term(partition) else { return };
        let mut state = self.state.lock();
        let State { changed, young, old } = &mut *state;
        let known = changed.entry(partition).or_default();
        if known.0 == term && offset < known.1 {
            return;
        }
        *known = (term, self.progress.accepted(partition).max(offset.next()));
        if let Some(known) = young.get_mut(&record.user).or_else(|| old.get_mut(&record.user)) {
            apply(&mut known.view, &record.change);
        }
    }

    /// What the directory would say of a user, if that is known.
    pub(crate) fn known(&self, user: &UserKey) -> Option<SignInView> {
        let term = self.progress.term(self.partition(user))?;
        let state = self.state.lock();
        let known = state.young.get(user).or_else(|| state.old.get(user))?;
        (known.term == term).then_some(known.view)
    }

    fn partition(&self, user: &UserKey) -> PartitionId {
        Subject::User(user.clone()).partition(self.partitions)
    }
}

const fn concerns(change: &UserChange) -> bool {
    matches!(change, UserChange::Blocked { .. } | UserChange::Unblocked | UserChange::TokensVoid { .. })
}

fn apply(view: &mut SignInView, change: &UserChange) {
    match change {
        UserChange::Blocked { until } => view.blocked_until = *until,
        UserChange::Unblocked => view.blocked_until = Timestamp::ZERO,
        UserChange::TokensVoid { before } => view.tokens_from = view.tokens_from.max(*before),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
