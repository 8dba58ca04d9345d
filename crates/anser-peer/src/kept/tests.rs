//! What is kept, sent again, and settled.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_cluster::{Accepted, Arrival, BoxFuture, Refusal, SignOut};
use anser_types::{AppKey, MessageFlags, MessageUid, Origin, Position, Timestamp, UserId};
use bytes::Bytes;

use super::*;

const ONE: NodeId = NodeId(1 << 32);
const OTHER: NodeId = NodeId(2 << 32);

#[derive(Debug, Default)]
struct Access {
    told: Mutex<Vec<Settled>>,
    /// Whoever is told of an outcome sends the next message at once.
    next: Mutex<Option<Next>>,
}

type Next = (Arc<Kept>, Arc<World>, Publish);

impl AccessService for Access {
    fn settle(&self, settled: Vec<Settled>) {
        self.told.lock().extend(settled);
        if let Some((kept, world, publish)) = self.next.lock().take() {
            kept.publish(vec![publish], &*world, Instant::now());
        }
    }
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {}
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// Where users are, which ways are open, and what was sent: to whom, which attempt, which publish.
#[derive(Debug, Default)]
struct World {
    users: Mutex<BTreeMap<String, NodeId>>,
    open: Mutex<Vec<NodeId>>,
    sent: Mutex<Vec<(NodeId, u32, u64)>>,
    floors: Mutex<Vec<Timestamp>>,
    /// How many publishes came together.
    together: Mutex<Vec<usize>>,
    broken: Mutex<Vec<NodeId>>,
    /// Settles at once, from within, what is sent.
    answers: Mutex<Option<Arc<Kept>>>,
}

impl Ways for World {
    fn node_of(&self, user: &UserKey) -> Option<NodeId> {
        self.users.lock().get(user.user.as_str()).copied()
    }

    fn answers(&self, node: NodeId) -> bool {
        self.open.lock().contains(&node)
    }

    fn send(&self, to: NodeId, attempt: u32, publishes: Vec<Publish>) -> bool {
        if !self.open.lock().contains(&to) {
            return false;
        }
        self.together.lock().push(publishes.len());
        let kept = self.answers.lock().clone();
        for publish in publishes {
            self.sent.lock().push((to, attempt, publish.origin.publish));
            self.floors.lock().push(publish.floor);
            if let Some(kept) = &kept {
                kept.settled(to, vec![accepted(publish.origin.publish)], self);
            }
        }
        true
    }

