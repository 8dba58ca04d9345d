//! What the other nodes hear of who is here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anser_cluster::{AccessService, Arrival, BoxFuture, Newcomer, Refusal, Settled, SignOut};
use anser_rmtp::{Platform, ServerFrame};
use anser_types::{ConnectionId, NodeId, Position, Timestamp, UserKey};
use parking_lot::Mutex;

use crate::client::Client;
use crate::world::{HERE, World, config};

const THERE: NodeId = NodeId(7 << 32);

/// The terminals of all nodes: remembers who is to give way where.
#[derive(Debug, Default)]
pub(crate) struct Cluster(Mutex<Vec<(Newcomer, Vec<NodeId>)>>);

impl AccessService for Cluster {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {}
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn gives_way(&self, newcomer: &Newcomer, online: &[NodeId]) {
        self.0.lock().push((newcomer.clone(), online.to_vec()));
    }
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_terminal_is_announced_before_it_is_in_and_older_ones_elsewhere_give_way() {
    let cluster = Arc::new(Cluster::default());
    let world = World::among(config(), Arc::clone(&cluster) as _);
    world.messages.online.lock().push(THERE);
    let _alice = world.ours("alice", "web-1").await;
    let (user, connection) = world.messages.signed_in.lock()[0].clone();
    assert!(user == world.key("alice") && connection.is_of(HERE));
    let kicks = cluster.0.lock();
    let [(newcomer, nodes)] = &kicks[..] else { panic!("one newcomer") };
    assert_eq!((newcomer.connection, &newcomer.platform, &nodes[..]), (connection, &Platform::Web, &[THERE][..]));
    assert!(newcomer.one_per_platform);
}

#[tokio::test]
async fn nobody_gets_in_who_cannot_be_announced() {
    let world = World::among(config(), Arc::new(Cluster::default()));
    world.messages.refuses.store(true, Ordering::Relaxed);
    let mut alice = Client::websocket(world.websocket(), &world.token("alice"), "web-1", "5.38.0", 3).await;
    alice.put_off().await;
    until(|| world.registry.is_empty()).await;
}

#[tokio::test]
async fn the_last_terminal_to_go_is_told_as_of_the_newest_there_was() {
    let world = World::among(config(), Arc::new(Cluster::default()));
    let web = world.ours("alice", "web-1").await;
    let phone = world.native("alice", "phone").await;
    let newest = world.messages.signed_in.lock()[1].1;
    drop(phone);
    until(|| world.registry.len() == 1).await;
    assert!(world.messages.signed_out.lock().is_empty(), "another one is still here");
    drop(web);
    until(|| !world.messages.signed_out.lock().is_empty()).await;
    assert_eq!(*world.messages.signed_out.lock(), [(world.key("alice"), newest)]);
}

#[tokio::test]
async fn a_terminal_gives_way_to_a_newer_one_at_another_node_and_stays_before_an_older_one() {
    let world = World::among(config(), Arc::new(Cluster::default()));
    let mut alice = world.ours("alice", "web-1").await;
    let newcomer = |time| Newcomer {
        user: world.key("alice"),
        connection: ConnectionId::of_node(THERE, 1),
        time,
        platform: Platform::Web,
        device: None,
        one_per_platform: true,
    };
    world.registry.gives_way(&newcomer(Timestamp(1)), &[]);
    world.registry.gives_way(&Newcomer { platform: Platform::Ios, ..newcomer(Timestamp(u64::MAX)) }, &[]);
    alice.ping().await;
    world.registry.gives_way(&newcomer(Timestamp(u64::MAX)), &[]);
    assert_eq!(alice.next().await, Some(ServerFrame::Disconnect { code: 1 }));
    until(|| !world.messages.signed_out.lock().is_empty()).await;
}

#[tokio::test]
async fn an_older_terminal_that_shows_up_elsewhere_is_told_to_give_way() {
    let cluster = Arc::new(Cluster::default());
    let world = World::among(config(), Arc::clone(&cluster) as _);
    let mut alice = world.ours("alice", "web-1").await;
    // It came earlier, and was noted later: it was not there to be told.
    world.messages.online.lock().push(THERE);
    let older = Newcomer {
        user: world.key("alice"),
        connection: ConnectionId::of_node(THERE, 1),
        time: Timestamp(1),
        platform: Platform::Web,
        device: None,
        one_per_platform: true,
    };
    world.registry.gives_way(&older, &[]);
    until(|| !cluster.0.lock().is_empty()).await;
    let here = world.messages.signed_in.lock()[0].1;
    let (told, nodes) = cluster.0.lock()[0].clone();
    assert_eq!((told.connection, &nodes[..]), (here, &[THERE][..]));
    alice.ping().await;
}

#[tokio::test]
async fn a_kick_that_was_lost_is_said_again() {
    let cluster = Arc::new(Cluster::default());
    let settings = anser_access::AccessConfig { look_again_seconds: 1, ..config() };
    let world = World::among(settings, Arc::clone(&cluster) as _);
    let mut alice = world.ours("alice", "web-1").await;
    world.messages.online.lock().push(THERE);
    until(|| !cluster.0.lock().is_empty()).await;
    assert_eq!(cluster.0.lock()[0].1, [THERE]);
    alice.ping().await;
}

/// Nothing-lost: whoever was forgotten is told of again, and hears of what came meanwhile.
#[tokio::test]
async fn who_was_forgotten_is_announced_again_and_told_to_look() {
    let world = World::among(config(), Arc::new(Cluster::default()));
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.ours("bob", "web-1").await;
    let (_, cursor, _) = bob.pull(0).await;
    let ids = world.messages.signed_in.lock().clone();
    world.messages.overlooks.store(true, Ordering::Relaxed);
    assert_eq!(alice.text("bob", b"nobody tells bob").await, 0);
    world.messages.refuses.store(true, Ordering::Relaxed);
    world.forgotten.send_modify(|count| *count += 1);
    world.messages.refuses.store(false, Ordering::Relaxed);
    assert_eq!(bob.push().await.topic.as_str(), "s_ntf");
    let (texts, _, finished) = bob.pull(cursor).await;
    assert!(finished && texts.iter().map(|text| &text[..]).eq([&b"nobody tells bob"[..]]), "{texts:?}");
    let mut again = world.messages.signed_in.lock()[2..].to_vec();
    again.sort();
    assert_eq!(again, {
        let mut ids = ids;
        ids.sort();
        ids
    });
    assert!(world.messages.signed_out.lock().is_empty());
}

#[tokio::test]
async fn slow_is_alone_who_cannot_be_announced_again_keeps_nobody_from_it() {
    let world = World::among(config(), Arc::new(Cluster::default()));
    let mut here = Vec::new();
    for number in 0..9 {
        here.push(world.ours(&format!("user-{number}"), "web-1").await);
    }
    *world.messages.stuck.lock() = Some(world.key("user-0"));
    world.messages.signed_in.lock().clear();
    world.forgotten.send_modify(|count| *count += 1);
    until(|| world.messages.signed_in.lock().len() == 8).await;
    *world.messages.stuck.lock() = None;
    until(|| world.messages.signed_in.lock().len() == 9).await;
}
