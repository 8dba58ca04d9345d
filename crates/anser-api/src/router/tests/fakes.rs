//! Services that remember what they were asked, and answer from a few settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anser_cluster::{
    Accepted, AccessService, App, AppRegistry, AppSecret, Arrival, BoxFuture, Command, DirectoryService, GroupProfile,
    HistoryRead, HistoryReply, ListItem, MessageService, Outcome, Publish, PullReply, PullRequest, Recall, Refusal,
    ServerPublish, SettingsPage, Settled, SignInView, SignOut, UserProfile,
};
use anser_types::{
    AppKey, ConnectionId, ConversationType, MessageUid, NodeId, Origin, Position, Status, TargetId, Timestamp, UserId,
    UserKey, target_hash,
};
use parking_lot::Mutex;

use super::NOW;

#[derive(Debug)]
pub(super) struct OneApp(Arc<App>);

impl OneApp {
    pub(super) fn new() -> Self {
        Self(Arc::new(App::new(AppKey::new("app1").unwrap(), AppSecret::new("secret"))))
    }
}

impl AppRegistry for OneApp {
    fn find(&self, key: &str) -> Option<Arc<App>> {
        (key == self.0.key.as_str()).then(|| self.0.clone())
    }
}

#[derive(Debug, Default)]
pub(super) struct Fakes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    published: Vec<ServerPublish>,
    recalls: Vec<Recall>,
    signed_out: Vec<(UserKey, SignOut, usize)>,
    online: Vec<String>,
    users: HashMap<String, UserProfile>,
    groups: BTreeMap<String, Vec<String>>,
    refusals: HashMap<String, Status>,
    hanging: Vec<String>,
    void_before: HashMap<String, Timestamp>,
    blacklist: Vec<String>,
    blocked: Vec<(String, Timestamp)>,
    muted: Vec<(String, Timestamp)>,
}

pub(super) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

impl Fakes {
    pub(super) fn commands(&self) -> Vec<Command> {
        self.state.lock().commands.clone()
    }

    pub(super) fn published(&self) -> Vec<ServerPublish> {
        self.state.lock().published.clone()
    }

    pub(super) fn recalls(&self) -> Vec<Recall> {
        self.state.lock().recalls.clone()
    }

    /// Who was signed out, and after how many commands.
    pub(super) fn signed_out(&self) -> Vec<(String, SignOut, usize)> {
        let state = self.state.lock();
        state.signed_out.iter().map(|(key, why, after)| (key.user.to_string(), *why, *after)).collect()
    }

    pub(super) fn is_online(&self, user: &str) {
        self.state.lock().online.push(user.to_owned());
    }

    pub(super) fn knows(&self, user: &str, profile: UserProfile) {
        self.state.lock().users.insert(user.to_owned(), profile);
    }

    pub(super) fn has_group(&self, group: &str, members: &[&str]) {
        self.state.lock().groups.insert(group.to_owned(), members.iter().map(|&m| m.to_owned()).collect());
    }

    /// Whatever is sent to this target, or asked of this user, is refused.
    pub(super) fn refuses(&self, id: &str, status: Status) {
        self.state.lock().refusals.insert(id.to_owned(), status);
    }

    /// Whatever is sent to this target, or read of this user, has no end.
    pub(super) fn hangs(&self, id: &str) {
        self.state.lock().hanging.push(id.to_owned());
    }

    pub(super) fn blocks(&self, blacklist: &[&str], blocked: &[(&str, Timestamp)]) {
        let mut state = self.state.lock();
        state.blacklist = blacklist.iter().map(|&u| u.to_owned()).collect();
        state.blocked = blocked.iter().map(|&(u, t)| (u.to_owned(), t)).collect();
    }

    /// In every group these members are muted.
    pub(super) fn mutes(&self, muted: &[(&str, Timestamp)]) {
        self.state.lock().muted = muted.iter().map(|&(user, until)| (user.to_owned(), until)).collect();
    }

    /// The tokens of a user from before are void.
    pub(super) fn voids(&self, user: &str, before: Timestamp) {
        self.state.lock().void_before.insert(user.to_owned(), before);
    }

    fn is_hanging(&self, id: &str) -> bool {
        self.state.lock().hanging.iter().any(|hanging| hanging == id)
    }

    fn refusal(&self, id: &str) -> Option<Refusal> {
        self.state.lock().refusals.get(id).copied().map(Refusal::new)
    }
}

fn never<'a, T: Send + 'a>() -> BoxFuture<'a, T> {
    Box::pin(std::future::pending())
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(async move { value })
}