    fn break_off(&self, node: NodeId) {
        self.broken.lock().push(node);
    }
}

fn accepted(publish: u64) -> Settled {
    let accepted = Accepted { uid: MessageUid::from_bytes([1; 10]), sent: Timestamp(1) };
    Settled { connection: ConnectionId(9), publish, outcome: Ok(accepted) }
}

fn refused(publish: u64) -> Settled {
    Settled { connection: ConnectionId(9), publish, outcome: Err(Refusal::UNAVAILABLE) }
}

fn publish(number: u64, target: &str) -> Publish {
    Publish {
        sender: UserKey::new(AppKey::new("app").unwrap(), UserId::new("alice").unwrap()),
        kind: ConversationType::Private,
        target: TargetId::new(target).unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{}"),
        origin: Origin { connection: ConnectionId(9), publish: number, client_id: None },
        floor: Timestamp::ZERO,
        extras: None,
    }
}

fn setting(config: &PeerConfig) -> (Arc<Access>, Arc<Kept>, World) {
    let access = Arc::new(Access::default());
    let kept = Arc::new(Kept::new(config, Arc::clone(&access) as Arc<dyn AccessService>));
    let world = World::default();
    world.users.lock().insert("alice".into(), ONE);
    world.open.lock().push(ONE);
    (access, kept, world)
}

#[tokio::test]
async fn in_order_after_a_break_everything_comes_again_before_what_is_new() {
    let (access, kept, world) = setting(&PeerConfig::default());
    let now = Instant::now();
    kept.publish((1..=3).map(|n| publish(n, "bob")).collect(), &world, now);
    kept.settled(ONE, vec![accepted(2)], &world);
    world.open.lock().clear();
    kept.publish(vec![publish(4, "bob")], &world, now);
    kept.opened(ONE, &world, || world.open.lock().push(ONE));
    kept.publish(vec![publish(5, "bob")], &world, now);
    let sent = std::mem::take(&mut *world.sent.lock());
    assert_eq!(sent, [(ONE, 0, 1), (ONE, 0, 2), (ONE, 0, 3), (ONE, 1, 1), (ONE, 1, 3), (ONE, 0, 4), (ONE, 0, 5)]);
    kept.settled(ONE, (1..=5).map(accepted).collect(), &world);
    kept.settled(ONE, (1..=5).map(accepted).collect(), &world);
    let settled: Vec<_> = access.told.lock().iter().map(|one| one.publish).collect();
    assert_eq!(settled, [2, 1, 3, 4, 5], "each once");
    assert_eq!(kept.len(), 0);
}

#[tokio::test]
async fn large_publishes_come_again_in_several_frames() {
    let (_, kept, world) = setting(&PeerConfig::default());
    let large = |n| {
        let small = publish(n, "bob");
        Publish { content: vec![b'x'; TOGETHER_BYTES_MAX / 2 - small.object_name.len()].into(), ..small }
    };
    kept.publish((1..=5).map(large).collect(), &world, Instant::now());
    world.together.lock().clear();
    kept.opened(ONE, &world, || {});
    assert_eq!(*world.together.lock(), [2, 2, 1]);
}

#[tokio::test]
async fn in_order_with_another_node_everything_goes_there_and_old_refusals_count_no_more() {
    let (access, kept, world) = setting(&PeerConfig::default());
    let now = Instant::now();
    kept.publish((1..=3).map(|n| publish(n, "bob")).collect(), &world, now);
    world.sent.lock().clear();
    world.users.lock().insert("alice".into(), OTHER);
    *world.open.lock() = vec![OTHER];
    kept.reroute(&world, || true);
    kept.reroute(&world, || true);
    assert_eq!(*world.sent.lock(), [(OTHER, 1, 1), (OTHER, 1, 2), (OTHER, 1, 3)]);
    assert_eq!(*world.broken.lock(), [ONE], "the old one must not pass on what it has");
    kept.settled(ONE, vec![refused(1), accepted(2)], &world);
    kept.settled(OTHER, vec![accepted(1), refused(3)], &world);
    let settled: Vec<_> = access.told.lock().iter().map(|one| (one.publish, one.outcome.is_ok())).collect();
    assert_eq!(settled, [(2, true), (1, true), (3, false)]);
}

#[tokio::test]
async fn in_order_what_is_newer_waits_until_the_old_node_has_settled_what_it_has() {
    let (_access, kept, world) = setting(&PeerConfig::default());
    let now = Instant::now();
    kept.publish(vec![publish(1, "bob"), publish(2, "bob")], &world, now);
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.reroute(&world, || true);
    kept.publish(vec![publish(3, "bob")], &world, now);
    kept.settled(ONE, vec![accepted(1)], &world);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (ONE, 0, 2)], "one of them is not settled");
    kept.settled(ONE, vec![accepted(2)], &world);
    assert_eq!(world.sent.lock()[2..], [(OTHER, 0, 3)]);
}

#[tokio::test]
async fn in_order_nothing_overtakes_what_is_held_when_the_old_node_has_settled_all() {
    let (access, kept, world) = setting(&PeerConfig::default());
    let (world, now) = (Arc::new(world), Instant::now());
    kept.publish(vec![publish(1, "bob")], &*world, now);
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.reroute(&*world, || true);
    kept.publish(vec![publish(2, "bob")], &*world, now);
    *access.next.lock() = Some((Arc::clone(&kept), Arc::clone(&world), publish(3, "bob")));
    kept.settled(ONE, vec![accepted(1)], &*world);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (OTHER, 0, 2), (OTHER, 0, 3)]);
}

