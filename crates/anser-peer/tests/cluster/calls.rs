//! Questions and their answers; forwards between message nodes; who owns what.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anser_backend::Role;
use anser_cluster::{
    AccessService as _, Command, DirectoryService as _, Forward, Forwarded, MessageService as _, Newcomer,
    PeerService as _, PullRequest, Refusal, ServerPublish,
};
use anser_peer::PeerConfig;
use anser_rmtp::Platform;
use anser_types::record::UserChange;
use anser_types::{
    AppKey, ConversationType, MessageClass, MessageFlags, Origin, PartitionId, Position, Status, TargetId, Timestamp,
    UserId,
};
use bytes::Bytes;

use crate::world::{Plan, World, config, key, until, user_at};

fn server_publish(sender: &str, sender_copy: bool) -> ServerPublish {
    ServerPublish {
        app: AppKey::new("app").unwrap(),
        sender: UserId::new(sender).unwrap(),
        kind: ConversationType::Private,
        target: TargetId::new("bob").unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(b"{}"),
        sender_copy,
        check_permission: true,
        extras: None,
    }
}

fn forward(id: u64, oldest: u64) -> Forward {
    let publish = server_publish("alice", true);
    Forward { id, after: None, oldest, publish, origin: Origin::NONE, floor: Timestamp::ZERO }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_go_to_the_node_of_the_user_and_refusals_come_back() {
    let world = World::new();
    let access = world.node(Plan::access("a1")).await;
    let (one, two) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&one, &two]).await;
    for node in [&one, &two] {
        let user = user_at(&access, node);
        let request = PullRequest { user: key(&user), device: None, after: Position(3) };
        assert_eq!(access.routed.pull(request).await.unwrap().head, Position(9));
        assert!(access.routed.conversations(&key(&user), None, Timestamp::ZERO, 3).await.unwrap().is_empty());
        assert_eq!(*node.messages.calls.lock(), [format!("pull of {user}"), format!("list of {user}")]);
    }
    let app = AppKey::new("app").unwrap();
    let group = access.routed.group(&app, &TargetId::new("g").unwrap()).await.unwrap();
    assert_eq!(group.unwrap().name, "g");
    let refused = access.routed.group(&app, &TargetId::new("secret").unwrap()).await;
    assert_eq!(refused.unwrap_err(), Refusal::new(Status::NOT_IN_GROUP));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_twice_what_the_server_api_publishes_is_known_again_when_it_is_sent_again() {
    let world = World::new();
    let api = world.node(Plan::new("api", &[Role::Api])).await;
    let message = world.node(Plan::message("m1")).await;
    api.reaches(&[&message]).await;
    let first = api.routed.publish_for_server(server_publish("alice", true), Origin::NONE).await.unwrap();
    let second = api.routed.publish_for_server(server_publish("alice", false), Origin::NONE).await.unwrap();
    assert_ne!(first.uid, second.uid, "each is one of its own");
    // Taken, and the answer lost on its way back: the router asks again.
    message.proxy.stop_up();
    let publishing = api.routed.publish_for_server(server_publish("alice", true), Origin::NONE);
    let breaking = async {
        tokio::task::yield_now().await;
        message.proxy.cut();
        message.proxy.open();
    };
    let (published, ()) = tokio::join!(publishing, breaking);
    assert!(published.is_ok());
    assert_eq!(world.log.order().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_why_a_question_without_an_answer_is_refused_as_retryable() {
    let world = World::with_leases(600_000);
    let config = PeerConfig { call_timeout: Duration::from_millis(300), ..config() };
    let access = world.node(Plan::access("a1").with(config)).await;
    let pull = || access.routed.pull(PullRequest { user: key("alice"), device: None, after: Position(0) });
    assert_eq!(pull().await.unwrap_err(), Refusal::UNAVAILABLE, "nobody is there");
    let message = world.node(Plan::message("m1")).await;
    access.reaches(&[&message]).await;
    message.proxy.stop_up();
    assert_eq!(pull().await.unwrap_err(), Refusal::UNAVAILABLE, "somebody hangs");
    message.proxy.open();
    until_ok(pull).await;
    message.messages.refuses.store(true, Ordering::Relaxed);
    assert_eq!(pull().await.unwrap_err(), Refusal::UNAVAILABLE, "somebody refuses");
}

async fn until_ok<F, T>(ask: impl Fn() -> F)
where
    F: Future<Output = Result<T, Refusal>>,
{
    let asking = async { while ask().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_who_may_sign_in_go_to_the_owner_of_their_subject() {
    let world = World::new();
    let api = world.node(Plan::new("api", &[Role::Api])).await;
    let (one, two) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    api.reaches(&[&one, &two]).await;
    let calls = || [one.messages.calls.lock().len(), two.messages.calls.lock().len()];
    for number in 0..20 {
        let user = key(&format!("user{number}"));
        let [by_one, by_two] = calls();
        let change = UserChange::Blocked { until: Timestamp(5) };
        assert_eq!(api.routed.command(Command::User { user: user.clone(), change }).await, Ok(Timestamp(7)));
        api.routed.sign_in_view(&user).await.unwrap();
        assert!([[by_one + 2, by_two], [by_one, by_two + 2]].contains(&calls()), "{user} has one owner");
    }
    let [by_one, by_two] = calls();
    assert!(by_one > 0 && by_two > 0, "{by_one} {by_two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_sign_in_is_asked_elsewhere_where_the_owner_does_not_answer() {
    let world = World::with_leases(600_000);
    let access = world.node(Plan::access("a1")).await;
    let (one, two) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    access.reaches(&[&one, &two]).await;
    two.proxy.stop_up();
    two.proxy.cut();
    for number in 0..20 {
        access.routed.sign_in_view(&key(&format!("user{number}"))).await.unwrap();
    }
    assert_eq!(one.messages.calls.lock().len(), 20, "the other one stays in the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_and_kicks_find_their_way() {
    let world = World::new();
    let (here, there) = (world.node(Plan::access("a1")).await, world.node(Plan::access("a2")).await);
    let message = world.node(Plan::message("m1")).await;
    here.reaches(&[&message, &there]).await;
    message.reaches(&[&here, &there]).await;
    let alice = key("alice");
    let first = here.ids.next();
    assert_eq!(here.routed.signed_in(&alice, here.id, first).await.unwrap().as_slice(), [here.id]);
    let second = there.ids.next();
    let online = there.routed.signed_in(&alice, there.id, second).await.unwrap();
    assert_eq!(online.as_slice(), [here.id, there.id]);
    assert!(!message.access.is_online(&alice).await.unwrap(), "the nodes themselves know nobody");
    there.terminals.online.lock().push(alice.clone());
    assert!(message.access.is_online(&alice).await.unwrap());
    let newcomer = Newcomer {
        user: alice.clone(),
        connection: second,
        time: Timestamp(1),
        platform: Platform::Web,
        device: None,
        one_per_platform: true,
    };
    there.access.gives_way(&newcomer, &[here.id]);
    until("the older one gives way", || !here.terminals.told.lock().is_empty()).await;
    assert_eq!(*here.terminals.told.lock(), [format!("alice gives way to {second}")]);
    here.routed.signed_out(&alice, here.id, first).await.unwrap();
    assert_eq!(here.routed.online(&alice).await.unwrap().as_slice(), [there.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_forwards_reach_the_owner_and_a_break_is_told() {
    let world = World::new();
    let (queue, owner) = (world.node(Plan::message("m1")).await, world.node(Plan::message("m2")).await);
    queue.reaches(&[&owner]).await;
    owner.reaches(&[&queue]).await;
    queue.peers.forward(owner.id, (1..=100).map(|id| forward(id, 1)).collect());
    until("they have come", || owner.owner.forwarded.lock().len() == 100).await;
    let came: Vec<_> = owner.owner.forwarded.lock().iter().map(|(from, forward)| (*from, forward.id)).collect();
    assert_eq!(came, (1..=100).map(|id| (queue.id, id)).collect::<Vec<_>>());
    let answers: Vec<_> = (1..=50).map(|id| (id, Forwarded::Returned)).collect();
    owner.peers.answer(queue.id, answers.clone());
    until("they are answered", || queue.owner.answered.lock().len() == 50).await;
    owner.proxy.cut();
    until("the loss is told", || *queue.owner.lost.lock() == [owner.id]).await;
    queue.reaches(&[&owner]).await;
    // Of the stream that is gone nothing is answered any more.
    owner.peers.answer(queue.id, (51..=100).map(|id| (id, Forwarded::Returned)).collect());
    queue.peers.forward(owner.id, vec![forward(101, 60)]);
    queue.peers.forward(owner.id, vec![forward(102, 102)]);
    until("what came after the loss", || owner.owner.forwarded.lock().len() == 101).await;
    owner.peers.answer(queue.id, vec![(102, Forwarded::Returned)]);
    until("it is answered", || queue.owner.answered.lock().len() == 51).await;
    assert_eq!(queue.owner.answered.lock().last(), Some(&(102, Forwarded::Returned)));
    queue.peers.forward(anser_types::NodeId(99 << 32), vec![forward(103, 103)]);
    until("nobody is there", || queue.owner.lost.lock().contains(&anser_types::NodeId(99 << 32))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told_and_asked_what_is_archived() {
    let world = World::new();
    let one = world.node(Plan::message("m1")).await;
    until("it owns all", || {
        let owners = one.owner.owners.lock().clone();
        owners.is_some_and(|owners| owners.next.iter().all(|owner| *owner == Some(one.id)))
    })
    .await;
    let two = world.node(Plan::message("m2")).await;
    one.reaches(&[&two]).await;
    until("they share", || {
        let owners = one.owner.owners.lock().clone();
        owners.is_some_and(|owners| owners.next.contains(&Some(one.id)) && owners.next.contains(&Some(two.id)))
    })
    .await;
    for number in 0..16 {
        one.peers.archived(PartitionId(number)).await.unwrap();
    }
    let (by_one, by_two) = (one.owner.archived.lock().len(), two.owner.archived.lock().len());
    assert!(by_one + by_two == 16 && by_one > 0 && by_two > 0, "{by_one} {by_two}");
}
