//! The fake directory.

use std::sync::Arc;

use anser_backend::memory::MemoryDirectory;
use anser_backend::{
    BoxFuture, Directory, DirectoryChange, GroupMember, GroupView, PrivateBlocks, Settings, StoreError, UserView,
};
use anser_types::{AppKey, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId, UserKey};
use parking_lot::Mutex;

use super::Sky;
use super::log::NastyLog;
use super::table::{Place, Redo, Table, now, unavailable};
use crate::switch::Switch;

type Write = (PartitionId, Mark, Vec<(Offset, DirectoryChange)>);

impl Redo for MemoryDirectory {
    type Write = Write;

    fn fresh() -> Self {
        Self::new()
    }

    fn redo(&self, (partition, mark, changes): &Write) {
        drop(now(self.apply(*partition, *mark, changes.clone())));
    }

    fn noted((partition, mark, _): &Write) -> Option<(PartitionId, Mark)> {
        Some((*partition, *mark))
    }
}

/// See [`super`].
#[derive(Debug)]
pub(crate) struct NastyDirectory {
    table: Mutex<Table<MemoryDirectory>>,
    log: Arc<NastyLog>,
    sky: Sky,
}

impl NastyDirectory {
    pub(super) fn new(log: Arc<NastyLog>, sky: Sky) -> Self {
        Self { table: Mutex::new(Table::new()), log, sky }
    }

    pub(super) fn flush(&self) {
        self.table.lock().flush();
    }

    pub(super) fn forget(&self) {
        self.table.lock().forget();
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.sky.pause().await;
        if self.sky.fails() {
            return Err(unavailable());
        }
        {
            let mut table = self.table.lock();
            table.live.redo(&write);
            table.done(write);
        }
        self.sky.pause().await;
        Ok(())
    }

    async fn read<T>(&self, read: impl FnOnce(&MemoryDirectory) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.sky.pause().await;
        if self.sky.fails() {
            return Err(unavailable());
        }
        read(&self.table.lock().live)
    }
}

/// The group as if its present members had always been in it, and nobody else ever.
fn of_now(mut group: GroupView) -> GroupView {
    group.members.retain(GroupMember::is_present);
    for member in &mut group.members {
        member.joined_at = Offset::START;
    }
    group
}

impl Directory for NastyDirectory {
    fn apply(
        &self,
        partition: PartitionId,
        mark: Mark,
        changes: Vec<(Offset, DirectoryChange)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write((partition, mark, changes)))
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        let safe = self.table.lock().replay_from(partition, Place::of(self.sky.weather().forget));
        let is_for_owner = self.sky.asked_by_owner() == Some(partition) && self.sky.broken(Switch::ChangesUnread);
        // All that there is, and no more: a log that ends before its tables has lost something.
        let end = || Offset(self.log.durable(partition).len() as u64);
        let next = if is_for_owner { end().max(safe.next) } else { safe.next };
        Box::pin(std::future::ready(Ok(Mark { next, ..safe })))
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupView>, StoreError>> {
        let (app, group) = (app.clone(), group.clone());
        let of_now_only = self.sky.broken(Switch::RosterOfNow);
        Box::pin(self.read(move |live| {
            let view = now(live.group(&app, &group))?;
            Ok(if of_now_only { view.map(of_now) } else { view })
        }))
    }

    fn member(
        &self,
        app: &AppKey,
        group: &TargetId,
        user: &UserId,
    ) -> BoxFuture<'_, Result<Option<GroupMember>, StoreError>> {
        let (app, group, user) = (app.clone(), group.clone(), user.clone());
        let always = self.sky.broken(Switch::JoiningIgnored);
        Box::pin(self.read(move |live| {
            let member = now(live.member(&app, &group, &user))?;
            Ok(member.map(|member| if always { GroupMember { joined: Timestamp::ZERO, ..member } } else { member }))
        }))
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, StoreError>> {
        let (user, after) = (user.clone(), after.cloned());
        Box::pin(self.read(move |live| now(live.groups_of(&user, after.as_ref(), count))))
    }

    fn blocks(&self, private: &Subject) -> BoxFuture<'_, Result<PrivateBlocks, StoreError>> {
        let private = private.clone();
        Box::pin(self.read(move |live| now(live.blocks(&private))))
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>> {
        let user = user.clone();
        Box::pin(self.read(move |live| now(live.blacklist(&user))))
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserView>, StoreError>> {
        let user = user.clone();
        Box::pin(self.read(move |live| now(live.user(&user))))
    }

    fn blocked_users(
        &self,
        app: &AppKey,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, StoreError>> {
        let app = app.clone();
        Box::pin(self.read(move |live| now(live.blocked_users(&app, at))))
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<Settings, StoreError>> {
        let user = user.clone();
        Box::pin(self.read(move |live| now(live.settings(&user, version))))
    }
}
