//! Services that remember what they were told. The message roles of all nodes share what they have decided, as the log does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anser_cluster::{
    Accepted, AccessService, Arrival, BoxFuture, Command, DirectoryService, Forward, Forwarded, GroupProfile,
    HistoryRead, HistoryReply, ListItem, MessageService, Newcomer, Online, Outcome, OwnerService, Owners, Publish,
    PullReply, PullRequest, Recall, Refusal, ServerPublish, SettingsPage, Settled, SignInView, SignOut, UserProfile,
    Way,
};
use anser_types::{
    AppKey, ConnectionId, ConversationType, MessageUid, NodeId, Origin, PartitionId, Position, Status, TargetId,
    Timestamp, UserId, UserKey,
};
use parking_lot::Mutex;

/// What was decided, in order, by whom: shared by all message roles.
#[derive(Debug, Default)]
pub(crate) struct Log {
    inner: Mutex<Decided>,
}

#[derive(Debug, Default)]
struct Decided {
    order: Vec<(ConnectionId, u64)>,
    known: HashMap<(ConnectionId, u64), Accepted>,
    repeats: usize,
}

impl Log {
    /// Decides a publish, or recognises it.
    pub(crate) fn decide(&self, origin: Origin) -> Accepted {
        let mut inner = self.inner.lock();
        let key = (origin.connection, origin.publish);
        if let Some(known) = inner.known.get(&key).copied() {
            inner.repeats += 1;
            return known;
        }
        let number = u64::try_from(inner.order.len()).unwrap();
        let mut uid = [0; 10];
        uid[2..].copy_from_slice(&number.to_be_bytes());
        let accepted = Accepted { uid: MessageUid::from_bytes(uid), sent: Timestamp(number) };
        inner.order.push(key);
        inner.known.insert(key, accepted);
        accepted
    }

    pub(crate) fn order(&self) -> Vec<(ConnectionId, u64)> {
        self.inner.lock().order.clone()
    }

    pub(crate) fn repeats(&self) -> usize {
        self.inner.lock().repeats
    }
}

/// A message role.
#[derive(Debug)]
pub(crate) struct FakeMessages {
    pub(crate) log: Arc<Log>,
    pub(crate) access: OnceLock<Arc<dyn AccessService>>,
    /// While set, publishes are taken and nothing becomes of them; as if the node hung behind its queue.
    pub(crate) holds: AtomicBool,
    /// While set, what is asked is refused as retryable.
    pub(crate) refuses: AtomicBool,
    pub(crate) held: Mutex<Vec<Publish>>,
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) online: Mutex<HashMap<UserKey, Online>>,
}

impl FakeMessages {
    pub(crate) fn new(log: &Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            log: Arc::clone(log),
            access: OnceLock::new(),
            holds: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            held: Mutex::default(),
            calls: Mutex::default(),
            online: Mutex::default(),
        })
    }

    fn note<T: Send + 'static>(&self, call: String, answer: T) -> BoxFuture<'_, Result<T, Refusal>> {
        self.calls.lock().push(call);
        let refused = self.refuses.load(Ordering::Relaxed);
        Box::pin(async move { if refused { Err(Refusal::UNAVAILABLE) } else { Ok(answer) } })
    }

    /// Decides what was held, before anything that comes meanwhile.
    pub(crate) fn release(&self) {
        let mut held = self.held.lock();
        self.holds.store(false, Ordering::Relaxed);
        let settled = self.decide(&std::mem::take(&mut *held));
        drop(held);
        self.access.get().unwrap().settle(settled);
    }

    fn decide(&self, publishes: &[Publish]) -> Vec<Settled> {
        let decide = |publish: &Publish| Settled {
            connection: publish.origin.connection,
            publish: publish.origin.publish,
            outcome: Ok(self.log.decide(publish.origin)),
        };
        publishes.iter().map(decide).collect()
    }
}

impl MessageService for FakeMessages {
    fn publish(&self, publishes: Vec<Publish>, _: Way) {
        let mut held = self.held.lock();
        if self.holds.load(Ordering::Relaxed) {
            held.extend(publishes);
            return;
        }
        let settled = self.decide(&publishes);
        // Whoever hears of it may publish here again at once.
        drop(held);
        self.access.get().unwrap().settle(settled);
    }

