//! Take-overs of partitions whose log holds what does not count, or nothing of late.
#![expect(clippy::unwrap_used, reason = "a test says by unwrapping what has to be there")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_backend::{BucketBatch, Mailbox, MessageLog, PartitionRows};
use anser_cluster::{
    Accepted, AccessService, Arrival, BoxFuture, MessageService, Outcome, Publish, PullRequest, Refusal, ServerPublish,
    Settled, SignOut, Way,
};
use anser_message::{Backends, MessageConfig, MessageHandle, MessageRole, RoleError};
use anser_types::record::{Body, Header};
use anser_types::{
    AppKey, Claim, ClientMessageId, ConnectionId, ConversationType, LogId, Mark, Message, MessageClass, MessageFlags,
    MessageUid, NodeId, Offset, Origin, PartitionCount, PartitionId, Position, TargetId, Timestamp, UserId, UserKey,
    target_hash,
};

const ID: LogId = LogId(5);
const P: PartitionId = PartitionId(0);
const HOUR_MS: u64 = 3_600_000;

#[derive(Debug, Default)]
struct Access {
    settled: Mutex<Vec<Settled>>,
    changed: Notify,
}

impl AccessService for Access {
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.lock().extend(settled);
        self.changed.notify_waiters();
    }

    fn arrive(&self, _: Arrival) {
        self.changed.notify_waiters();
    }

    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}

    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.changed.notify_waiters();
    }

    fn sign_out(&self, _: &UserKey, _: SignOut) {}

    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// A log with one partition, tables, and a clock; and the role, while it runs.
struct World {
    log: MemoryLog,
    mailbox: MemoryMailbox,
    backends: Backends,
    access: Arc<Access>,
    clock: Arc<AtomicU64>,
    handle: Option<Arc<MessageHandle>>,
    tasks: JoinSet<Result<(), RoleError>>,
}

