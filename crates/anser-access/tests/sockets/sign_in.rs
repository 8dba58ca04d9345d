//! Coming in, and being shown out.

use std::sync::atomic::Ordering::Relaxed;

use anser_cluster::{AccessService as _, SignInView, SignOut};
use anser_rmtp::websocket::ConnectQuery;
use anser_rmtp::{ClientFrame, ServerFrame};
use anser_runtime::Clock;
use anser_types::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::world::{World, config};

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, waiting).await.expect("in time");
}

#[tokio::test]
async fn both_transports_and_both_versions_sign_in() {
    let world = World::new();
    for version in [0, 3, 4] {
        let mut web = Client::websocket(world.websocket(), &world.token("alice"), "web-1", "5.38.0", version).await;
        let (user, first) = web.accepted().await;
        assert_eq!((user.as_str(), first.is_some()), ("alice", version == 4));
        web.ping().await;
    }
    for version in [3, 4] {
        let mut native = Client::tcp(world.tcp(), "app", &world.token("bob"), "d", "PC--5.46.1", version).await;
        assert_eq!(native.accepted().await.0, "bob");
        native.ping().await;
        assert!(world.registry.has(&world.key("bob")));
    }
}

#[tokio::test]
async fn one_way_in_refusals_say_why_over_both_transports() {
    let world = World::new();
    let now = Clock::system().now();
    let blocked = SignInView { blocked_until: now.plus(60_000), ..SignInView::default() };
    let void = SignInView { tokens_from: now.plus(60_000), ..SignInView::default() };
    world.directory.views.lock().extend([(world.key("blocked"), blocked), (world.key("void"), void)]);
    let good = world.token("alice");
    for (app, token, code) in [
        ("app", "nonsense@".to_owned(), 4),
        ("app", String::new(), 4),
        ("other", good.clone(), 2),
        ("app", world.token("blocked"), 9),
        ("app", world.token("void"), 10),
        ("app", world.token_at("alice", Timestamp(1), Some(Timestamp(2))), 10),
    ] {
        let query = ConnectQuery {
            app_key: app.into(),
            token: token.clone(),
            sdk_version: "5.38.0".into(),
            ..ConnectQuery::default()
        };
        let mut web = Client::websocket_query(world.websocket(), &query).await;
        assert_eq!(web.refused().await, code, "websocket {token}");
        let mut native = Client::tcp(world.tcp(), app, &token, "d", "PC--5.46.1", 4).await;
        assert_eq!(native.refused().await, code, "tcp {token}");
    }
    assert!(world.registry.is_empty());
}

#[tokio::test]
async fn a_full_node_puts_clients_off() {
    let world = World::with(anser_access::AccessConfig { connections_max: 1, ..config() });
    let _first = world.ours("alice", "web-1").await;
    bob_is_put_off(&world).await;
}

#[tokio::test]
async fn whoever_cannot_be_judged_now_is_put_off() {
    let world = World::new();
    world.directory.is_away.store(true, Relaxed);
    bob_is_put_off(&world).await;
    world.directory.is_away.store(false, Relaxed);
    world.ours("bob", "web-1").await;
}

/// A CONNACK would be final to published clients.
async fn bob_is_put_off(world: &World) {
    let token = world.token("bob");
    Client::websocket(world.websocket(), &token, "web-1", "5.38.0", 3).await.put_off().await;
    Client::tcp(world.tcp(), "app", &token, "d", "PC--5.46.1", 3).await.put_off().await;
}

#[tokio::test]
async fn a_terminal_of_the_same_platform_is_replaced_and_told() {
    let world = World::new();
    let mut first = world.ours("alice", "web-1").await;
    let mut phone = world.native("alice", "phone").await;
    let mut second = world.ours("alice", "web-2").await;
    assert_eq!(first.next().await, Some(ServerFrame::Disconnect { code: 1 }));
    assert_eq!(first.next().await, None);
    phone.ping().await;
    second.ping().await;
    until(|| world.registry.len() == 2).await;
}

