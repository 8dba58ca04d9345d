//! The role on in-memory backends, with an access role that only takes notes.
#![expect(clippy::unwrap_used, reason = "a test says by unwrapping what has to be there")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_cluster::{
    AccessService, Arrival, BoxFuture, Command, DirectoryService, HistoryRead, LIST_BYTES_MAX, MessageService, Outcome,
    Publish, PullRequest, Recall, RecallTarget, Refusal, ServerPublish, Settled, SignOut, Way,
};
use anser_message::{Backends, MessageConfig, MessageHandle, MessageRole, RoleError};
use anser_types::record::{RosterChange, UserChange};
use anser_types::{
    AppKey, ClientMessageId, ConnectionId, Conversation, ConversationType, Extras, LogId, MessageClass, MessageFlags,
    NodeId, Origin, PartitionCount, Position, Status, Subject, TargetId, Timestamp, UserId, UserKey,
};

mod parked;
mod rebuild;

#[derive(Debug, Default)]
struct Access {
    settled: Mutex<Vec<Settled>>,
    arrivals: Mutex<Vec<Arrival>>,
    moved: Mutex<Vec<UserKey>>,
    changed: Notify,
}

impl AccessService for Access {
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.lock().extend(settled);
        self.changed.notify_waiters();
    }

    fn arrive(&self, arrival: Arrival) {
        self.arrivals.lock().push(arrival);
        self.changed.notify_waiters();
    }

    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}

    fn moved(&self, user: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.moved.lock().push(user.clone());
    }

    fn sign_out(&self, _: &UserKey, _: SignOut) {}

    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

struct World {
    config: MessageConfig,
    log: MemoryLog,
    backends: Backends,
    access: Arc<Access>,
    clock: Arc<AtomicU64>,
    handle: Arc<MessageHandle>,
    tasks: Vec<JoinHandle<Result<(), RoleError>>>,
    publishes: u64,
}

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn key(name: &str) -> UserKey {
    UserKey::new(app(), UserId::new(name).unwrap())
}

impl World {
    async fn new() -> Self {
        Self::with(MessageConfig::default()).await
    }

    async fn with(config: MessageConfig) -> Self {
        Self::of(config, |backends| backends).await
    }

