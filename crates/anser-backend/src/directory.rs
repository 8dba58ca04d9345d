//! The directory: who users are, who is in which group, who blocks whom, and users' settings. Views of the log.

use bytes::Bytes;

use anser_types::record::{RosterRecord, UserRecord};
use anser_types::{AppKey, Conversation, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId, UserKey};

use crate::{BoxFuture, StoreError};

mod group;
mod user;

/// A change to apply: a roster or user record from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryChange {
    /// Of a group or a private chat.
    Roster(RosterRecord),
    /// Of a user.
    User(UserRecord),
}

/// A member of a group, present or past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub user: UserId,
    /// When the membership began.
    pub joined: Timestamp,
    /// The offset of the record that began it: messages from there on are for this member.
    pub joined_at: Offset,
    /// The offset of the record that ended it; `None` for a present member. Past ones are kept for a while, so that a
    /// replayed message finds the members of its own time.
    pub left_at: Option<Offset>,
    /// When the membership ended; zero for a present member.
    pub left: Timestamp,
    /// Until when the member may not write.
    pub muted_until: Timestamp,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it exists: made, and not dismissed since.
    pub exists: bool,
    /// Present and past members, by user id and then by the offset of joining: who left and joined again is here twice.
    pub members: Vec<GroupMember>,
    /// The first offset that this view does not contain.
    pub next: Offset,
}

/// Who blocks whom in a private chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrivateBlocks {
    /// The user with the smaller id blocks the other.
    pub low_blocks: bool,
    /// The user with the larger id blocks the other.
    pub high_blocks: bool,
    /// The first offset that this view does not contain.
    pub next: Offset,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserView {
    /// Name to show.
    pub name: String,
    /// Address of a portrait.
    pub portrait: String,
    /// When the user became known; zero if only other things than a profile are known.
    pub created: Timestamp,
    /// No sign-in before this time.
    pub blocked_until: Timestamp,
    /// Tokens issued before this time are void.
    pub tokens_from: Timestamp,
    /// The first offset that this view does not contain.
    pub next: Offset,
}

/// One setting of one conversation of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which conversation.
    pub conversation: Conversation,
    /// The protocol's number of the setting.
    pub item: u32,
    /// Its value.
    pub value: Bytes,
    /// When it was set: its version.
    pub time: Timestamp,
}

/// Settings of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The version of the newest setting of the user; zero if there is none.
    pub version: Timestamp,
    /// The settings that were asked for.
    pub settings: Vec<Setting>,
}

/// Views of groups, blocks, users and settings.
///
/// Changes of one partition come in log order; each view keeps the offset behind it and ignores what it contains already.
pub trait Directory: Send + Sync + std::fmt::Debug + 'static {
    /// Applies changes, then notes that `partition` is applied below the mark's `next`.
    fn apply(
        &self,
        partition: PartitionId,
        mark: Mark,
        changes: Vec<(Offset, DirectoryChange)>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// From where a partition is to be replayed after a start.
    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>>;

    /// A group with its members; `None` if nothing is known of it.
    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupView>, StoreError>>;

    /// One present member of a group; `None` if the user is not in it.
    fn member(
        &self,
        app: &AppKey,
        group: &TargetId,
        user: &UserId,
    ) -> BoxFuture<'_, Result<Option<GroupMember>, StoreError>>;

    /// The groups that a user is in, with their names, by group id, from the one after `after`.
    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, StoreError>>;

    /// Who blocks whom in a private chat.
    fn blocks(&self, private: &Subject) -> BoxFuture<'_, Result<PrivateBlocks, StoreError>>;

    /// Whom a user blocks.
    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, StoreError>>;

    /// A user; `None` if nothing is known.
    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserView>, StoreError>>;

    /// The users of an app who may not sign in at `now`, with the time when they may again.
    fn blocked_users(
        &self,
        app: &AppKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, StoreError>>;

    /// The settings of a user that were set after `version`.
    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<Settings, StoreError>>;
}
