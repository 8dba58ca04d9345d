//! Nobody gets in, or sees anything, without a good token or signature.

use std::time::Duration;

use anser_client::admin::{Admin, AdminError};
use anser_client::{Client, ConnectError, Conversation, StopReason, Timestamp, Transport};
use anser_tests::{More, Server, until, within};

const PATIENCE: Duration = Duration::from_secs(20);

/// Signs in, and out again.
async fn visit(server: &Server, token: &str) -> Result<(), ConnectError> {
    let builder = Client::builder(&server.url(), &server.ready().app_key, token);
    within("a sign-in", PATIENCE, builder.connect()).await.map(drop)
}

async fn refusal(server: &Server, token: &str, transport: Transport) -> StopReason {
    let builder = Client::builder(&server.url(), &server.ready().app_key, token).transport(transport);
    match within("the refusal", PATIENCE, builder.connect()).await {
        Err(ConnectError::Stopped(reason)) => reason,
        other => panic!("{token:?} got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_a_token_that_is_not_ours_is_refused_with_its_status() {
    let server = Server::start().await;
    let good = server.admin().token("alice").await.expect("a token");
    let mut forged = good.clone().into_bytes();
    if let Some(byte) = forged.get_mut(10) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    let forged = String::from_utf8(forged).expect("still text");
    for transport in [Transport::Tcp, Transport::Ws] {
        for token in ["", "nonsense", "@", &forged] {
            assert_eq!(refusal(&server, token, transport).await, StopReason::Refused(4), "{transport:?} {token:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_a_wrong_secret_is_told_so() {
    let server = Server::start().await;
    let mut stranger = Admin::new(&server.url(), &server.ready().app_key, "guessed").expect("an address");
    let refused = stranger.token("alice").await.expect_err("a wrong signature is refused");
    assert!(matches!(refused, AdminError::Refused { status: 401, code: 1004, .. }), "{refused:?}");
    let mut nobody = Admin::new(&server.url(), "no-such-app", "guessed").expect("an address");
    assert!(matches!(nobody.token("alice").await, Err(AdminError::Refused { status: 401, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_revoked_and_blocked_users_are_out_at_once_and_stay_out() {
    let server = Server::start().await;
    let mut admin = server.admin();
    let token = admin.token("alice").await.expect("a token");
    let now = anser_client::LocalClock::start().now().0 + 1;
    admin.call("/user/token/expire", &[("userId", "alice"), ("time", &now.to_string())]).await.expect("revoked");
    assert_eq!(refusal(&server, &token, Transport::Ws).await, StopReason::Refused(10));
    let token = admin.token("mallory").await.expect("a token");
    admin.call("/user/block", &[("userId", "mallory"), ("minute", "10")]).await.expect("blocked");
    assert_eq!(refusal(&server, &token, Transport::Tcp).await, StopReason::Refused(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_holds_while_hbase_is_away_and_whoever_was_here_comes_in() {
    let server = Server::start_cluster(More::default()).await;
    let mut admin = server.admin();
    let mut tokens = Vec::new();
    for user in ["alice", "bob", "mallory"] {
        tokens.push(admin.token(user).await.expect("a token"));
    }
    let [alice, bob, mallory] = &tokens[..] else { panic!("three tokens") };
    // What is said of a user who may have been changed since is not kept.
    let is_archived = || server.status().contains(", 0 to archive").then_some(());
    until("everything is archived", PATIENCE, is_archived).await;
    for token in &tokens {
        visit(&server, token).await.expect("signed in");
    }
    let builder = Client::builder(&server.url(), &server.ready().app_key, bob);
    let (_bob, mut events) = builder.connect().await.expect("signed in");
    let say = async |text: &str| {
        let builder = Client::builder(&server.url(), &server.ready().app_key, alice);
        let (alice, _events) = within("a sign-in", PATIENCE, builder.connect()).await.expect("signed in");
        alice.text(Conversation::private("bob").expect("an id"), text).await.expect("acked");
    };
    say("before").await;
    server.set_hbase(false);
    say("meanwhile").await;
    // The caller is told to try again, as it is not stored yet; it holds all the same.
    let refused = admin.call("/user/block", &[("userId", "mallory"), ("minute", "10")]).await.expect_err("not stored");
    assert!(matches!(refused, AdminError::Refused { status: 503, .. }), "{refused:?}");
    assert_eq!(refusal(&server, mallory, Transport::Tcp).await, StopReason::Refused(9));
    server.set_hbase(true);
    assert_eq!(refusal(&server, mallory, Transport::Ws).await, StopReason::Refused(9));
    let mut shown = Vec::new();
    while shown.len() < 2 {
        let event = within("a message", PATIENCE, events.next()).await.expect("bob stays");
        if let anser_client::ClientEvent::Message(message) = event {
            shown.push(message.text().unwrap_or_default());
        }
    }
    assert_eq!(shown, ["before", "meanwhile"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_nobody_reads_a_conversation_of_others() {
    let server = Server::start().await;
    let mut admin = server.admin();
    admin.create_group("secret", "secret", &["alice", "bob"]).await.expect("a group");
    let mut clients = Vec::new();
    for user in ["alice", "eve"] {
        let token = admin.token(user).await.expect("a token");
        let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
        clients.push(builder.connect().await.expect("signed in"));
    }
    let [(alice, _), (eve, eve_events)] = &mut clients[..] else { panic!("two clients") };
    for to in [Conversation::private("bob"), Conversation::group("secret")] {
        alice.text(to.expect("an id"), "for bob's eyes").await.expect("acked");
    }
    let spied = [Conversation::private("bob"), Conversation::private("alice"), Conversation::group("secret")];
    for conversation in spied {
        let page = eve.history(&conversation.expect("an id"), Timestamp::ZERO, 100).await;
        assert!(page.is_err() || page.is_ok_and(|page| page.messages.is_empty()), "eve reads others' history");
    }
    assert!(eve.text(Conversation::group("secret").expect("an id"), "hello").await.is_err(), "eve is no member");
    while let Some(event) = eve_events.try_next() {
        assert!(!matches!(event, anser_client::ClientEvent::Message(_)), "{event:?}");
    }
}