    async fn of(config: MessageConfig, change: impl FnOnce(Backends) -> Backends) -> Self {
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let now = Arc::clone(&clock);
        let log = MemoryLog::new(LogId(5), PartitionCount::EMBEDDED, move || Timestamp(now.load(Ordering::Relaxed)));
        let backends = Backends {
            log: Arc::new(log.clone()),
            mailbox: Arc::new(MemoryMailbox::default()),
            history: Arc::new(MemoryHistory::default()),
            directory: Arc::new(MemoryDirectory::default()),
            rebuilds: None,
        };
        let backends = change(backends);
        let access = Arc::new(Access::default());
        let (handle, tasks) = start(&config, &backends, &access, &clock).await;
        Self { config, log, backends, access, clock, handle, tasks, publishes: 0 }
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    async fn stop(&mut self) {
        self.handle.close();
        for task in self.tasks.drain(..) {
            task.await.unwrap().unwrap();
        }
    }

    /// Why it does not start.
    async fn refused(&self) -> RoleError {
        let (access, now) = (Arc::clone(&self.access), Timestamp(self.clock.load(Ordering::Relaxed)));
        let (role, _handle) =
            MessageRole::new("n1", &self.config, self.backends.clone(), access, Arc::new(move || now));
        let tasks = role.into_tasks(oneshot::channel().0);
        let _others = (spawn(tasks.applying), spawn(tasks.archiving));
        tasks.deciding.await.unwrap_err()
    }

    async fn start(&mut self) {
        (self.handle, self.tasks) = start(&self.config, &self.backends, &self.access, &self.clock).await;
    }

    fn publish(&mut self, from: &str, kind: ConversationType, to: &str, text: &str) -> Publish {
        self.publishes += 1;
        Publish {
            sender: key(from),
            kind,
            target: TargetId::new(to).unwrap(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
            object_name: "RC:TxtMsg".into(),
            content: text.to_owned().into(),
            origin: Origin {
                connection: ConnectionId(9),
                publish: self.publishes,
                client_id: Some(ClientMessageId(i64::try_from(self.publishes).unwrap())),
            },
            floor: Timestamp::ZERO,
            extras: None,
        }
    }

    async fn outcome(&self, number: u64) -> Outcome {
        loop {
            let changed = self.access.changed.notified();
            if let Some(settled) = self.access.settled.lock().iter().find(|s| s.publish == number) {
                return settled.outcome;
            }
            changed.await;
        }
    }

    async fn say(&mut self, from: &str, kind: ConversationType, to: &str, text: &str) -> Outcome {
        let publish = self.publish(from, kind, to, text);
        let number = publish.origin.publish;
        self.handle.publish(vec![publish], Way::WITHIN);
        self.outcome(number).await
    }

    /// Waits until everything acked can be read.
    async fn arrived(&self, count: usize) {
        loop {
            let changed = self.access.changed.notified();
            if self.access.arrivals.lock().len() >= count {
                return;
            }
            changed.await;
        }
    }

    /// Waits until whatever is durable now is in the tables: a cursor above the head makes a pull wait for that.
    async fn applied(&self) {
        let after = Position(self.clock.load(Ordering::Relaxed) + 1_000);
        let request = PullRequest { user: key("nobody"), device: None, after };
        self.handle.pull(request).await.unwrap();
    }

    async fn timeline(&self, user: &str) -> Vec<String> {
        let request = PullRequest { user: key(user), device: None, after: Position::START };
        let reply = self.handle.pull(request).await.unwrap();
        reply.items.iter().map(|i| String::from_utf8_lossy(&i.message.content).into_owned()).collect()
    }

    async fn history(&self, user: &str, kind: ConversationType, target: &str) -> Vec<String> {
        let conversation = Conversation::new(kind, TargetId::new(target).unwrap());
        let read = HistoryRead { user: key(user), conversation, time: None, ascending: false, count: None };
        let reply = self.handle.history(read).await.unwrap();
        reply.items.iter().map(|i| String::from_utf8_lossy(&i.message.content).into_owned()).collect()
    }

    async fn group(&self, change: RosterChange) {
        let subject = Subject::group(app(), TargetId::new("g").unwrap());
        self.handle.command(Command::Roster { subject, change }).await.unwrap();
    }
}

async fn start(
    config: &MessageConfig,
    backends: &Backends,
    access: &Arc<Access>,
    clock: &Arc<AtomicU64>,
) -> (Arc<MessageHandle>, Vec<JoinHandle<Result<(), RoleError>>>) {
    let now = Arc::clone(clock);
    // Time passes with every look at the clock: what the role waits for comes, at whatever speed the test runs.
    let clock = Arc::new(move || Timestamp(now.fetch_add(5, Ordering::Relaxed)));
    let access: Arc<dyn AccessService> = Arc::clone(access) as _;
    let (role, handle) = MessageRole::new("n1", config, backends.clone(), access, clock);
    let (ready, is_ready) = oneshot::channel();
    let tasks = role.into_tasks(ready);
    let tasks = vec![spawn(tasks.deciding), spawn(tasks.applying), spawn(tasks.archiving)];
    is_ready.await.unwrap();
    (handle, tasks)
}

fn spawn(task: impl Future<Output = Result<(), RoleError>> + Send + 'static) -> JoinHandle<Result<(), RoleError>> {
    tokio::runtime::Handle::current().spawn(task)
}

const PRIVATE: ConversationType = ConversationType::Private;
const GROUP: ConversationType = ConversationType::Group;

#[tokio::test]
async fn nothing_lost_a_message_reaches_both_timelines_both_lists_and_history() {
    let mut world = World::new().await;
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    world.say("bob", PRIVATE, "alice", "two").await.unwrap();
    world.arrived(2).await;
    for (me, peer) in [("alice", "bob"), ("bob", "alice")] {
        assert_eq!(world.timeline(me).await, ["one", "two"]);
        assert_eq!(world.history(me, PRIVATE, peer).await, ["two", "one"]);
        let list = world.handle.conversations(&key(me), None, Timestamp::ZERO, 10).await.unwrap();
        assert_eq!((list.len(), list[0].conversation.target.as_str(), list[0].unread), (1, peer, 1));
    }
    assert!(world.history("carol", PRIVATE, "bob").await.is_empty(), "one-way-in");
}

#[tokio::test]
async fn a_restart_repeats_nothing_and_recognises_resends() {
    let mut world = World::new().await;
    let publish = world.publish("alice", PRIVATE, "bob", "one");
    world.handle.publish(vec![publish.clone()], Way::WITHIN);
    let first = world.outcome(1).await.unwrap();
    world.restart().await;
    let mut again = publish;
    again.origin.publish = 77;
    world.handle.publish(vec![again], Way::WITHIN);
    assert_eq!(world.outcome(77).await, Ok(first));
    assert_eq!(world.timeline("bob").await, ["one"]);
    assert_eq!(world.history("bob", PRIVATE, "alice").await, ["one"]);
    world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    world.arrived(2).await;
    let subject = Subject::private(app(), key("alice").user, key("bob").user);
    assert_eq!(world.backends.history.head(&subject).await.unwrap().number, 2);
}

#[tokio::test]
async fn a_full_log_refuses_nothing_for_good_and_service_resumes_by_itself() {
    let mut world = World::new().await;
    world.say("alice", PRIVATE, "bob", "before").await.unwrap();
    world.log.set_full(true);
    let publish = world.publish("alice", PRIVATE, "bob", "during");
    let number = publish.origin.publish;
    world.handle.publish(vec![publish], Way::WITHIN);
    let command = Command::User { user: key("bob"), change: UserChange::Unblocked };
    let refused = world.handle.command(command.clone()).await.unwrap_err();
    assert!(refused.status.is_retryable());
    world.log.set_full(false);
    world.outcome(number).await.unwrap();
    world.handle.command(command).await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["before", "during"]);
}

#[tokio::test]
async fn a_group_and_who_may_read_what_of_it() {
    let mut world = World::new().await;
    let users = |names: &[&str]| names.iter().map(|n| key(n).user).collect::<Vec<_>>();
    assert_eq!(world.say("alice", GROUP, "g", "x").await.unwrap_err().status, Status::NOT_IN_GROUP);
    world.group(RosterChange::Join { name: "G".into(), users: users(&["alice", "bob"]) }).await;
    world.say("alice", GROUP, "g", "one").await.unwrap();
    world.clock.fetch_add(10, Ordering::Relaxed);
    world.group(RosterChange::Join { name: String::new(), users: users(&["carol"]) }).await;
    world.group(RosterChange::Quit { users: users(&["bob"]) }).await;
    world.say("alice", GROUP, "g", "two").await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["one"]);
    assert_eq!(world.timeline("carol").await, ["two"]);
    assert_eq!(world.history("alice", GROUP, "g").await, ["two", "one"]);
    assert_eq!(world.history("carol", GROUP, "g").await, ["two"], "nothing of before the joining");
    assert!(world.history("bob", GROUP, "g").await.is_empty());
    let group = world.handle.group(&app(), &TargetId::new("g").unwrap()).await.unwrap().unwrap();
    assert_eq!((group.name.as_str(), group.members.len()), ("G", 2));
}

