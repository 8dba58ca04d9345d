//! Partitions that go from one node to another, as one of them sees it: who claims when, and who finds out by itself.
#![expect(clippy::unwrap_used, reason = "a test says by unwrapping what has to be there")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_backend::{AppendError, Bounds, LogReader, MessageLog, ReadError};
use anser_cluster::{
    AccessService, Arrival, BoxFuture, Claims, Forward, Forwarded, MessageService, OwnerService, Owners, PeerService,
    Publish, PullRequest, Refusal, Settled, SignOut, Way,
};
use anser_message::{Backends, Cluster, MessageConfig, MessageHandle, MessageRole, RoleError};
use anser_types::record::{Body, Header};
use anser_types::{
    AppKey, Claim, ConnectionId, ConversationType, LogId, Message, MessageClass, MessageFlags, MessageUid, NodeId,
    Offset, Origin, PartitionCount, PartitionId, Position, TargetId, Timestamp, UserId, UserKey, target_hash,
};

const ID: LogId = LogId(5);
const P: PartitionId = PartitionId(0);
const ME: NodeId = NodeId(1 << 32);
const OTHER: NodeId = NodeId(2 << 32);
const THIRD: NodeId = NodeId(3 << 32);
const BEGIN_MS: u64 = 1_800_000_000_000;

/// What the node says to terminals and to other nodes.
#[derive(Debug, Default)]
struct Around {
    claims: Mutex<Claims>,
    asked: Mutex<Vec<(NodeId, Vec<PartitionId>)>>,
    changed: Notify,
}

impl AccessService for Around {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.changed.notify_waiters();
    }
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

impl PeerService for Around {
    fn forward(&self, _: NodeId, _: Vec<Forward>) {}
    fn answer(&self, _: NodeId, _: Vec<(u64, Forwarded)>) {}
    fn claims(&self, claims: Claims) {
        *self.claims.lock() = claims;
        self.changed.notify_waiters();
    }
    fn ask_to_let_go(&self, of: NodeId, partitions: Vec<PartitionId>) {
        self.asked.lock().push((of, partitions));
        self.changed.notify_waiters();
    }
    fn begin_anew(&self) {}
    fn archived(&self, _: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A log as several nodes share it: it takes what comes, wherever it lands.
#[derive(Debug)]
struct Shared(MemoryLog);

impl MessageLog for Shared {
    fn id(&self) -> LogId {
        self.0.id()
    }
    fn partitions(&self) -> PartitionCount {
        self.0.partitions()
    }
    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.0.append(partition, records)
    }
    fn append_at(
        &self,
        partition: PartitionId,
        _: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.0.append(partition, records)
    }
    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        self.0.bounds(partition)
    }
    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        self.0.offset_at(partition, time)
    }
    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        self.0.reader(from)
    }
    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        self.0.read_at(partition, offset)
    }
}

/// One of several nodes, and the log that they share.
struct World {
    log: MemoryLog,
    around: Arc<Around>,
    handle: Arc<MessageHandle>,
    _tasks: JoinSet<Result<(), RoleError>>,
}

