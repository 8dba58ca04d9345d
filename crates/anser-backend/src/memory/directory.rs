//! A directory in memory: the reference for what every other one must do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use anser_types::record::{RosterRecord, UserRecord, group_of};
use anser_types::{AppKey, Conversation, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId, UserKey};

use crate::{
    BoxFuture, Directory, DirectoryChange, GroupMember, GroupView, PrivateBlocks, Setting, Settings, StoreError,
    UserView,
};

/// A [`Directory`] in memory. Clones share the same tables.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory {
    tables: Arc<Mutex<Tables>>,
}

/// Whether a directory answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    /// It does.
    #[default]
    Yes,
    /// It refuses whatever is asked, but perhaps not later.
    Refuses,
    /// Nobody ever hears of what is asked now.
    Never,
    /// What it has stored cannot be read, but for how far it has got.
    Damaged,
}

#[derive(Debug, Default)]
struct Tables {
    answers: Answers,
    groups: BTreeMap<(AppKey, TargetId), GroupView>,
    blocks: HashMap<Subject, PrivateBlocks>,
    users: BTreeMap<UserKey, UserView>,
    settings: HashMap<UserKey, HashMap<(Conversation, u32), Setting>>,
    applied: HashMap<PartitionId, Mark>,
}

impl Tables {
    fn apply(&mut self, offset: Offset, change: &DirectoryChange) {
        match change {
            DirectoryChange::Roster(record) => self.apply_roster(offset, record),
            DirectoryChange::User(record) => self.apply_user(offset, record),
        }
    }

    fn apply_roster(&mut self, offset: Offset, record: &RosterRecord) {
        if let Some((app, group)) = group_of(&record.subject) {
            self.groups.entry((app.clone(), group.clone())).or_default().apply(offset, record);
        } else {
            self.blocks.entry(record.subject.clone()).or_default().apply(offset, record);
        }
    }

    fn apply_user(&mut self, offset: Offset, record: &UserRecord) {
        if UserView::is_concerned(&record.change) {
            self.users.entry(record.user.clone()).or_default().apply(offset, record);
        }
        if let Some(setting) = Setting::of_record(record) {
            let settings = self.settings.entry(record.user.clone()).or_default();
            let place = (setting.conversation.clone(), setting.item);
            if settings.get(&place).is_none_or(|known| known.time < setting.time) {
                settings.insert(place, setting);
            }
        }
    }