fn recall_of(uid: anser_types::MessageUid, by: &str) -> Recall {
    let command = ServerPublish {
        app: app(),
        sender: key(by).user,
        kind: PRIVATE,
        target: TargetId::new(if by == "alice" { "bob" } else { "alice" }).unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::default(),
        object_name: "RC:RcCmd".into(),
        content: "recall".into(),
        sender_copy: true,
        check_permission: true,
        extras: None,
    };
    Recall { command, origin: Origin::NONE, effect: RecallTarget { uid, sent: uid.sent_time(), by_sender_only: true } }
}

#[tokio::test]
async fn what_was_recalled_can_be_read_nowhere_and_only_its_sender_may_recall_it() {
    let mut world = World::new().await;
    let first = world.say("alice", PRIVATE, "bob", "a first slip").await.unwrap();
    world.say("alice", PRIVATE, "bob", "stays").await.unwrap();
    let last = world.say("alice", PRIVATE, "bob", "a last slip").await.unwrap();
    let refused = world.handle.recall(recall_of(last.uid, "bob")).await.unwrap_err();
    assert_eq!(refused.status, Status::NOT_YOUR_MESSAGE);
    let unread = world.handle.conversations(&key("bob"), None, Timestamp::ZERO, 10).await.unwrap()[0].unread;
    assert_eq!(unread, 3);
    for (slip, shown, unread) in [(first, "a last slip", 2), (last, "recall", 1)] {
        world.handle.recall(recall_of(slip.uid, "alice")).await.unwrap();
        world.applied().await;
        for (me, unread) in [("bob", unread), ("alice", 0)] {
            let list = world.handle.conversations(&key(me), None, Timestamp::ZERO, 10).await.unwrap();
            let content = String::from_utf8_lossy(&list[0].last.content);
            assert_eq!((list.len(), &*content, list[0].unread), (1, shown, unread), "{me}");
        }
    }
    for (me, peer) in [("bob", "alice"), ("alice", "bob")] {
        assert_eq!(world.timeline(me).await, ["stays", "recall", "recall"]);
        assert_eq!(world.history(me, PRIVATE, peer).await, ["stays"]);
    }
}

