//! A node with all that its message role needs.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_cluster::{
    Command, HistoryRead, ListItem, MessageService, Outcome, Publish, PullReply, PullRequest, ServerPublish, Way,
};
use anser_message::{Backends, Cluster, MessageConfig, MessageHandle, MessageRole, Outside, RoleError, RoleTasks};
use anser_types::record::RosterChange;
use anser_types::{
    ClientMessageId, ConnectionId, Conversation, ConversationType, MessageClass, MessageFlags, NodeId, Origin,
    PartitionCount, Position, Subject, Timestamp,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::around::Around;
use crate::clock::Clock;
use crate::log::{Reads, SharedLog};
use crate::{ID, app, key, target, text, users};

/// How often it is looked whether something is so.
const LOOK: Duration = Duration::from_millis(50);

/// Backends, a clock, and somebody who takes notes; and the role, while it runs.
pub(crate) struct World {
    pub(crate) config: MessageConfig,
    pub(crate) log: MemoryLog,
    pub(crate) mailbox: MemoryMailbox,
    pub(crate) directory: MemoryDirectory,
    pub(crate) backends: Backends,
    pub(crate) around: Arc<Around>,
    pub(crate) clock: Clock,
    /// What whoever reads the log gets that several nodes share.
    pub(crate) reads: watch::Sender<Reads>,
    /// How often that was an error.
    pub(crate) read_failures: Arc<AtomicUsize>,
    /// Whether what is appended next gets lost, and nobody is told what became of it.
    pub(crate) loses_next: Arc<AtomicBool>,
    pub(crate) tasks: JoinSet<Result<(), RoleError>>,
    handle: Option<Arc<MessageHandle>>,
    publishes: Cell<u64>,
}

impl World {
    /// The log has as many partitions as that of an embedded node.
    pub(crate) fn new() -> Self {
        Self::of(PartitionCount::EMBEDDED)
    }

    pub(crate) fn one_partition() -> Self {
        Self::of(PartitionCount::new(1).unwrap())
    }

    pub(crate) async fn started() -> Self {
        let mut world = Self::new();
        world.start().await;
        world
    }

    fn of(partitions: PartitionCount) -> Self {
        let clock = Clock::new();
        let stamps = clock.clone();
        Self { clock, ..Self::with_log(MemoryLog::new(ID, partitions, move || stamps.now())) }
    }

    /// A log may have a clock of its own.
    pub(crate) fn with_log(log: MemoryLog) -> Self {
        let (mailbox, directory) = (MemoryMailbox::default(), MemoryDirectory::default());
        let backends = Backends {
            log: Arc::new(log.clone()),
            mailbox: Arc::new(mailbox.clone()),
            history: Arc::new(MemoryHistory::default()),
            directory: Arc::new(directory.clone()),
            rebuilds: None,
        };
        Self {
            config: MessageConfig::default(),
            log,
            mailbox,
            directory,
            backends,
            around: Arc::default(),
            clock: Clock::new(),
            reads: watch::Sender::new(Reads::All),
            read_failures: Arc::default(),
            loses_next: Arc::default(),
            tasks: JoinSet::new(),
            handle: None,
            // What tests put into the log by themselves has smaller numbers.
            publishes: Cell::new(100),
        }
    }

    /// The role of a node alone, of which nothing runs yet, and who is told when it serves.
    pub(crate) fn role(&mut self) -> (RoleTasks, oneshot::Receiver<()>) {
        let (around, clock) = (Arc::clone(&self.around), self.clock.moved_by_looks());
        let outside = Outside { backends: self.backends.clone(), access: around, clock, cluster: None };
        let (role, handle) = MessageRole::new("n", &self.config, outside);
        self.handle = Some(handle);
        let (ready, is_ready) = oneshot::channel();
        (role.into_tasks(ready), is_ready)
    }

    pub(crate) async fn start(&mut self) {
        let (tasks, is_ready) = self.role();
        self.spawn(tasks);
        is_ready.await.unwrap();
    }

    /// Why it does not start.
    pub(crate) async fn refused(&mut self) -> RoleError {
        let (tasks, _is_ready) = self.role();
        let _others: JoinSet<_> = [tasks.applying, tasks.archiving].into_iter().collect();
        tasks.deciding.await.unwrap_err()
    }

    /// Starts the role as that of one of several nodes. It knows of no owners yet.
    pub(crate) fn start_as(&mut self, me: NodeId) {
        let (reads, failures) = (self.reads.subscribe(), Arc::clone(&self.read_failures));
        let loses_next = Arc::clone(&self.loses_next);
        self.backends.log = Arc::new(SharedLog { log: self.log.clone(), reads, failures, loses_next });
        let (around, clock) = (Arc::clone(&self.around), self.clock.steady());
        let cluster = Some(Cluster { me, peers: Arc::clone(&self.around) as _ });
        let outside = Outside { backends: self.backends.clone(), access: around, clock, cluster };
        let (role, handle) = MessageRole::new("n", &self.config, outside);
        self.handle = Some(handle);
        self.spawn(role.into_tasks(oneshot::channel().0));
    }

    fn spawn(&mut self, tasks: RoleTasks) {
        for task in [tasks.deciding, tasks.applying, tasks.archiving] {
            self.tasks.spawn(task);
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.handle.take().unwrap().close();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub(crate) fn handle(&self) -> &MessageHandle {
        self.handle.as_ref().unwrap()
    }

    /// Waits until something is so, for at most a minute.
    pub(crate) async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let comes = async {
            loop {
                let said = self.around.said();
                if is_so().await {
                    return;
                }
                // Not all that may be waited for is said by the role.
                timeout(LOOK, said).await.ok();
            }
        };
        timeout(Duration::from_secs(60), comes).await.expect("it comes within a minute");
    }

    /// Waits until terminals were told of as many messages.
    pub(crate) async fn arrived(&self, count: usize) {
        self.until(async || self.around.arrivals() >= count).await;
    }

    /// Waits until whatever is durable now is in the tables: a cursor above the head makes a pull wait for that.
    pub(crate) async fn applied(&self) {
        self.pull("nobody", Position(self.clock.now().0 + 1_000)).await;
    }

    /// A publish that the role does not know yet.
    pub(crate) fn publish(&self, from: &str, kind: ConversationType, to: &str, text: &str) -> Publish {
        let number = self.publishes.get() + 1;
        self.publishes.set(number);
        Publish {
            sender: key(from),
            kind,
            target: target(to),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
            object_name: "RC:TxtMsg".into(),
            content: text.to_owned().into(),
            origin: Origin {
                connection: ConnectionId(9),
                publish: number,
                client_id: Some(ClientMessageId(i64::try_from(number).unwrap())),
            },
            floor: Timestamp::ZERO,
            extras: None,
        }
    }

    /// Publishes, and does not wait. Returns the number of the publish.
    pub(crate) fn send(&self, publish: Publish) -> u64 {
        let number = publish.origin.publish;
        self.handle().publish(vec![publish], Way::WITHIN);
        number
    }

    pub(crate) async fn outcome(&self, number: u64) -> Outcome {
        self.until(async || self.around.outcome(number).is_some()).await;
        self.around.outcome(number).unwrap()
    }

    pub(crate) async fn say(&self, from: &str, kind: ConversationType, to: &str, text: &str) -> Outcome {
        self.outcome(self.send(self.publish(from, kind, to, text))).await
    }

    pub(crate) async fn pull(&self, user: &str, after: Position) -> PullReply {
        self.handle().pull(PullRequest { user: key(user), device: None, after }).await.unwrap()
    }

    pub(crate) async fn timeline(&self, user: &str) -> Vec<String> {
        self.timeline_after(user, Position::START).await
    }

    async fn timeline_after(&self, user: &str, after: Position) -> Vec<String> {
        self.pull(user, after).await.items.iter().map(|item| text(&item.message)).collect()
    }

    /// Waits until somebody's timeline is this, for at most ten seconds.
    pub(crate) async fn until_timeline<T: Debug>(&self, user: &str, expected: &[T])
    where
        String: PartialEq<T>,
    {
        self.until_timeline_after(user, Position::START, expected).await;
    }

    /// The same of what is after a position.
    pub(crate) async fn until_timeline_after<T: Debug>(&self, user: &str, after: Position, expected: &[T])
    where
        String: PartialEq<T>,
    {
        let reached = self.until(async || self.timeline_after(user, after).await == expected);
        if timeout(Duration::from_secs(10), reached).await.is_err() {
            assert_eq!(self.timeline_after(user, after).await, expected);
        }
    }

    /// A page of history, and whether there is more.
    pub(crate) async fn page(&self, read: HistoryRead) -> (Vec<String>, bool) {
        let reply = self.handle().history(read).await.unwrap();
        (reply.items.iter().map(|item| text(&item.message)).collect(), reply.more)
    }

    /// What a page of history that begins with the newest holds.
    pub(crate) async fn history(&self, user: &str, kind: ConversationType, of: &str) -> Vec<String> {
        self.page(newest(user, kind, of)).await.0
    }

    pub(crate) async fn list(&self, user: &str, before: Timestamp, count: usize) -> Vec<ListItem> {
        self.handle().conversations(&key(user), None, before, count).await.unwrap()
    }

    pub(crate) async fn group(&self, change: RosterChange) {
        let subject = Subject::group(app(), target("g"));
        self.handle().command(Command::Roster { subject, change }).await.unwrap();
    }

    /// Makes them members of the group, whose name is G.
    pub(crate) async fn join(&self, names: &[&str]) {
        self.group(RosterChange::Join { name: "G".into(), users: users(names) }).await;
    }
}

/// The page of a history that begins with the newest.
pub(crate) fn newest(user: &str, kind: ConversationType, of: &str) -> HistoryRead {
    let conversation = Conversation::new(kind, target(of));
    HistoryRead { user: key(user), conversation, time: None, ascending: false, count: None }
}

/// A message that comes from the app's own server.
pub(crate) fn from_server(sender: &str, kind: ConversationType, to: &str, text: &str) -> ServerPublish {
    ServerPublish {
        app: app(),
        sender: key(sender).user,
        kind,
        target: target(to),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: text.to_owned().into(),
        sender_copy: false,
        check_permission: false,
        extras: None,
    }
}
