//! A message role and a directory in memory: everything is decided at once, nothing is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anser_access::Registry;
use anser_cluster::{
    Accepted, AccessService as _, Arrival, BoxFuture, Command, Deliver, DirectoryService, GroupProfile, HistoryRead,
    HistoryReply, ListItem, MessageService, Online, Outcome, Publish, PullItem, PullReply, PullRequest, Recall,
    Refusal, ServerPublish, SettingsPage, Settled, SignInView, UserProfile, Way,
};
use anser_types::{
    AppKey, ConnectionId, ConversationType, Message, MessageClass, MessageUid, NodeId, Origin, Position, TargetId,
    Timestamp, UserId, UserKey, target_hash,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct FakeMessages {
    registry: Arc<Registry>,
    state: Mutex<State>,
    /// While set, pulls do not return.
    pub(crate) hold_pulls: AtomicBool,
    /// The lists that may be answered, and how many are being read.
    pub(crate) lists: Semaphore,
    pub(crate) lists_begun: AtomicUsize,
    /// While set, nobody is told of what arrives.
    pub(crate) overlooks: AtomicBool,
    /// While set, nobody can be announced.
    pub(crate) refuses: AtomicBool,
    /// Who cannot be announced.
    pub(crate) stuck: Mutex<Option<UserKey>>,
    pub(crate) signed_in: Mutex<Vec<(UserKey, ConnectionId)>>,
    pub(crate) signed_out: Mutex<Vec<(UserKey, ConnectionId)>>,
    /// Where every user is.
    pub(crate) online: Mutex<Online>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    timelines: HashMap<UserKey, Vec<PullItem>>,
    published: Vec<Publish>,
}

impl FakeMessages {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            state: Mutex::default(),
            hold_pulls: AtomicBool::new(false),
            lists: Semaphore::new(0),
            lists_begun: AtomicUsize::new(0),
            overlooks: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            stuck: Mutex::default(),
            signed_in: Mutex::default(),
            signed_out: Mutex::default(),
            online: Mutex::default(),
        }
    }

    pub(crate) fn published(&self) -> Vec<Publish> {
        self.state.lock().published.clone()
    }

    fn accept(&self, publish: Publish) {
        let (message, to) = self.state.lock().accept(&publish);
        if publish.class != MessageClass::Status {
            let outcome = Ok(Accepted { uid: message.uid, sent: message.sent });
            let (connection, publish) = (publish.origin.connection, publish.origin.publish);
            self.registry.settle(vec![Settled { connection, publish, outcome }]);
        }
        if self.overlooks.load(Ordering::Relaxed) {
            return;
        }
        self.registry.arrive(Arrival { app: publish.sender.app, message: Arc::new(message), to });
    }
}

impl State {
    fn accept(&mut self, publish: &Publish) -> (Message, Vec<Deliver>) {
        self.published.push(publish.clone());
        self.last = (self.last + 1).max(1_800_000_000_000).max(publish.floor.0 + 1);
        let sent = Timestamp(self.last);
        let spin = u16::try_from(self.last % 4096).unwrap();
        let message = Message {
            app: publish.sender.app.clone(),
            kind: publish.kind,
            sender: publish.sender.user.clone(),
            target: publish.target.clone(),
            sent,
            uid: MessageUid::new(sent, spin, publish.kind, target_hash(publish.target.as_str())),
            class: publish.class,
            flags: publish.flags,
            object_name: publish.object_name.clone(),
            content: publish.content.clone(),
            origin: publish.origin,
            sender_copy: true,
            extras: publish.extras.clone(),
        };
        let receiver = UserId::from(publish.target.clone());
        let mut to = Vec::new();
        for (user, sent_on) in [(receiver, None), (publish.sender.user.clone(), Some(publish.origin.connection))] {
            to.push(self.deliver(&message, user, sent_on));
        }
        (message, to)
    }