    fn publish_for_server(&self, publish: ServerPublish, origin: Origin) -> BoxFuture<'_, Outcome> {
        let accepted = self.log.decide(origin);
        self.note(format!("publish to {} by {}", publish.target, origin.publish), accepted)
    }

    fn command(&self, command: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        self.note(format!("{command:?}"), Timestamp(7))
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        self.note(format!("pull of {}", request.user.user), PullReply { head: Position(9), ..PullReply::default() })
    }

    fn history(&self, request: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        self.note(format!("history of {}", request.user.user), HistoryReply::default())
    }

    fn conversations(
        &self,
        user: &UserKey,
        _: Option<ConversationType>,
        _: Timestamp,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        self.note(format!("list of {}", user.user), Vec::new())
    }

    fn recall(&self, recall: Recall) -> BoxFuture<'_, Outcome> {
        let accepted = self.log.decide(recall.origin);
        self.note("recall".to_owned(), accepted)
    }

    fn signed_in(&self, user: &UserKey, node: NodeId, _: ConnectionId) -> BoxFuture<'_, Result<Online, Refusal>> {
        let mut online = self.online.lock();
        let nodes = online.entry(user.clone()).or_default();
        if !nodes.contains(&node) {
            nodes.push(node);
        }
        let nodes = nodes.clone();
        drop(online);
        self.note(format!("{} signed in", user.user), nodes)
    }

    fn signed_out(&self, user: &UserKey, node: NodeId, _: ConnectionId) -> BoxFuture<'_, Result<(), Refusal>> {
        self.online.lock().entry(user.clone()).or_default().retain(|other| *other != node);
        self.note(format!("{} signed out", user.user), ())
    }

    fn online(&self, user: &UserKey) -> BoxFuture<'_, Result<Online, Refusal>> {
        let nodes = self.online.lock().get(user).cloned().unwrap_or_default();
        self.note(format!("where is {}", user.user), nodes)
    }
}

impl DirectoryService for FakeMessages {
    fn sign_in_view(&self, user: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        self.note(format!("may {} sign in", user.user), SignInView::default())
    }

    fn user(&self, user: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        self.note(format!("who is {}", user.user), None)
    }

    fn group(&self, _: &AppKey, group: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        if group.as_str() == "secret" {
            return Box::pin(async { Err(Refusal::new(Status::NOT_IN_GROUP)) });
        }
        self.note(format!("group {group}"), Some(GroupProfile { name: group.to_string(), ..GroupProfile::default() }))
    }

    fn groups_of(
        &self,
        user: &UserKey,
        _: Option<&TargetId>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        self.note(format!("groups of {}", user.user), Vec::new())
    }

    fn blacklist(&self, user: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        self.note(format!("whom blocks {}", user.user), Vec::new())
    }

    fn blocked_users(&self, app: &AppKey, _: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        self.note(format!("blocked in {app}"), Vec::new())
    }

    fn settings(&self, user: &UserKey, _: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        self.note(format!("settings of {}", user.user), SettingsPage::default())
    }
}

/// The terminals of a node.
#[derive(Debug, Default)]
pub(crate) struct FakeTerminals {
    pub(crate) settled: Mutex<Vec<Settled>>,
    pub(crate) arrivals: Mutex<Vec<Arrival>>,
    pub(crate) moved: Mutex<HashMap<UserKey, Position>>,
    pub(crate) told: Mutex<Vec<String>>,
    pub(crate) online: Mutex<Vec<UserKey>>,
}

impl AccessService for FakeTerminals {
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.lock().extend(settled);
    }

    fn arrive(&self, arrival: Arrival) {
        self.arrivals.lock().push(arrival);
    }

    fn settings_changed(&self, user: &UserKey, time: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {
        self.told.lock().push(format!("settings of {} at {time}", user.user));
    }

    fn moved(&self, user: &UserKey, head: Position, _: Option<&[NodeId]>) {
        self.moved.lock().insert(user.clone(), head);
    }

    fn sign_out(&self, user: &UserKey, _: SignOut) {
        self.told.lock().push(format!("{} out", user.user));
    }

    fn gives_way(&self, newcomer: &Newcomer, _: &[NodeId]) {
        self.told.lock().push(format!("{} gives way to {}", newcomer.user.user, newcomer.connection));
    }

    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        let online = self.online.lock().contains(user);
        Box::pin(async move { Ok(online) })
    }
}

/// The owners of a node.
#[derive(Debug, Default)]
pub(crate) struct FakeOwner {
    pub(crate) forwarded: Mutex<Vec<(NodeId, Forward)>>,
    pub(crate) answered: Mutex<Vec<(u64, Forwarded)>>,
    pub(crate) lost: Mutex<Vec<NodeId>>,
    pub(crate) owners: Mutex<Option<Owners>>,
    pub(crate) archived: Mutex<Vec<PartitionId>>,
}

impl OwnerService for FakeOwner {
    fn forwarded(&self, from: NodeId, forwards: Vec<Forward>) {
        self.forwarded.lock().extend(forwards.into_iter().map(|forward| (from, forward)));
    }

    fn answered(&self, _: NodeId, answers: Vec<(u64, Forwarded)>) {
        self.answered.lock().extend(answers);
    }

    fn lost(&self, node: NodeId) {
        self.lost.lock().push(node);
    }

    fn access_lost(&self, _: NodeId, _: Way) {}

    fn let_go(&self, _: NodeId, _: Vec<PartitionId>) {}

    fn listed(&self) {}

    fn owners_changed(&self, owners: Owners) {
        *self.owners.lock() = Some(owners);
    }

    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        self.archived.lock().push(partition);
        Box::pin(async { Ok(()) })
    }
}