fn unasked<T>() -> BoxFuture<'static, Result<T, Refusal>> {
    unreachable!("the server API never asks for this")
}

impl MessageService for Fakes {
    fn publish(&self, _: Vec<Publish>, _: anser_cluster::Way) {
        unreachable!("the server API is no terminal")
    }

    fn publish_for_server(&self, publish: ServerPublish, _origin: Origin) -> BoxFuture<'_, Outcome> {
        if let Some(refusal) = self.refusal(publish.target.as_str()) {
            return ready(Err(refusal));
        }
        let uid = MessageUid::new(NOW, 0, publish.kind, target_hash(publish.target.as_str()));
        let is_hanging = self.is_hanging(publish.target.as_str());
        self.state.lock().published.push(publish);
        if is_hanging {
            return never();
        }
        // Not ready at once: the answers of several targets come in any order.
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Accepted { uid, sent: NOW })
        })
    }

    fn command(&self, command: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        let id = match &command {
            Command::User { user, .. } => user.user.to_string(),
            Command::Roster { subject, .. } => format!("{subject:?}"),
        };
        if let Some(refusal) = self.refusal(&id) {
            return ready(Err(refusal));
        }
        self.state.lock().commands.push(command);
        ready(Ok(NOW))
    }

    fn pull(&self, _request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        unasked()
    }

    fn history(&self, _request: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        unasked()
    }

    fn conversations(
        &self,
        _user: &UserKey,
        _kind: Option<ConversationType>,
        _before: Timestamp,
        _count: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        unasked()
    }

    fn recall(&self, recall: Recall) -> BoxFuture<'_, Outcome> {
        if let Some(refusal) = self.refusal(recall.command.target.as_str()) {
            return ready(Err(refusal));
        }
        let accepted = Accepted { uid: recall.target.uid, sent: NOW };
        self.state.lock().recalls.push(recall);
        ready(Ok(accepted))
    }
}

impl AccessService for Fakes {
    fn settle(&self, _settled: Vec<Settled>) {}

    fn arrive(&self, _arrival: Arrival) {}

    fn settings_changed(&self, _user: &UserKey, _time: Timestamp, _by: ConnectionId, _online: Option<&[NodeId]>) {}

    fn moved(&self, _user: &UserKey, _head: Position, _online: Option<&[NodeId]>) {}

    fn sign_out(&self, user: &UserKey, why: SignOut) {
        let mut state = self.state.lock();
        let after = state.commands.len();
        state.signed_out.push((user.clone(), why, after));
    }

    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        ready(Ok(self.state.lock().online.iter().any(|online| online == user.user.as_str())))
    }
}

impl DirectoryService for Fakes {
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        if let Some(refusal) = self.refusal(user.user.as_str()) {
            return ready(Err(refusal));
        }
        if self.is_hanging(user.user.as_str()) {
            return never();
        }
        let tokens_from = self.state.lock().void_before.get(user.user.as_str()).copied().unwrap_or_default();
        ready(Ok(SignInView { tokens_from, ..SignInView::default() }))
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        if let Some(refusal) = self.refusal(user.user.as_str()) {
            return ready(Err(refusal));
        }
        if self.is_hanging(user.user.as_str()) {
            return never();
        }
        ready(Ok(self.state.lock().users.get(user.user.as_str()).cloned()))
    }

    fn group(&self, _app: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        let members = self.state.lock().groups.get(group.as_str()).cloned();
        ready(Ok(members.map(|members| GroupProfile {
            name: format!("name of {group}"),
            created: NOW,
            members: members.iter().map(|name| (user(name), NOW)).collect(),
            muted: self.state.lock().muted.iter().map(|(name, until)| (user(name), *until)).collect(),
        })))
    }

    fn groups_of(
        &self,
        user: &UserKey,
        after: Option<&TargetId>,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        let state = self.state.lock();
        let groups = state
            .groups
            .iter()
            .filter(|(group, members)| {
                members.iter().any(|m| m == user.user.as_str())
                    && after.is_none_or(|after| group.as_str() > after.as_str())
            })
            .map(|(group, _)| (TargetId::new(group).unwrap(), format!("name of {group}")))
            .take(count)
            .collect();
        ready(Ok(groups))
    }

    fn blacklist(&self, _user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        ready(Ok(self.state.lock().blacklist.iter().map(|name| user(name)).collect()))
    }

    fn blocked_users(&self, _app: &AppKey, now: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        assert_eq!(now, NOW);
        ready(Ok(self.state.lock().blocked.iter().map(|(name, until)| (user(name), *until)).collect()))
    }

    fn settings(&self, _user: &UserKey, _version: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        unasked()
    }
}
