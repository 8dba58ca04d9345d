//! Starting, stopping, and what may change in between.

use std::time::Duration;

use anser_client::terminal::TlsTrust;
use anser_client::{Client, ClientEvent, ConnectError, Conversation, StopReason, Transport};
use anser_tests::{Server, until, within};

use crate::first_steps::{run, text};

const PATIENCE: Duration = Duration::from_secs(20);
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

async fn signs_in(server: &Server, user: &str) -> (Client, anser_client::Events) {
    let token = server.admin().token(user).await.expect("a token");
    let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
    within("signing in", PATIENCE, builder.connect()).await.expect("a good token signs in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_server_and_the_second_says_so() {
    let server = Server::start().await;
    let data = server.data().to_str().expect("a readable path");
    let any = "127.0.0.1:0";
    let output = run(&["serve", "--data", data, "--http", any, "--tcp", any, "--ws", any], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    signs_in(&server, "alice").await;
}

#[test]
fn told_why_a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let data = file.join("data");
    let data = data.to_str().expect("a readable path");
    let output = run(&["serve", "--data", data, "--http", "127.0.0.1:0"], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot use {data} as a data folder")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_tells_clients_and_they_go_on_after_the_next_start() {
    let mut server = Server::start().await;
    let (alice, mut events) = signs_in(&server, "alice").await;
    alice.text(Conversation::private("bob").expect("an id"), "before").await.expect("acked");
    server.signal("TERM");
    within("the client hears of it", PATIENCE, async {
        while !matches!(events.next().await, Some(ClientEvent::Disconnected(_))) {}
    })
    .await;
    assert!(server.ended().await, "exit code 0:\n{}", server.log());
    server.start_again().await;
    let bob = Conversation::private("bob").expect("an id");
    within("sending after the restart", PATIENCE, alice.text(bob.clone(), "after")).await.expect("acked");
    let page = alice.history(&bob, anser_client::Timestamp::ZERO, 10).await.expect("history answers");
    let texts: Vec<_> = page.messages.iter().filter_map(anser_client::Message::text).collect();
    assert_eq!(texts, ["after", "before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_come_and_change_their_secrets_while_the_server_runs() {
    let server = Server::start().await;
    let data = server.data().to_str().expect("a readable path");
    let (first, _events) = signs_in(&server, "alice").await;

    let made = text(&run(&["app", "create", "--data", data], "").stdout);
    let key = made.split_whitespace().nth(2).expect("the key is printed").to_owned();
    let token = text(&run(&["token", "alice", "--data", data, "--app-key", &key], "").stdout);
    let other = Client::builder(&server.url(), &key, token.trim()).connect();
    let (other, _other_events) =
        within("signing in to the new app", PATIENCE, other).await.expect("the new app is served");
    assert_eq!(other.user(), first.user(), "two apps have each their own alice");

    let before = server.admin();
    run(&["app", "rotate-secret", &server.ready().app_key, "--data", data], "");
    let mut after = server.admin();
    let begun = tokio::time::Instant::now();
    while after.token("bob").await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the new secret does not count");
    }
    let mut before = before;
    assert!(before.token("bob").await.is_err(), "the old secret counts no more");
    first.text(Conversation::private("bob").expect("an id"), "still here").await.expect("tokens stay good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_counts_after_a_hangup_signal_without_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| folder.path().join(name).to_str().expect("a readable path").to_owned();
    let (chain, key) = (place("server.crt"), place("server.key"));
    let install = |name: &str| {
        std::fs::copy(format!("{FIXTURES}/{name}.crt"), &chain).expect("copied");
        std::fs::copy(format!("{FIXTURES}/{name}.key"), &key).expect("copied");
    };
    install("one");
    let flags = ["--tls-certificate", &chain, "--tls-key", &key, "--tls-tcp", "127.0.0.1:0", "--tls-ws", "127.0.0.1:0"];
    let server = Server::builder().arguments(&flags).start().await;
    let token = server.admin().token("alice").await.expect("a token");
    let connect = |name: &str| {
        let trust = TlsTrust::roots(format!("{FIXTURES}/{name}.crt").as_ref()).expect("a certificate");
        let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
        tokio::time::timeout(Duration::from_secs(2), builder.transport(Transport::Tls).trust(trust).connect())
    };
    let first = connect("one").await.expect("in time").expect("the first certificate is the server's");
    install("two");
    server.signal("HUP");
    until("the server has read it", PATIENCE, || server.log().contains("certificates and apps again").then_some(()))
        .await;
    let second = connect("two").await.expect("in time").expect("now the second one is");
    assert!(connect("one").await.is_err(), "nobody is shown the first one any more");
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_why_a_second_terminal_of_one_kind_ends_the_first() {
    let server = Server::start().await;
    let (_first, mut events) = signs_in(&server, "alice").await;
    let _second = signs_in(&server, "alice").await;
    let stopped = within("the first one is told", PATIENCE, async {
        loop {
            if let Some(ClientEvent::Stopped(reason)) = events.next().await {
                return reason;
            }
        }
    });
    assert_eq!(stopped.await, StopReason::Kicked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_given_from_outside() {
    let (key, secret) = ("given-app", "0f3k9s8d7f6g5h4j3k2l1");
    let server = Server::builder().variable("ANSER_APP_KEY", key).variable("ANSER_APP_SECRET", secret).start().await;
    assert_eq!((server.ready().app_key.as_str(), server.secret().as_str()), (key, secret));
    signs_in(&server, "alice").await;
    let refused = Client::builder(&server.url(), "another-app", "token").connect().await;
    assert!(matches!(refused, Err(ConnectError::Stopped(_))), "{refused:?}");
}