fn user(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

/// Whom the one partition belongs to, and who decides there now.
fn owners(present: NodeId, next: NodeId) -> Owners {
    Owners { present: Arc::from([Some(present)]), next: Arc::from([Some(next)]) }
}

impl World {
    /// The node knows of no owners yet.
    fn new() -> Self {
        let begun = Instant::now();
        let clock = Arc::new(move || Timestamp(BEGIN_MS + u64::try_from(begun.elapsed().as_millis()).unwrap()));
        let now = Arc::clone(&clock);
        let log = MemoryLog::new(ID, PartitionCount::new(1).unwrap(), move || now());
        let backends = Backends {
            log: Arc::new(Shared(log.clone())),
            mailbox: Arc::new(MemoryMailbox::default()),
            history: Arc::new(MemoryHistory::default()),
            directory: Arc::new(MemoryDirectory::default()),
            rebuilds: None,
        };
        let around = Arc::new(Around::default());
        let cluster = Cluster { me: ME, peers: Arc::clone(&around) as _ };
        let config = MessageConfig::default();
        let (role, handle) = MessageRole::in_cluster("n", &config, backends, Arc::clone(&around) as _, clock, cluster);
        let parts = role.into_tasks(oneshot::channel().0);
        let tasks = [parts.deciding, parts.applying, parts.archiving].into_iter().collect();
        Self { log, around, handle, _tasks: tasks }
    }

    /// The node owns the partition, and its claim is the first record.
    async fn owning() -> Self {
        let world = Self::new();
        world.handle.owners_changed(owners(ME, ME));
        world.until(|around| *around.claims.lock() == claimed(0)).await;
        world
    }

    /// The other node has claimed the partition and said something, and it belongs to this one now.
    async fn next() -> Self {
        let world = Self::new();
        world.lay_claim(0).await;
        world.say(0, 1).await;
        world.handle.owners_changed(owners(OTHER, ME));
        world.until(|around| !around.asked.lock().is_empty()).await;
        assert_eq!(*world.around.asked.lock(), [(OTHER, vec![P])]);
        world
    }

    async fn until(&self, is_so: impl Fn(&Around) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.around.changed.notified());
            changed.as_mut().enable();
            if is_so(&self.around) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until somebody's timeline is this, for at most ten seconds.
    async fn until_timeline(&self, name: &str, expected: &[&str]) {
        let reached = async {
            loop {
                let mut changed = std::pin::pin!(self.around.changed.notified());
                changed.as_mut().enable();
                if self.timeline(name).await == expected {
                    return;
                }
                changed.await;
            }
        };
        if timeout(Duration::from_secs(10), reached).await.is_err() {
            assert_eq!(self.timeline(name).await, expected);
        }
    }

    async fn timeline(&self, name: &str) -> Vec<String> {
        let request = PullRequest { user: user(name), device: None, after: Position::START };
        let reply = self.handle.pull(request).await.unwrap();
        reply.items.iter().map(|item| String::from_utf8_lossy(&item.message.content).into_owned()).collect()
    }

    /// The other node appends a record under its claim.
    async fn lay(&self, claim: u64, sequence: u64, body: Body) -> Offset {
        let header = Header { log: ID, claim: Claim(Offset(claim)), sequence };
        self.log.append(P, vec![body.encode(header)]).await.unwrap()
    }

    async fn lay_claim(&self, claim: u64) {
        let body = Body::Claim { node: "other".to_owned(), time: Timestamp(1) };
        assert_eq!(self.lay(claim, 0, body).await, Offset(claim));
    }

    /// The other node accepts a message of alice to bob.
    async fn say(&self, claim: u64, sequence: u64) {
        let (kind, sent) = (ConversationType::Private, Timestamp(BEGIN_MS + sequence));
        let message = Message {
            app: AppKey::new("app").unwrap(),
            kind,
            sender: user("alice").user,
            target: TargetId::new("bob").unwrap(),
            sent,
            uid: MessageUid::new(sent, 0, kind, target_hash("bob")),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST,
            object_name: "RC:TxtMsg".into(),
            content: sequence.to_string().into(),
            origin: Origin { connection: ConnectionId(9), publish: sequence, client_id: None },
            sender_copy: true,
            extras: None,
        };
        self.lay(claim, sequence, Body::Message(message)).await;
    }
}

fn claimed(at: u64) -> Claims {
    Claims::from([(P, Claim(Offset(at)))])
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_named_as_soon_as_it_is_in_the_log() {
    let begun = Instant::now();
    let world = World::owning().await;
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
    assert_eq!(world.log.bounds(P).await.unwrap().end, Offset(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_was_there_before_a_claim_and_what_came_until_then_is_applied() {
    let world = World::next().await;
    // The present owner goes on until it lets go.
    world.say(0, 2).await;
    let told = Instant::now();
    world.handle.owners_changed(owners(ME, ME));
    world.until(|around| *around.claims.lock() == claimed(3)).await;
    assert!(told.elapsed() < Duration::from_millis(50), "nobody decides meanwhile: {:?}", told.elapsed());
    world.until_timeline("bob", &["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_let_go_is_waited_for_half_a_second() {
    let world = World::next().await;
    let asked = Instant::now();
    world.say(0, 2).await;
    world.until(|around| *around.claims.lock() == claimed(3)).await;
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(350) && waited < Duration::from_millis(700), "{waited:?}");
    world.until_timeline("bob", &["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_stays_until_the_next_one_asks_it_to_let_go() {
    let world = World::owning().await;
    world.handle.owners_changed(owners(ME, OTHER));
    // It does not belong to this one.
    world.handle.let_go(THIRD, vec![P]);
    let is_free = |around: &Around| around.claims.lock().is_empty();
    assert!(timeout(Duration::from_secs(5), world.until(is_free)).await.is_err(), "nobody else decides yet");
    let asked = Instant::now();
    world.handle.let_go(OTHER, vec![P]);
    world.until(is_free).await;
    assert!(asked.elapsed() < Duration::from_millis(50), "{:?}", asked.elapsed());
}

/// Another node took this one for dead, claimed the partition and accepted something; and nobody says so.
async fn taken_for_dead() -> World {
    let world = World::owning().await;
    world.lay_claim(1).await;
    world.say(1, 1).await;
    world
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_node_that_came_back_finds_at_the_ends_what_others_have_accepted() {
    let world = taken_for_dead().await;
    let is_found = |around: &Around| *around.claims.lock() == claimed(3);
    let by_an_old_list = timeout(Duration::from_secs(5), world.until(is_found)).await;
    assert!(by_an_old_list.is_err(), "whoever cannot read the list does not claim");
    let listed = Instant::now();
    world.handle.listed();
    world.until(is_found).await;
    assert!(listed.elapsed() < Duration::from_secs(3), "{:?}", listed.elapsed());
    world.until_timeline("bob", &["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_came_back_lets_go_of_what_others_have_claimed_rightly() {
    let world = taken_for_dead().await;
    world.handle.owners_changed(owners(ME, OTHER));
    world.handle.listed();
    world.until(|around| around.claims.lock().is_empty()).await;
    assert_eq!(world.log.bounds(P).await.unwrap().end, Offset(3), "it claims nothing");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_lost_is_claimed_anew_only_by_whom_the_partition_belongs_to() {
    for (next, claims) in [(ME, claimed(4)), (OTHER, Claims::new())] {
        let world = taken_for_dead().await;
        world.handle.owners_changed(owners(ME, next));
        let message = Publish {
            sender: user("alice"),
            kind: ConversationType::Private,
            target: TargetId::new("bob").unwrap(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST,
            object_name: "RC:TxtMsg".into(),
            content: "2".into(),
            origin: Origin { connection: ConnectionId(9), publish: 2, client_id: None },
            floor: Timestamp::ZERO,
            extras: None,
        };
        // It lands behind the claim of the other one, and does not count.
        world.handle.publish(vec![message], Way::WITHIN);
        world.until(|around| *around.claims.lock() == claims).await;
        let is_claimed_anew = world.log.bounds(P).await.unwrap().end > Offset(4);
        assert_eq!(is_claimed_anew, next == ME);
    }
}