#[tokio::test]
async fn a_page_of_which_everything_was_recalled_leads_on() {
    let mut world = World::new().await;
    let mut uids = Vec::new();
    for text in 0..450 {
        uids.push(world.say("alice", PRIVATE, "bob", &text.to_string()).await.unwrap().uid);
    }
    world.arrived(450).await;
    for uid in &uids[..420] {
        world.handle.recall(recall_of(*uid, "alice")).await.unwrap();
    }
    world.applied().await;
    let (mut after, mut seen) = (Position::START, Vec::new());
    loop {
        let request = PullRequest { user: key("bob"), device: None, after };
        let reply = world.handle.pull(request).await.unwrap();
        assert!(reply.finished || reply.items.last().is_some_and(|item| item.position > after));
        after = reply.items.last().map_or(after, |item| item.position);
        seen.extend(reply.items.into_iter().map(|item| String::from_utf8_lossy(&item.message.content).into_owned()));
        if reply.finished {
            break;
        }
    }
    let (said, recalls) = seen.split_at(30);
    assert_eq!(said, (420..450).map(|text| text.to_string()).collect::<Vec<_>>());
    assert!(recalls.len() == 420 && recalls.iter().all(|text| text == "recall"));
}

#[tokio::test]
async fn pages_lead_back_to_the_beginning_without_gap_or_repeat() {
    let mut world = World::new().await;
    for i in 0..45 {
        world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap();
    }
    world.arrived(45).await;
    let (mut seen, mut time, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let conversation = Conversation::new(PRIVATE, TargetId::new("alice").unwrap());
        let read = HistoryRead { user: key("bob"), conversation, time, ascending: false, count: Some(20) };
        let reply = world.handle.history(read).await.unwrap();
        sizes.push(reply.items.len());
        time = reply.items.last().map(|i| i.message.sent);
        seen.extend(reply.items.iter().map(|i| i.number));
        if !reply.more {
            break;
        }
    }
    assert_eq!(sizes, [20, 20, 5]);
    assert_eq!(seen, (1..=45).rev().collect::<Vec<_>>());
}

/// More rows than one look at a history takes.
const MANY: usize = 130;

async fn page(world: &World, read: HistoryRead) -> (Vec<String>, bool) {
    let reply = world.handle.history(read).await.unwrap();
    (reply.items.iter().map(|i| String::from_utf8_lossy(&i.message.content).into_owned()).collect(), reply.more)
}

fn one(user: &str, kind: ConversationType, target: &str) -> HistoryRead {
    let conversation = Conversation::new(kind, TargetId::new(target).unwrap());
    HistoryRead { user: key(user), conversation, time: None, ascending: false, count: Some(1) }
}