#[tokio::test]
async fn in_order_what_is_held_goes_on_though_some_of_it_was_given_up() {
    let config = PeerConfig { publish_timeout: Duration::from_secs(20), ..PeerConfig::default() };
    let (_access, kept, world) = setting(&config);
    let start = Instant::now();
    kept.publish(vec![publish(1, "bob")], &world, start + Duration::from_secs(15));
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.publish(vec![publish(2, "carol")], &world, start);
    kept.publish(vec![publish(3, "dave"), publish(4, "dave")], &world, start + Duration::from_secs(15));
    kept.expire(start + Duration::from_secs(20), &world);
    kept.settled(ONE, vec![accepted(1)], &world);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (OTHER, 0, 3), (OTHER, 0, 4)]);
}

#[tokio::test]
async fn in_order_a_user_is_above_what_the_user_was_told_also_at_another_node() {
    let (_access, kept, world) = setting(&PeerConfig::default());
    let now = Instant::now();
    kept.publish(vec![publish(1, "bob"), publish(2, "carol")], &world, now);
    let told = Accepted { uid: MessageUid::from_bytes([1; 10]), sent: Timestamp(500) };
    kept.settled(ONE, vec![Settled { outcome: Ok(told), ..accepted(1) }], &world);
    world.users.lock().insert("alice".into(), OTHER);
    *world.open.lock() = vec![OTHER];
    kept.reroute(&world, || true);
    kept.publish(vec![publish(3, "dave")], &world, now);
    assert_eq!(world.floors.lock()[2..], [Timestamp(500); 2], "sent again, and new");
}

/// The first publish is at a node that was not the user's any more, and has just stopped to answer. The second is held for the new one.
fn with_one_behind(now: Instant) -> (Arc<Kept>, World) {
    let (_access, kept, world) = setting(&PeerConfig::default());
    kept.publish(vec![publish(1, "bob")], &world, now);
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.reroute(&world, || true);
    kept.publish(vec![publish(2, "bob")], &world, now);
    *world.open.lock() = vec![OTHER];
    (kept, world)
}

#[tokio::test]
async fn in_order_all_goes_to_the_new_node_when_the_old_one_does_not_answer_any_more() {
    let (kept, world) = with_one_behind(Instant::now());
    kept.reroute(&world, || true);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (OTHER, 1, 1), (OTHER, 0, 2)]);
}

#[tokio::test]
async fn in_order_what_is_held_does_not_go_before_what_is_at_a_node_that_has_just_stopped_to_answer() {
    let now = Instant::now();
    let (kept, world) = with_one_behind(now);
    // Whoever finds out has not said so yet.
    kept.expire(now, &world);
    kept.opened(OTHER, &world, || {});
    kept.reroute(&world, || true);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (OTHER, 1, 1), (OTHER, 0, 2)]);
}

