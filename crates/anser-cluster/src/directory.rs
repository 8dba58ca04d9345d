//! What the others may read of users, groups, blocks and settings. Changes go through [`crate::MessageService::command`].

use bytes::Bytes;

use anser_types::{AppKey, Conversation, TargetId, Timestamp, UserId, UserKey};

use crate::{BoxFuture, Refusal};

/// What decides whether a user with a good token may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignInView {
    /// No sign-in before this time.
    pub blocked_until: Timestamp,
    /// Tokens issued before this time are void.
    pub tokens_from: Timestamp,
}

/// A user, as the server API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserProfile {
    /// Name to show.
    pub name: String,
    /// Address of a portrait.
    pub portrait: String,
    /// When the user became known; zero if no profile was ever given.
    pub created: Timestamp,
}

/// A group with those who are in it now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupProfile {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its present members and since when, by user id.
    pub members: Vec<(UserId, Timestamp)>,
    /// The members who were muted, and until when, by user id. The end may have passed.
    pub muted: Vec<(UserId, Timestamp)>,
}

/// A setting of one conversation of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingItem {
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
pub struct SettingsPage {
    /// The version of the newest setting of the user; zero if there is none.
    pub version: Timestamp,
    /// Those that were asked for.
    pub items: Vec<SettingItem>,
}

/// Reads of the directory. What a command changed before it returned is seen by all of them.
///
/// Each may be refused as retryable while the directory is away; no read changes anything.
pub trait DirectoryService: Send + Sync + std::fmt::Debug + 'static {
    /// Whether a user may sign in. A user of whom nothing is known gets the default: nothing is in the way.
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>>;

    /// A user; `None` if nothing is known.
    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>>;

    /// A group; `None` if it does not exist, or was dismissed.
    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>>;

    /// The groups that a user is in, with their names, by group id, from the one after `after`; at most `count`.
    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>>;

    /// Whom a user blocks.
    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>>;

    /// The users of an app who may not sign in at `now`, with the time when they may again.
    fn blocked_users(&self, app: &AppKey, now: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>>;

    /// The settings of a user that were set after `version`.
    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>>;
}