#[tokio::test]
async fn a_history_that_was_cleaned_is_empty_and_says_so_however_long_it_was() {
    let mut world = World::new().await;
    let mut last = Timestamp::ZERO;
    for i in 0..MANY {
        last = world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap().sent;
    }
    world.arrived(MANY).await;
    let conversation = Conversation::new(PRIVATE, TargetId::new("alice").unwrap());
    let change = UserChange::HideUntil { conversation, until: last };
    world.handle.command(Command::User { user: key("bob"), change }).await.unwrap();
    let read = one("bob", PRIVATE, "alice");
    assert_eq!(page(&world, read.clone()).await, (vec![], false));
    assert_eq!(page(&world, HistoryRead { ascending: true, ..read }).await, (vec![], false));
    world.say("alice", PRIVATE, "bob", "new").await.unwrap();
    world.arrived(MANY + 1).await;
    let read = one("bob", PRIVATE, "alice");
    assert_eq!(page(&world, read.clone()).await, (vec!["new".to_owned()], false));
    assert_eq!(page(&world, HistoryRead { ascending: true, ..read }).await, (vec!["new".to_owned()], false));
    assert_eq!(page(&world, HistoryRead { time: Some(last), ..one("bob", PRIVATE, "alice") }).await, (vec![], false));
}

#[tokio::test]
async fn a_member_who_joined_late_reads_from_the_joining_on_in_both_orders() {
    let mut world = World::new().await;
    let users = |names: &[&str]| names.iter().map(|n| key(n).user).collect::<Vec<_>>();
    world.group(RosterChange::Join { name: "G".into(), users: users(&["alice"]) }).await;
    for i in 0..MANY {
        world.say("alice", GROUP, "g", &i.to_string()).await.unwrap();
    }
    world.clock.fetch_add(10, Ordering::Relaxed);
    world.group(RosterChange::Join { name: String::new(), users: users(&["carol"]) }).await;
    world.say("alice", GROUP, "g", "first").await.unwrap();
    world.arrived(MANY + 1).await;
    let read = one("carol", GROUP, "g");
    assert_eq!(page(&world, read.clone()).await, (vec!["first".to_owned()], false));
    let from_the_beginning = HistoryRead { ascending: true, time: Some(Timestamp(1)), ..read };
    assert_eq!(page(&world, from_the_beginning).await, (vec!["first".to_owned()], false));
}

#[tokio::test]
async fn what_lies_behind_many_deleted_messages_is_found() {
    let mut world = World::new().await;
    world.say("alice", PRIVATE, "bob", "oldest").await.unwrap();
    let mut messages = Vec::new();
    for i in 0..MANY {
        let sent = world.say("alice", PRIVATE, "bob", &i.to_string()).await.unwrap();
        messages.push((sent.uid, sent.sent));
    }
    world.arrived(MANY + 1).await;
    let conversation = Conversation::new(PRIVATE, TargetId::new("alice").unwrap());
    let change = UserChange::HideMessages { conversation, messages };
    world.handle.command(Command::User { user: key("bob"), change }).await.unwrap();
    assert_eq!(page(&world, one("bob", PRIVATE, "alice")).await, (vec!["oldest".to_owned()], false));
}