    fn deliver(&mut self, message: &Message, user: UserId, sent_on: Option<ConnectionId>) -> Deliver {
        if message.class == MessageClass::Status {
            return Deliver { user, position: None, previous: Position::START, sent_on, online: None };
        }
        let timeline = self.timelines.entry(UserKey::new(message.app.clone(), user.clone())).or_default();
        let previous = timeline.last().map_or(Position::START, |item| item.position);
        let position = Position::after(previous, message.sent);
        timeline.push(PullItem { position, sent_on, message: message.clone() });
        Deliver { user, position: Some(position), previous, sent_on, online: None }
    }
}

/// The most entries of a pull answer of this role.
pub(crate) const PAGE: usize = 3;

impl MessageService for FakeMessages {
    fn publish(&self, publishes: Vec<Publish>, _: Way) {
        publishes.into_iter().for_each(|publish| self.accept(publish));
    }

    fn publish_for_server(&self, _: ServerPublish, _: Origin) -> BoxFuture<'_, Outcome> {
        Box::pin(async { Err(Refusal::UNAVAILABLE) })
    }

    fn command(&self, _: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        Box::pin(async { Ok(Timestamp(7)) })
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        if self.hold_pulls.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let state = self.state.lock();
        let all = state.timelines.get(&request.user).cloned().unwrap_or_default();
        let head = all.last().map_or(Position::START, |item| item.position);
        let mut items: Vec<_> = all.into_iter().filter(|item| item.position > request.after).collect();
        let finished = items.len() <= PAGE;
        items.truncate(PAGE);
        Box::pin(async move { Ok(PullReply { items, after: request.after, head, finished }) })
    }

    fn history(&self, _: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        Box::pin(async { Ok(HistoryReply::default()) })
    }

    fn conversations(
        &self,
        _: &UserKey,
        _: Option<ConversationType>,
        _: Timestamp,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        Box::pin(async {
            self.lists_begun.fetch_add(1, Ordering::Relaxed);
            self.lists.acquire().await.unwrap().forget();
            Ok(Vec::new())
        })
    }

    fn recall(&self, _: Recall) -> BoxFuture<'_, Outcome> {
        Box::pin(async { Err(Refusal::UNAVAILABLE) })
    }

    fn signed_in(&self, user: &UserKey, _: NodeId, connection: ConnectionId) -> BoxFuture<'_, Result<Online, Refusal>> {
        if self.refuses.load(Ordering::Relaxed) || self.stuck.lock().as_ref() == Some(user) {
            return Box::pin(async { Err(Refusal::UNAVAILABLE) });
        }
        self.signed_in.lock().push((user.clone(), connection));
        let online = self.online.lock().clone();
        Box::pin(async move { Ok(online) })
    }

    fn signed_out(&self, user: &UserKey, _: NodeId, connection: ConnectionId) -> BoxFuture<'_, Result<(), Refusal>> {
        self.signed_out.lock().push((user.clone(), connection));
        Box::pin(async { Ok(()) })
    }
}

#[derive(Debug, Default)]
pub(crate) struct FakeDirectory {
    pub(crate) views: Mutex<HashMap<UserKey, SignInView>>,
    /// Of whom nothing can be read.
    pub(crate) damaged: Mutex<HashSet<UserKey>>,
    /// After so many answers nothing is answered any more; zero: never.
    pub(crate) answers_max: AtomicUsize,
    answers: AtomicUsize,
    pub(crate) is_away: AtomicBool,
}

impl FakeDirectory {
    /// How often it was asked who may sign in.
    pub(crate) fn asked(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

impl DirectoryService for FakeDirectory {
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        let most = self.answers_max.load(Ordering::Relaxed);
        if self.answers.fetch_add(1, Ordering::Relaxed) >= most && most > 0 {
            return Box::pin(std::future::pending());
        }
        let view = self.views.lock().get(user).copied().unwrap_or_default();
        let is_away = self.is_away.load(Ordering::Relaxed) || self.damaged.lock().contains(user);
        Box::pin(async move { if is_away { Err(Refusal::UNAVAILABLE) } else { Ok(view) } })
    }

    fn user(&self, _: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn group(&self, _: &AppKey, _: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn groups_of(
        &self,
        _: &UserKey,
        _: Option<&TargetId>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn blacklist(&self, _: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn blocked_users(&self, _: &AppKey, _: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn settings(&self, _: &UserKey, _: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        Box::pin(async { Ok(SettingsPage::default()) })
    }
}