fn user(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

/// The log stamps its records by a clock of its own, which `log_time` sets.
fn world(log_time: Option<u64>) -> World {
    let clock = Arc::new(AtomicU64::new(1_000 * HOUR_MS));
    let now = Arc::clone(&clock);
    let time = move || Timestamp(log_time.unwrap_or_else(|| now.load(Ordering::Relaxed)));
    let log = MemoryLog::new(ID, PartitionCount::new(1).unwrap(), time);
    let mailbox = MemoryMailbox::default();
    let backends = Backends {
        log: Arc::new(log.clone()),
        mailbox: Arc::new(mailbox.clone()),
        history: Arc::new(MemoryHistory::default()),
        directory: Arc::new(MemoryDirectory::default()),
        rebuilds: None,
    };
    World { log, mailbox, backends, access: Arc::default(), clock, handle: None, tasks: JoinSet::new() }
}

impl World {
    async fn start(&mut self) {
        let now = Arc::clone(&self.clock);
        let clock = Arc::new(move || Timestamp(now.fetch_add(1, Ordering::Relaxed)));
        let access: Arc<dyn AccessService> = Arc::clone(&self.access) as _;
        let config = MessageConfig::default();
        let (role, handle) = MessageRole::new("n", &config, self.backends.clone(), access, clock);
        let (ready, is_ready) = oneshot::channel();
        let tasks = role.into_tasks(ready);
        for task in [tasks.deciding, tasks.applying, tasks.archiving] {
            self.tasks.spawn(task);
        }
        is_ready.await.unwrap();
        self.handle = Some(handle);
    }

    /// Why it does not start.
    async fn refused(&self) -> RoleError {
        let (access, now) = (Arc::clone(&self.access), Timestamp(self.clock.load(Ordering::Relaxed)));
        let (config, backends) = (MessageConfig::default(), self.backends.clone());
        let (role, _handle) = MessageRole::new("n", &config, backends, access, Arc::new(move || now));
        let tasks = role.into_tasks(oneshot::channel().0);
        let mut running: JoinSet<_> = [tasks.deciding, tasks.applying, tasks.archiving].into_iter().collect();
        loop {
            if let Err(refused) = running.join_next().await.unwrap().unwrap() {
                return refused;
            }
        }
    }

    async fn stop(&mut self) {
        self.handle.take().unwrap().close();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// What alice says to bob.
    async fn say(&self, client_id: i64, publish: u64) -> Outcome {
        let handle = self.handle.as_ref().unwrap();
        let said = Publish {
            sender: user("alice"),
            kind: ConversationType::Private,
            target: TargetId::new("bob").unwrap(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST,
            object_name: "RC:TxtMsg".into(),
            content: client_id.to_string().into(),
            origin: Origin { connection: ConnectionId(9), publish, client_id: Some(ClientMessageId(client_id)) },
            floor: Timestamp::ZERO,
            extras: None,
        };
        handle.publish(vec![said], Way::WITHIN);
        loop {
            let changed = self.access.changed.notified();
            if let Some(settled) = self.access.settled.lock().iter().find(|s| s.publish == publish) {
                return settled.outcome;
            }
            changed.await;
        }
    }

    async fn timeline(&self, name: &str) -> Vec<String> {
        self.timeline_after(name, Position::START).await
    }

    async fn timeline_after(&self, name: &str, after: Position) -> Vec<String> {
        let request = PullRequest { user: user(name), device: None, after };
        let reply = self.handle.as_ref().unwrap().pull(request).await.unwrap();
        reply.items.iter().map(|i| String::from_utf8_lossy(&i.message.content).into_owned()).collect()
    }

    /// Waits until somebody's timeline is this, for at most ten seconds.
    async fn until_timeline(&self, name: &str, expected: &[&str]) {
        self.until_timeline_after(name, Position::START, expected).await;
    }

    /// The same of what is after a position.
    async fn until_timeline_after(&self, name: &str, after: Position, expected: &[&str]) {
        let reached = async {
            loop {
                let mut changed = std::pin::pin!(self.access.changed.notified());
                changed.as_mut().enable();
                if self.timeline_after(name, after).await == expected {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), reached).await.is_err() {
            assert_eq!(self.timeline_after(name, after).await, expected);
        }
    }

    /// Puts a record into the log, whoever wrote it. Returns where it is.
    async fn lay(&self, claim: u64, sequence: u64, body: Body) -> Offset {
        let header = Header { log: ID, claim: Claim(Offset(claim)), sequence };
        self.log.append(P, vec![body.encode(header)]).await.unwrap()
    }

    async fn lay_claim(&self, claim: u64) {
        let body = Body::Claim { node: "another".to_owned(), time: Timestamp(1) };
        assert_eq!(self.lay(claim, 0, body).await, Offset(claim));
    }
}

/// What alice said to bob before this.
fn said(client_id: i64, sent: u64) -> Body {
    let (kind, sent) = (ConversationType::Private, Timestamp(sent));
    Body::Message(Message {
        app: AppKey::new("app").unwrap(),
        kind,
        sender: user("alice").user,
        target: TargetId::new("bob").unwrap(),
        sent,
        uid: MessageUid::new(sent, 0, kind, target_hash("bob")),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: client_id.to_string().into(),
        origin: Origin {
            connection: ConnectionId(9),
            publish: client_id.unsigned_abs(),
            client_id: Some(ClientMessageId(client_id)),
        },
        sender_copy: true,
        extras: None,
    })
}

/// A log in which a dead owner's record landed behind the claim of its successor, and before what that wrote.
async fn with_a_zombie(world: &World) {
    let now = world.clock.load(Ordering::Relaxed);
    world.lay_claim(0).await;
    world.lay(0, 1, said(1, now - 90)).await;
    world.lay_claim(2).await;
    world.lay(0, 2, said(7, now - 80)).await;
    world.lay(2, 1, said(2, now - 70)).await;
    world.lay_claim(5).await;
    world.lay(5, 1, said(3, now - 60)).await;
}

#[tokio::test]
async fn nothing_lost_a_take_over_knows_what_counts_wherever_the_tables_go_on() {
    for next in 0..=7 {
        let mut world = world(None);
        with_a_zombie(&world).await;
        let claim = Claim(Offset([0, 0, 0, 2, 2, 2, 5, 5][next]));
        let mark = Mark { claim, next: Offset(next as u64) };
        world.backends.mailbox.applied(P, mark).await.unwrap();
        world.backends.history.write(P, mark, Vec::new()).await.unwrap();
        world.backends.directory.apply(P, mark, Vec::new()).await.unwrap();
        world.start().await;
        let expected: Vec<&str> =
            ["", "1", "", "", "2", "", "3"].into_iter().skip(next).filter(|t| !t.is_empty()).collect();
        assert_eq!(world.timeline("bob").await, expected, "from {next} on");
    }
}

#[tokio::test]
async fn acked_is_durable_a_resend_is_not_told_of_a_record_that_does_not_count() {
    // The log took the first records so long ago that the window for resends begins with the zombie.
    for long_ago in 0..=4 {
        let mut world = world(None);
        let clock = Arc::clone(&world.clock);
        clock.fetch_sub(10 * HOUR_MS, Ordering::Relaxed);
        world.lay_claim(0).await;
        let now = world.clock.load(Ordering::Relaxed);
        for (at, (claim, sequence, body)) in
            [(0, 1, said(1, now)), (2, 0, Body::Claim { node: "b".to_owned(), time: Timestamp(1) })]
                .into_iter()
                .enumerate()
        {
            let later = if at == long_ago { 10 * HOUR_MS } else { 0 };
            clock.fetch_add(later, Ordering::Relaxed);
            world.lay(claim, sequence, body).await;
        }
        if long_ago >= 2 {
            clock.fetch_add(10 * HOUR_MS, Ordering::Relaxed);
        }
        let now = clock.load(Ordering::Relaxed);
        world.lay(0, 2, said(7, now - 80)).await;
        world.lay(2, 1, said(2, now - 70)).await;
        world.start().await;
        world.restart().await;
        let Accepted { sent, .. } = world.say(7, 100).await.unwrap();
        assert!(sent.0 >= now, "it was never accepted before");
        let again = world.say(2, 101).await.unwrap();
        assert_eq!(again.sent, Timestamp(now - 70), "this one was");
        assert_eq!(world.timeline("bob").await, ["1", "2", "7"]);
    }
}

#[tokio::test]
async fn one_order_the_newest_sent_time_is_found_however_long_ago_it_was() {
    // The log's clock says nothing that would be of use.
    let mut world = world(Some(1));
    world.start().await;
    let before = world.say(1, 1).await.unwrap();
    for _ in 0..20 {
        world.restart().await;
    }
    world.clock.fetch_sub(100 * HOUR_MS, Ordering::Relaxed);
    world.restart().await;
    let after = world.say(2, 2).await.unwrap();
    assert!(after.sent > before.sent, "{after:?} is not after {before:?}");
    assert!(after.sent.since(before.sent) < 1_000);
}

#[tokio::test]
async fn nothing_lost_what_a_mailbox_forgot_is_replayed_before_anything_newer_is_written_over_the_hole() {
    let mut world = world(None);
    world.start().await;
    world.say(1, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    let saved = world.mailbox.save();
    world.say(2, 2).await.unwrap();
    world.say(3, 3).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3"]).await;
    world.mailbox.roll_back(&saved);
    world.say(4, 4).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3", "4"]).await;
    world.until_timeline("alice", &["1", "2", "3", "4"]).await;
    world.say(5, 5).await.unwrap();
    world.until_timeline("bob", &["1", "2", "3", "4", "5"]).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_lost_a_mailbox_that_forgot_what_nobody_writes_to_again_is_found_by_looking() {
    let mut world = world(None);
    let saved = world.mailbox.save();
    world.start().await;
    world.say(1, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    world.mailbox.roll_back(&saved);
    assert!(world.timeline("bob").await.is_empty());
    world.until_timeline("bob", &["1"]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_publish_of_the_server_waits_while_its_partition_is_taken_over_again() {
    let mut world = world(None);
    world.start().await;
    // Another claims, so that what is decided next does not count; and claims no more.
    world.lay_claim(1).await;
    let publish = ServerPublish {
        app: AppKey::new("app").unwrap(),
        sender: UserId::new("alice").unwrap(),
        kind: ConversationType::System,
        target: TargetId::new("bob").unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: "news".into(),
        sender_copy: false,
        check_permission: false,
        extras: None,
    };
    let handle = world.handle.clone().unwrap();
    assert!(handle.publish_for_server(publish, Origin::NONE).await.is_ok(), "not refused for that moment");
    world.until_timeline("bob", &["news"]).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_lost_what_a_newer_owner_was_to_apply_is_not_noted_as_applied() {
    let mut world = world(None);
    world.start().await;
    // The owner that claimed next has written to bob's bucket, and dies before it has come to the message.
    let newer = PartitionRows { partition: P, claim: Claim(Offset(1)), next: Offset(1), rows: Vec::new() };
    world.mailbox.apply(BucketBatch { bucket: user("bob").bucket(), parts: vec![newer] }).await.unwrap();
    world.say(1, 1).await.unwrap();
    world.restart().await;
    world.until_timeline("bob", &["1"]).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_lost_and_nothing_twice_a_mailbox_is_rebuilt_while_messages_come() {
    let mut world = world(None);
    world.start().await;
    for (asked, number) in (0..3).zip([1, 3, 5]) {
        world.say(number, number.unsigned_abs()).await.unwrap();
        let said: Vec<String> = (1..=number).map(|number| number.to_string()).collect();
        world.until_timeline("bob", &said.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let head = world.mailbox.head(&user("bob")).await.unwrap();
        world.mailbox.ask_rebuild();
        world.say(number + 1, number.unsigned_abs() + 1).await.unwrap();
        let said: Vec<String> = (1..=number + 1).map(|number| number.to_string()).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        world.until_timeline("alice", &said).await;
        world.until_timeline("bob", &said).await;
        // What bob has now may be what was there before, and the newest.
        world.until_timeline_after("bob", head, &said).await;
        assert_eq!(world.mailbox.rebuilds().await.unwrap(), asked + 1);
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_lost_a_mailbox_is_rebuilt_where_nobody_says_anything() {
    let mut world = world(None);
    world.start().await;
    world.say(1, 1).await.unwrap();
    world.until_timeline("bob", &["1"]).await;
    let head = world.mailbox.head(&user("bob")).await.unwrap();
    world.mailbox.ask_rebuild();
    world.until_timeline_after("bob", head, &["1"]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_rebuild_begins_where_timelines_do_and_is_what_a_trimmed_log_takes() {
    let mut world = world(None);
    let clock = Arc::clone(&world.clock);
    let week = 7 * 24 * HOUR_MS;
    clock.fetch_sub(week + HOUR_MS, Ordering::Relaxed);
    with_a_zombie(&world).await;
    clock.fetch_add(2 * HOUR_MS, Ordering::Relaxed);
    world.lay_claim(7).await;
    world.lay(7, 1, said(4, clock.load(Ordering::Relaxed))).await;
    clock.fetch_add(week - HOUR_MS, Ordering::Relaxed);
    let mark = Mark { claim: Claim(Offset(5)), next: Offset(7) };
    world.backends.history.write(P, mark, Vec::new()).await.unwrap();
    world.backends.directory.apply(P, mark, Vec::new()).await.unwrap();
    world.log.trim(P, Offset(3));
    let refused = world.refused().await;
    assert!(matches!(refused, RoleError::MailboxLost { start: Offset(3), applied: Offset(0), .. }), "{refused}");
    world.mailbox.ask_rebuild();
    world.start().await;
    world.until_timeline("bob", &["4"]).await;
    world.stop().await;
}