#[tokio::test]
async fn slow_is_alone_of_a_user_with_too_many_terminals_the_oldest_is_ended() {
    let world = World::with(anser_access::AccessConfig { terminals_per_user_max: 1, ..config() });
    let mut web = world.ours("alice", "web-1").await;
    let mut other = world.ours("bob", "web-2").await;
    let mut phone = world.native("alice", "phone").await;
    assert_eq!(web.next().await, Some(ServerFrame::Disconnect { code: 1 }));
    assert_eq!(web.next().await, None);
    phone.ping().await;
    other.ping().await;
    until(|| world.registry.len() == 2).await;
}

#[tokio::test]
async fn the_same_installation_comes_back_without_a_kick() {
    let world = World::new();
    let mut first = world.ours("alice", "web-1").await;
    let mut again = world.ours("alice", "web-1").await;
    assert_eq!(first.next().await, None);
    again.ping().await;
    until(|| world.registry.len() == 1).await;
    assert!(world.registry.has(&world.key("alice")), "the end of the old one hides the new one");
}

#[tokio::test]
async fn blocked_and_revoked_users_are_signed_out() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    world.registry.sign_out(&world.key("alice"), SignOut::TokensVoid { before: Timestamp(1) });
    alice.ping().await;
    world.registry.sign_out(&world.key("alice"), SignOut::TokensVoid { before: Timestamp(u64::MAX) });
    assert_eq!(alice.next().await, Some(ServerFrame::Disconnect { code: 7 }));
    let mut bob = world.native("bob", "d").await;
    let blocked = SignInView { blocked_until: Timestamp(u64::MAX), ..SignInView::default() };
    world.directory.views.lock().insert(world.key("bob"), blocked);
    world.directory.is_away.store(true, Relaxed);
    let asked = world.directory.asked();
    world.registry.sign_out(&world.key("bob"), SignOut::Blocked);
    // It is asked again until it answers.
    until(|| world.directory.asked() > asked + 1).await;
    world.directory.is_away.store(false, Relaxed);
    assert_eq!(bob.next().await, Some(ServerFrame::Disconnect { code: 5 }));
    assert_eq!(bob.next().await, None);
}

#[tokio::test]
async fn a_late_word_of_a_block_that_is_over_ends_nobody() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    let asked = world.directory.asked();
    world.registry.sign_out(&world.key("alice"), SignOut::Blocked);
    until(|| world.directory.asked() > asked).await;
    alice.ping().await;
}

#[tokio::test]
async fn one_way_in_holds_for_whoever_was_in_when_the_word_was_lost() {
    let world = World::with(anser_access::AccessConfig { look_again_seconds: 1, ..config() });
    let mut alice = world.ours("alice", "web-1").await;
    let mut bob = world.native("bob", "phone").await;
    let mut carol = world.ours("carol", "web-1").await;
    let now = Clock::system().now();
    let blocked = SignInView { blocked_until: now.plus(60_000), ..SignInView::default() };
    let void = SignInView { tokens_from: now.plus(60_000), ..SignInView::default() };
    world.directory.is_away.store(true, Relaxed);
    let asked = world.directory.asked();
    world.directory.views.lock().extend([(world.key("alice"), blocked), (world.key("bob"), void)]);
    // What cannot be read is held against nobody.
    until(|| world.directory.asked() >= asked + 6).await;
    assert_eq!(world.registry.len(), 3);
    world.directory.is_away.store(false, Relaxed);
    assert_eq!(alice.next().await, Some(ServerFrame::Disconnect { code: 5 }));
    assert_eq!(bob.next().await, Some(ServerFrame::Disconnect { code: 7 }));
    carol.ping().await;
    until(|| world.registry.len() == 1).await;
}