    /// Takes the views of a change back.
    fn take_back(&mut self, change: &DirectoryChange, to: Offset) {
        match change {
            DirectoryChange::Roster(record) => match group_of(&record.subject) {
                Some((app, group)) => {
                    if let Some(view) = self.groups.get_mut(&(app.clone(), group.clone())) {
                        view.take_back(to);
                    }
                }
                None => {
                    if let Some(view) = self.blocks.get_mut(&record.subject) {
                        view.take_back(to);
                    }
                }
            },
            DirectoryChange::User(record) => {
                if let Some(view) = self.users.get_mut(&record.user) {
                    view.take_back(to);
                }
            }
        }
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> Option<&GroupView> {
        self.groups.get(&(app.clone(), group.clone()))
    }

    fn groups_of(&self, user: &UserKey, after: Option<&TargetId>, count: usize) -> Vec<(TargetId, String)> {
        let groups = self.groups.iter().filter(|((app, group), view)| {
            *app == user.app && after.is_none_or(|after| group > after) && view.member(&user.user).is_some()
        });
        groups.take(count).map(|((_, group), view)| (group.clone(), view.name.clone())).collect()
    }

    fn blacklist(&self, user: &UserKey) -> Vec<UserId> {
        let mut blocked: Vec<UserId> = self
            .blocks
            .iter()
            .filter_map(|(subject, blocks)| match subject {
                Subject::Private { app, low, high } if *app == user.app => {
                    let by_low = (blocks.low_blocks && *low == user.user).then_some(high);
                    by_low.or_else(|| (blocks.high_blocks && *high == user.user).then_some(low)).cloned()
                }
                _ => None,
            })
            .collect();
        blocked.sort_unstable();
        blocked
    }

    fn blocked_users(&self, app: &AppKey, now: Timestamp) -> Vec<(UserId, Timestamp)> {
        let blocked = self.users.iter().filter(|(key, view)| key.app == *app && view.blocked_until > now);
        blocked.map(|(key, view)| (key.user.clone(), view.blocked_until)).collect()
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> Settings {
        let all = self.settings.get(user);
        let mut settings = Settings::default();
        for setting in all.into_iter().flat_map(HashMap::values) {
            settings.version = settings.version.max(setting.time);
            if setting.time > version {
                settings.settings.push(setting.clone());
            }
        }
        settings.settings.sort_unstable_by_key(|setting| setting.time);
        settings
    }
}

impl MemoryDirectory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes views back and changes them again.
    pub(super) fn write_views(&self, from: Offset, changes: &[(Offset, DirectoryChange)]) {
        let mut tables = self.tables.lock();
        changes.iter().for_each(|(_, change)| tables.take_back(change, from));
        changes.iter().for_each(|(offset, change)| tables.apply(*offset, change));
    }

    /// From now on it answers, or does not.
    pub fn set_answers(&self, answers: Answers) {
        self.tables.lock().answers = answers;
    }

    /// Loses all that it has.
    pub fn forget(&self) {
        *self.tables.lock() = Tables::default();
    }

    fn ready<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let mut tables = self.tables.lock();
        match tables.answers {
            Answers::Yes => Box::pin(std::future::ready(Ok(work(&mut tables)))),
            Answers::Refuses => Box::pin(std::future::ready(Err(StoreError::Unavailable("it is away".into())))),
            Answers::Never => Box::pin(std::future::pending()),
            Answers::Damaged => {
                let source = "nobody wrote these bytes".into();
                Box::pin(std::future::ready(Err(StoreError::Damaged { table: "directory", source })))
            }
        }
    }
}

impl Directory for MemoryDirectory {
    fn apply(
        &self,
        partition: PartitionId,
        mark: Mark,
        changes: Vec<(Offset, DirectoryChange)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ready(|tables| {
            for (offset, change) in &changes {
                tables.apply(*offset, change);
            }
            let applied = tables.applied.entry(partition).or_default();
            *applied = mark.max(*applied);
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        let tables = self.tables.lock();
        if tables.answers == Answers::Damaged {
            let mark = tables.applied.get(&partition).copied().unwrap_or_default();
            return Box::pin(std::future::ready(Ok(mark)));
        }
        drop(tables);
        self.ready(|tables| tables.applied.get(&partition).copied().unwrap_or_default())
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupView>, StoreError>> {
        self.ready(|tables| tables.group(app, group).cloned())
    }

    fn member(
        &self,
        app: &AppKey,
        group: &TargetId,
        user: &UserId,
    ) -> BoxFuture<'_, Result<Option<GroupMember>, StoreError>> {
        self.ready(|tables| tables.group(app, group).and_then(|view| view.member(user)).cloned())
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, StoreError>> {
        self.ready(|tables| tables.groups_of(user, after, count))
    }

    fn blocks(&self, private: &Subject) -> BoxFuture<'_, Result<PrivateBlocks, StoreError>> {
        self.ready(|tables| tables.blocks.get(private).copied().unwrap_or_default())
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>> {
        self.ready(|tables| tables.blacklist(user))
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserView>, StoreError>> {
        self.ready(|tables| tables.users.get(user).cloned())
    }

    fn blocked_users(
        &self,
        app: &AppKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, StoreError>> {
        self.ready(|tables| tables.blocked_users(app, now))
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<Settings, StoreError>> {
        self.ready(|tables| tables.settings(user, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::directory::DirectoryFixture;

    struct Fixture;

    impl DirectoryFixture for Fixture {
        fn create(&self) -> BoxFuture<'_, Arc<dyn Directory>> {
            Box::pin(std::future::ready(Arc::new(MemoryDirectory::new()) as Arc<dyn Directory>))
        }

        fn settle(&self, directory: Arc<dyn Directory>) -> BoxFuture<'_, Arc<dyn Directory>> {
            Box::pin(std::future::ready(directory))
        }
    }

    crate::directory_suite!(Fixture);
}