#[tokio::test]
async fn slow_is_alone_a_page_of_history_has_no_more_bytes_than_a_pull() {
    let config = MessageConfig { pull_bytes_max: 10_000, ..MessageConfig::default() };
    let mut world = World::with(config).await;
    for i in 0..8 {
        world.say("alice", PRIVATE, "bob", &format!("{i}{}", "x".repeat(3_000))).await.unwrap();
    }
    world.arrived(8).await;
    let (mut sizes, mut read) = (Vec::new(), HistoryRead { count: Some(20), ..one("bob", PRIVATE, "alice") });
    loop {
        let reply = world.handle.history(read.clone()).await.unwrap();
        sizes.push(reply.items.len());
        read.time = reply.items.last().map(|i| i.message.sent);
        if !reply.more {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 2]);
    let world = World::with(MessageConfig { pull_bytes_max: 1, ..MessageConfig::default() }).await;
    assert!(world.handle.history(one("bob", PRIVATE, "alice")).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_conversation_list_is_read_in_parts_and_ends_where_it_grows_too_large() {
    let mut world = World::new().await;
    let peers: Vec<String> = (0..250).map(|i| format!("peer{i}")).collect();
    for peer in &peers {
        world.say("alice", PRIVATE, peer, "hi").await.unwrap();
    }
    world.arrived(250).await;
    let list = async |world: &World, before, count| {
        let list = world.handle.conversations(&key("alice"), None, before, count).await.unwrap();
        list.into_iter().map(|item| (item.conversation.target.to_string(), item.last.sent)).collect::<Vec<_>>()
    };
    let newest_first: Vec<String> = peers.iter().rev().cloned().collect();
    let all = list(&world, Timestamp::ZERO, 1_000).await;
    assert_eq!(all.iter().map(|(peer, _)| peer.clone()).collect::<Vec<_>>(), newest_first);
    assert_eq!(list(&world, Timestamp::ZERO, 150).await, all[..150]);
    assert_eq!(list(&world, all[149].1, 1_000).await, all[150..]);

    let text = "x".repeat(LIST_BYTES_MAX / 64);
    for peer in peers.iter().take(70) {
        world.say("alice", PRIVATE, peer, &text).await.unwrap();
    }
    world.arrived(320).await;
    let first = list(&world, Timestamp::ZERO, 1_000).await;
    assert_eq!(first.len(), 64);
    assert_eq!(list(&world, first[63].1, 1_000).await.len(), 250 - 64);
}

#[tokio::test]
async fn nothing_twice_a_cursor_from_an_ack_counts_though_nothing_is_applied_and_the_clock_went_back() {
    let world = World::new().await;
    let clock = Arc::clone(&world.clock);
    let access: Arc<dyn AccessService> = Arc::clone(&world.access) as _;
    let now = Arc::clone(&clock);
    let (role, handle) = MessageRole::new(
        "n2",
        &MessageConfig::default(),
        Backends {
            log: Arc::new(MemoryLog::new(LogId(6), PartitionCount::EMBEDDED, || Timestamp(0))),
            mailbox: Arc::new(MemoryMailbox::default()),
            history: Arc::new(MemoryHistory::default()),
            directory: Arc::new(MemoryDirectory::default()),
            rebuilds: None,
        },
        access,
        Arc::new(move || Timestamp(now.fetch_add(5, Ordering::Relaxed))),
    );
    let (ready, is_ready) = oneshot::channel();
    let tasks = role.into_tasks(ready);
    let (deciding, archiving) = (spawn(tasks.deciding), spawn(tasks.archiving));
    let mut applying = tasks.applying;
    tokio::select! {
        _ = &mut applying => panic!("it goes on"),
        ready = is_ready => ready.unwrap(),
    }
    // From here on nothing is applied.
    let mut world = World { handle, ..world };
    world.say("alice", PRIVATE, "bob", "one").await.unwrap();
    clock.fetch_sub(3_600_000, Ordering::Relaxed);
    let newest = world.say("alice", PRIVATE, "bob", "two").await.unwrap();
    let request = PullRequest { user: key("alice"), device: None, after: Position(newest.sent.0) };
    let reply = tokio::select! {
        biased;
        reply = world.handle.pull(request) => reply.unwrap(),
        _ = &mut applying => panic!("it goes on"),
    };
    assert_eq!(reply.after, Position(newest.sent.0));
    assert!(reply.items.is_empty(), "{:?}", reply.items);
    world.handle.close();
    applying.await.unwrap();
    deciding.await.unwrap().unwrap();
    archiving.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_way_in_a_recall_goes_to_those_alone_who_were_sent_the_message() {
    let mut world = World::new().await;
    let users = ["alice", "bob", "carol"].map(|name| key(name).user).to_vec();
    world.group(RosterChange::Join { name: "G".into(), users }).await;
    let mut publish = world.publish("alice", GROUP, "g", "for bob");
    publish.extras = Some(Box::new(Extras { to_users: vec![key("bob").user], ..Extras::default() }));
    let number = publish.origin.publish;
    world.handle.publish(vec![publish], Way::WITHIN);
    let whisper = world.outcome(number).await.unwrap();
    let mut recall = recall_of(whisper.uid, "alice");
    recall.command.kind = GROUP;
    recall.command.target = TargetId::new("g").unwrap();
    world.handle.recall(recall).await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.timeline("bob").await, ["recall"]);
    assert!(world.timeline("carol").await.is_empty());
}