#[tokio::test]
async fn told_why_without_an_outcome_a_conversation_is_refused_together() {
    let config = PeerConfig { publish_timeout: Duration::from_secs(20), ..PeerConfig::default() };
    let (access, kept, world) = setting(&config);
    let start = Instant::now();
    kept.publish(vec![publish(1, "bob"), publish(2, "carol")], &world, start);
    kept.publish(vec![publish(3, "bob"), publish(4, "dave")], &world, start + Duration::from_secs(10));
    kept.settled(ONE, vec![accepted(2)], &world);
    kept.expire(start + Duration::from_secs(19), &world);
    assert_eq!(access.told.lock().len(), 1);
    kept.expire(start + Duration::from_secs(20), &world);
    assert_eq!(access.told.lock()[1..], [refused(1), refused(3)], "what follows would stand before what comes again");
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn in_order_nothing_goes_elsewhere_while_the_old_node_has_what_was_given_up() {
    let config = PeerConfig { publish_timeout: Duration::from_secs(20), ..PeerConfig::default() };
    let (access, kept, world) = setting(&config);
    let start = Instant::now();
    kept.publish(vec![publish(1, "bob"), publish(2, "bob")], &world, start);
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.publish(vec![publish(3, "carol")], &world, start + Duration::from_secs(10));
    kept.expire(start + Duration::from_secs(20), &world);
    assert_eq!(*access.told.lock(), [refused(1), refused(2)]);
    assert_eq!((world.sent.lock().len(), kept.len()), (2, 1), "it may be accepted there still");
    kept.settled(ONE, vec![refused(1), accepted(2)], &world);
    assert_eq!(world.sent.lock()[2..], [(OTHER, 0, 3)]);
    assert_eq!(access.told.lock().len(), 2, "nobody is told twice");
}

#[tokio::test]
async fn what_was_given_up_is_forgotten_with_the_way_on_which_it_went_and_not_sent_again() {
    let config = PeerConfig { publish_timeout: Duration::from_secs(20), ..PeerConfig::default() };
    let (_access, kept, world) = setting(&config);
    let start = Instant::now();
    kept.publish(vec![publish(1, "bob")], &world, start);
    world.users.lock().insert("alice".into(), OTHER);
    world.open.lock().push(OTHER);
    kept.publish(vec![publish(2, "carol")], &world, start + Duration::from_secs(10));
    kept.expire(start + Duration::from_secs(20), &world);
    kept.opened(ONE, &world, || {});
    assert_eq!(world.sent.lock()[1..], [(OTHER, 0, 2)]);
    // Nor does it keep its place for ever.
    kept.publish(vec![publish(3, "bob")], &world, start);
    world.users.lock().insert("alice".into(), ONE);
    kept.publish(vec![publish(4, "bob")], &world, start + Duration::from_secs(20));
    kept.settled(OTHER, vec![accepted(2)], &world);
    kept.expire(start + Duration::from_secs(20), &world);
    assert_eq!(world.sent.lock()[2..], [(OTHER, 0, 3)]);
}

#[tokio::test]
async fn slow_is_alone_a_full_node_refuses_only_its_own() {
    let config = PeerConfig { kept_max: 2, ..PeerConfig::default() };
    let (access, kept, world) = setting(&config);
    world.users.lock().insert("zoe".into(), OTHER);
    world.open.lock().push(OTHER);
    let now = Instant::now();
    kept.publish((1..=3).map(|n| publish(n, "bob")).collect(), &world, now);
    assert_eq!(*access.told.lock(), [refused(3)]);
    let mut other = publish(7, "bob");
    other.sender.user = UserId::new("zoe").unwrap();
    kept.publish(vec![other], &world, now);
    kept.settled(ONE, vec![accepted(1)], &world);
    kept.publish(vec![publish(4, "bob")], &world, now);
    assert_eq!(access.told.lock().len(), 2, "room again, and another node's was never taken");
    let mut typing = publish(5, "bob");
    typing.class = MessageClass::Status;
    kept.publish(vec![typing], &world, now);
    assert_eq!(kept.len(), 3, "a status message is not kept");
    assert_eq!(world.sent.lock().last(), Some(&(ONE, 0, 5)));
}

#[tokio::test]
async fn an_outcome_that_comes_at_once_and_from_within_is_told() {
    let (access, kept, world) = setting(&PeerConfig::default());
    *world.answers.lock() = Some(Arc::clone(&kept));
    kept.publish((1..=3).map(|n| publish(n, "bob")).collect(), &world, Instant::now());
    assert_eq!(access.told.lock().len(), 3);
    assert_eq!(kept.len(), 0);
}

#[tokio::test]
async fn while_nobody_is_known_publishes_wait() {
    let (access, kept, world) = setting(&PeerConfig::default());
    world.users.lock().clear();
    kept.publish(vec![publish(1, "bob"), publish(2, "bob")], &world, Instant::now());
    world.users.lock().insert("alice".into(), ONE);
    kept.reroute(&world, || true);
    assert_eq!(*world.sent.lock(), [(ONE, 0, 1), (ONE, 0, 2)]);
    assert!(access.told.lock().is_empty());
}
