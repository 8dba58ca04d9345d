//! Reads of users, groups, blocks and settings, by whichever message node is asked.

use anser_cluster::{BoxFuture, DirectoryService, GroupProfile, Refusal, SettingsPage, SignInView, UserProfile};
use anser_types::{AppKey, TargetId, Timestamp, UserId, UserKey};

use crate::RoutedMessages;
use crate::messages::answer;
use crate::wire::Request;

impl DirectoryService for RoutedMessages {
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        let asked = self.ask(Request::SignInView(user.clone()));
        Box::pin(async move { answer!(asked.await?, SignInView) })
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        let asked = self.ask(Request::User(user.clone()));
        Box::pin(async move { answer!(asked.await?, User) })
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        let asked = self.ask(Request::Group { app: app.clone(), group: group.clone() });
        Box::pin(async move { answer!(asked.await?, Group) })
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        let asked = self.ask(Request::GroupsOf { user: user.clone(), after: after.cloned(), count });
        Box::pin(async move { answer!(asked.await?, Groups) })
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        let asked = self.ask(Request::Blacklist(user.clone()));
        Box::pin(async move { answer!(asked.await?, Users) })
    }

    fn blocked_users(&self, app: &AppKey, now: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        let asked = self.ask(Request::BlockedUsers { app: app.clone(), now });
        Box::pin(async move { answer!(asked.await?, Blocked) })
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        let asked = self.ask(Request::Settings { user: user.clone(), version });
        Box::pin(async move { answer!(asked.await?, Settings) })
    }
}
