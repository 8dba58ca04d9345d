//! The directory of the embedded store: written to disk at once, read from there.

mod read;
mod write;

use anser_backend::{
    BoxFuture, Directory, DirectoryChange, GroupMember, GroupView, PrivateBlocks, Settings, StoreError, UserView,
};
use anser_types::{AppKey, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId, UserKey};

use super::EmbeddedStore;
use super::flush::ReplayTable;

/// One writer at a time: a change is read, folded and written back.
#[derive(Debug, Default)]
pub(super) struct DirectoryWriter(parking_lot::Mutex<()>);

impl Directory for EmbeddedStore {
    fn apply(
        &self,
        partition: PartitionId,
        mark: Mark,
        changes: Vec<(Offset, DirectoryChange)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !changes.is_empty() {
                let writer = std::sync::Arc::clone(&self.inner.directory);
                self.inner
                    .on_disk(move |disk| {
                        let _one_at_a_time = writer.0.lock();
                        write::write_all(disk, &changes)
                    })
                    .await?;
            }
            let _moment = self.inner.gate.read();
            self.inner.note_applied(ReplayTable::Directory, partition, mark);
            Ok(())
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner.durable_mark(ReplayTable::Directory, partition))))
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupView>, StoreError>> {
        let subject = Subject::group(app.clone(), group.clone());
        Box::pin(self.inner.on_disk(move |disk| read::group(disk, &subject)))
    }

    fn member(
        &self,
        app: &AppKey,
        group: &TargetId,
        user: &UserId,
    ) -> BoxFuture<'_, Result<Option<GroupMember>, StoreError>> {
        let subject = Subject::group(app.clone(), group.clone());
        Box::pin(std::future::ready(read::member(&self.inner.disk, &subject, user)))
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, StoreError>> {
        let (user, after) = (user.clone(), after.cloned());
        Box::pin(self.inner.on_disk(move |disk| read::groups_of(disk, &user, after.as_ref(), count)))
    }

    fn blocks(&self, private: &Subject) -> BoxFuture<'_, Result<PrivateBlocks, StoreError>> {
        Box::pin(std::future::ready(read::blocks(&self.inner.disk, private)))
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>> {
        let user = user.clone();
        Box::pin(self.inner.on_disk(move |disk| read::blacklist(disk, &user)))
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserView>, StoreError>> {
        Box::pin(std::future::ready(read::user(&self.inner.disk, user)))
    }

    fn blocked_users(
        &self,
        app: &AppKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, StoreError>> {
        let app = app.clone();
        Box::pin(self.inner.on_disk(move |disk| read::blocked_users(disk, &app, now)))
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<Settings, StoreError>> {
        let user = user.clone();
        Box::pin(self.inner.on_disk(move |disk| read::settings(disk, &user, version)))
    }
}
