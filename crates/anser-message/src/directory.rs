//! Reads of users, groups, blocks and settings for the other roles.

use std::time::Duration;

use anser_backend::{GroupView, Setting, Settings, StoreError, UserView};
use anser_cluster::{
    BoxFuture, DirectoryService, GroupProfile, Refusal, SettingItem, SettingsPage, SignInView, UserProfile,
};
use anser_types::{AppKey, TargetId, Timestamp, UserId, UserKey};

use crate::handle::MessageHandle;
use crate::reads::storage;

/// The settings of one answer. Whoever has more gets the next ones when they ask from the version of this one on.
const SETTINGS_MAX: usize = 2_000;

/// For how long the directory may take before a client that wants to sign in is judged by what is known. A sign-in asks twice, in ten
/// seconds.
const PATIENCE: Duration = Duration::from_secs(1);

fn read<'a, T, U>(
    reading: anser_backend::BoxFuture<'a, Result<T, StoreError>>,
    show: impl FnOnce(T) -> U + Send + 'a,
) -> BoxFuture<'a, Result<U, Refusal>>
where
    T: Send + 'a,
    U: 'a,
{
    Box::pin(async move { reading.await.map(show).map_err(storage) })
}

fn may_sign_in(view: Option<UserView>) -> SignInView {
    view.map_or_else(SignInView::default, |v| SignInView { blocked_until: v.blocked_until, tokens_from: v.tokens_from })
}

fn muted(group: &GroupView) -> Vec<(UserId, Timestamp)> {
    let muted = group.present().filter(|member| member.muted_until > Timestamp::ZERO);
    muted.map(|member| (member.user.clone(), member.muted_until)).collect()
}

impl DirectoryService for MessageHandle {
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        let Some(views) = &self.sign_in_views else {
            return read(self.backends.directory.user(user), may_sign_in);
        };
        let stand = views.begin(user);
        let (reading, user) = (self.backends.directory.user(user), user.clone());
        Box::pin(async move {
            let known_by_then = async {
                tokio::time::sleep(PATIENCE).await;
                match views.known(&user) {
                    Some(view) => view,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = read(reading, may_sign_in) => match read {
                    Ok(view) if stand.is_some_and(|stand| views.note(stand, user.clone(), view)) => Ok(view),
                    // A change may be on its way into the directory.
                    Ok(view) => Ok(views.known(&user).unwrap_or(view)),
                    Err(refusal) => views.known(&user).ok_or(refusal),
                },
                view = known_by_then => Ok(view),
            }
        })
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        read(self.backends.directory.user(user), |view| {
            view.map(|v| UserProfile { name: v.name, portrait: v.portrait, created: v.created })
        })
    }

    fn group(&self, app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        read(self.backends.directory.group(app, group), |view| {
            view.filter(|group| group.exists).map(|group| GroupProfile {
                members: group.present().map(|m| (m.user.clone(), m.joined)).collect(),
                muted: muted(&group),
                name: group.name,
                created: group.created,
            })
        })
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        read(self.backends.directory.groups_of(user, after, count), |groups| groups)
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        read(self.backends.directory.blacklist(user), |users| users)
    }

    fn blocked_users(&self, app: &AppKey, now: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        read(self.backends.directory.blocked_users(app, now), |users| users)
    }

    fn settings(&self, user: &UserKey, version: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        read(self.backends.directory.settings(user, version), settings_page)
    }
}

/// A page of settings, of which each has a time of its own.
fn settings_page(Settings { mut version, mut settings }: Settings) -> SettingsPage {
    if settings.len() > SETTINGS_MAX {
        settings.sort_unstable_by_key(|setting| setting.time);
        settings.truncate(SETTINGS_MAX);
        version = settings.last().map_or(version, |newest| newest.time);
    }
    let item = |s: Setting| SettingItem { conversation: s.conversation, item: s.item, value: s.value, time: s.time };
    SettingsPage { version, items: settings.into_iter().map(item).collect() }
}

#[cfg(test)]
mod tests {
    use anser_types::{Conversation, ConversationType};

    use super::*;

    #[test]
    fn told_why_whoever_has_more_settings_than_one_answer_holds_goes_on_from_its_version() {
        let setting = |time| Setting {
            conversation: Conversation::new(ConversationType::Private, TargetId::new("bob").unwrap()),
            item: 1,
            value: "1".into(),
            time: Timestamp(time),
        };
        let all =
            |from: u64| Settings { version: Timestamp(3_000), settings: (from..=3_000).rev().map(setting).collect() };
        let first = settings_page(all(1));
        assert_eq!((first.items.len(), first.version), (SETTINGS_MAX, Timestamp(2_000)));
        let rest = settings_page(all(2_001));
        assert_eq!((rest.items.len(), rest.version), (1_000, Timestamp(3_000)));
    }
}
