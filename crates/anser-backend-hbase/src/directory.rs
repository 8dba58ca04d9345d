//! The directory: indexes first, then the views that say up to where they are right, then the mark.

mod fold;
mod group;

use std::collections::BTreeMap;

use anser_backend::{
    BoxFuture, Directory, DirectoryChange, GroupMember, GroupView, PrivateBlocks, Settings, StoreError, UserView,
};
use anser_types::codec::DecodeError;
use anser_types::{AppKey, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId, UserKey};
use futures_util::stream::{self, StreamExt, TryStreamExt};

pub(crate) use self::fold::Writes;
use self::fold::{Needs, Views};
use self::group::Members;
use crate::HbaseStore;
use crate::format::mark::Replayed;
use crate::format::{blacklist, blocked_users, blocks, group as group_row, groups_of, setting, user_view};
use crate::store::damaged;
use crate::table::{Columns, Table, cell_time};

/// How many groups are read at once.
const GROUPS_AT_ONCE: usize = 8;

fn bad(error: DecodeError) -> StoreError {
    damaged("views")(error)
}

impl HbaseStore {
    async fn apply_changes(&self, changes: &[(Offset, DirectoryChange)]) -> Result<(), StoreError> {
        let mut views = self.load(Needs::of(changes)).await?;
        for (offset, change) in changes {
            views.apply(*offset, change);
        }
        let Writes { first, then, at } = views.into_writes(self.tables.bytes_max);
        self.tables.write(Table::Views, first, Some(cell_time(at.0))).await?;
        self.tables.write(Table::Views, then, Some(cell_time(at.0))).await?;
        Ok(())
    }

    /// What changes make of the views that they touch when these are taken back first.
    pub(crate) async fn changed_again(
        &self,
        from: Offset,
        changes: &[(Offset, DirectoryChange)],
    ) -> Result<Writes, StoreError> {
        let mut views = self.load(Needs::of(changes)).await?;
        views.take_back(from);
        for (offset, change) in changes {
            views.apply(*offset, change);
        }
        Ok(views.into_writes(self.tables.bytes_max))
    }

    /// Loads no more than the changes can touch.
    async fn load(&self, needs: Needs) -> Result<Views, StoreError> {
        let singles = self.tables.get_rows(Table::Views, needs.single_rows(), blocks::COLUMN).await?;
        let groups = stream::iter(needs.groups).map(async |(row, (subject, members))| {
            let columns = match members {
                Members::All => self.tables.get_row(Table::Views, row.clone()).await?,
                Members::Of(users) => {
                    let mut columns = vec![group_row::COLUMN.to_vec()];
                    columns.extend(users.iter().map(group_row::member_column));
                    self.tables.get_columns(Table::Views, row.clone(), columns).await?
                }
            };
            Ok::<_, StoreError>((row, (subject, columns)))
        });
        let groups: BTreeMap<_, _> = groups.buffer_unordered(GROUPS_AT_ONCE).try_collect().await?;
        Views::read(groups, needs.blocks, needs.users, singles).map_err(bad)
    }

    async fn read_group(&self, group: Subject) -> Result<Option<GroupView>, StoreError> {
        let columns = self.tables.get_row(Table::Views, group_row::row(&group)).await?;
        group::read(columns).map_err(bad)
    }

    async fn read_member(&self, group: Subject, user: UserId) -> Result<Option<GroupMember>, StoreError> {
        let column = group_row::member_column(&user);
        let columns = self.tables.get_columns(Table::Views, group_row::row(&group), vec![column]).await?;
        let memberships = columns.into_iter().map(|(column, stored)| group_row::read_memberships(&column, stored));
        let memberships: Vec<_> = memberships.collect::<Result<_, _>>().map_err(bad)?;
        Ok(memberships.into_iter().flatten().find(GroupMember::is_present))
    }