#[tokio::test]
async fn slow_is_alone_a_user_who_cannot_be_looked_at_keeps_nobody_else_from_it() {
    let world = World::with(anser_access::AccessConfig { look_again_seconds: 1, ..config() });
    let (mut ill, mut blocked) = (Vec::new(), Vec::new());
    // More than the registry has parts, so that some are in one.
    for number in 0..80 {
        let (one, other) = (format!("ill{number}"), format!("blocked{number}"));
        ill.push(world.ours(&one, "web-1").await);
        blocked.push(world.ours(&other, "web-1").await);
        world.directory.damaged.lock().insert(world.key(&one));
        let view = SignInView { blocked_until: Clock::system().now().plus(60_000), ..SignInView::default() };
        world.directory.views.lock().insert(world.key(&other), view);
    }
    for client in &mut blocked {
        assert_eq!(client.next().await, Some(ServerFrame::Disconnect { code: 5 }));
    }
    until(|| world.registry.len() == ill.len()).await;
}

#[tokio::test]
async fn slow_is_alone_a_block_is_heeded_while_many_others_cannot_be_looked_at() {
    let world = World::new();
    let mut ill = Vec::new();
    for number in 0..40 {
        let name = format!("ill{number}");
        ill.push(world.ours(&name, "web-1").await);
        world.directory.damaged.lock().insert(world.key(&name));
        world.registry.sign_out(&world.key(&name), SignOut::Blocked);
    }
    let mut bob = world.ours("bob", "web-1").await;
    let blocked = SignInView { blocked_until: Timestamp(u64::MAX), ..SignInView::default() };
    world.directory.views.lock().insert(world.key("bob"), blocked);
    world.registry.sign_out(&world.key("bob"), SignOut::Blocked);
    assert_eq!(bob.next().await, Some(ServerFrame::Disconnect { code: 5 }));
}

#[tokio::test]
async fn a_sign_in_that_is_given_up_half_way_leaves_nobody_online() {
    let world = World::with(anser_access::AccessConfig { handshake_timeout_seconds: 1, ..config() });
    world.directory.answers_max.store(1, Relaxed);
    let mut alice = Client::tcp(world.tcp(), "app", &world.token("alice"), "d", "PC--5.46.1", 3).await;
    assert!(alice.next().await.is_none());
    until(|| !world.registry.has(&world.key("alice"))).await;
}

#[tokio::test]
async fn a_client_that_signs_out_is_offline_at_once() {
    let world = World::new();
    let mut alice = world.ours("alice", "web-1").await;
    alice.send(&ClientFrame::Disconnect { status: 4 }).await;
    assert_eq!(alice.next().await, None);
    until(|| !world.registry.has(&world.key("alice"))).await;
}

#[tokio::test]
async fn the_speed_test_is_answered_and_nothing_else_is_there() {
    let world = World::new();
    for (request, start) in [("GET /ping?r=1", "HTTP/1.1 200"), ("GET /", "HTTP/1.1 404")] {
        let mut stream = TcpStream::connect(world.websocket()).await.unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(start), "{answer}");
    }
}

#[tokio::test]
async fn a_drain_tells_clients_to_go_elsewhere_and_ends() {
    let world = World::new();
    let mut ours = world.ours("alice", "web-1").await;
    let mut old = Client::websocket(world.websocket(), &world.token("bob"), "web-1", "2.5.3", 0).await;
    old.accepted().await;
    world.tasks.drain().begin();
    let server = world.server;
    let told = async {
        assert_eq!(ours.next().await, Some(ServerFrame::Disconnect { code: 6 }));
        assert_eq!(ours.next().await, None);
        assert_eq!(old.next().await, None, "who does not know the word is just closed");
        drop((ours, old));
    };
    tokio::join!(server.drain(), told);
    world.tasks.drain().stop();
    tokio::time::timeout(crate::client::PATIENCE, world.tasks.finished()).await.expect("all tasks end");
}