    async fn read_groups_of(
        &self,
        user: UserKey,
        after: Option<TargetId>,
        count: usize,
    ) -> Result<Vec<(TargetId, String)>, StoreError> {
        let columns = self.tables.get_row(Table::Views, groups_of::row(&user)).await?;
        let groups: Result<Vec<_>, _> = columns.into_iter().map(|(c, stored)| groups_of::read(&c, stored)).collect();
        let mut groups = groups.map_err(bad)?;
        groups.retain(|group| after.as_ref().is_none_or(|after| group > after));
        groups.truncate(count);
        let row = |group: &TargetId| group_row::row(&Subject::group(user.app.clone(), group.clone()));
        let rows = groups.iter().map(row).collect();
        let mut named = self.tables.get_rows(Table::Views, rows, group_row::COLUMN).await?;
        let named = groups.into_iter().map(|group| {
            let view = named.remove(&row(&group)).map(group_row::read).transpose()?;
            Ok((group, view.unwrap_or_default().name))
        });
        named.collect::<Result<_, _>>().map_err(bad)
    }

    async fn read_blocks(&self, row: Vec<u8>) -> Result<PrivateBlocks, StoreError> {
        let stored = self.tables.get(Table::Views, row, blocks::COLUMN).await?;
        Ok(stored.map(blocks::read).transpose().map_err(bad)?.unwrap_or_default())
    }

    async fn read_user(&self, row: Vec<u8>) -> Result<Option<UserView>, StoreError> {
        let stored = self.tables.get(Table::Views, row, user_view::COLUMN).await?;
        stored.map(user_view::read).transpose().map_err(bad)
    }

    /// All columns of a row of views.
    async fn read_all<T>(
        &self,
        row: Vec<u8>,
        read: impl Fn(&[u8], Vec<u8>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, StoreError> {
        let columns: Columns = self.tables.get_row(Table::Views, row).await?;
        columns.into_iter().map(|(column, stored)| read(&column, stored).map_err(bad)).collect()
    }

    async fn read_settings(&self, row: Vec<u8>, version: Timestamp) -> Result<Settings, StoreError> {
        let mut settings = self.read_all(row, setting::read).await?;
        let newest = settings.iter().map(|setting| setting.time).max().unwrap_or_default();
        settings.retain(|setting| setting.time > version);
        settings.sort_unstable_by_key(|setting| setting.time);
        Ok(Settings { version: newest, settings })
    }
}

impl Directory for HbaseStore {
    fn apply(
        &self,
        partition: PartitionId,
        mark: Mark,
        changes: Vec<(Offset, DirectoryChange)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !changes.is_empty() {
                self.apply_changes(&changes).await?;
            }
            self.commit(Replayed::Directory, partition, mark).await
        })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(self.committed(Replayed::Directory, partition))
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupView>, StoreError>> {
        Box::pin(self.read_group(Subject::group(app.clone(), group.clone())))
    }

    fn member(
        &self,
        app: &AppKey,
        group: &TargetId,
        user: &UserId,
    ) -> BoxFuture<'_, Result<Option<GroupMember>, StoreError>> {
        Box::pin(self.read_member(Subject::group(app.clone(), group.clone()), user.clone()))
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, StoreError>> {
        Box::pin(self.read_groups_of(user.clone(), after.cloned(), count))
    }

    fn blocks(&self, private: &Subject) -> BoxFuture<'_, Result<PrivateBlocks, StoreError>> {
        Box::pin(self.read_blocks(blocks::row(private)))
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>> {
        Box::pin(self.read_all(blacklist::row(user), blacklist::read))
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserView>, StoreError>> {
        Box::pin(self.read_user(user_view::row(user)))
    }

    fn blocked_users(
        &self,
        app: &AppKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, StoreError>> {
        let row = blocked_users::row(app);
        Box::pin(async move {
            let mut blocked = self.read_all(row, blocked_users::read).await?;
            blocked.retain(|(_, until)| *until > now);
            Ok(blocked)
        })
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<Settings, StoreError>> {
        Box::pin(self.read_settings(setting::row(user), version))
    }
}
