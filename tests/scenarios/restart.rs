//! A restart is fast, however much is stored.

use std::time::Duration;

use anser_client::Client;
use anser_client::admin::PublishTo;
use anser_core::session::{Failure, Outgoing};
use anser_tests::{Server, within};
use anser_types::{Conversation, ConversationType, TargetId};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(600);
/// A sender has one conversation under way at a time, so that it takes many of them to fill the log quickly.
const SENDERS: usize = 250;
/// Of each sender, one after the other.
const RECEIVERS: usize = 4;
/// How many messages a sender has under way.
const UNDER_WAY_MAX: usize = 64;
/// A server without optimisation, which a plain `cargo test` starts, may take ten times as long.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// `ANSER_RESTART_MESSAGES` chooses how many are stored.
fn messages() -> usize {
    std::env::var("ANSER_RESTART_MESSAGES").map_or(50_000, |text| text.parse().expect("a number"))
}

async fn fill(server: &Server, count: usize) {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let token = server.admin().token(&format!("sender-{sender}")).await.expect("a token");
        let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
        let (client, _events) = builder.connect().await.expect("signed in");
        senders.spawn(async move { send(&client, sender, count / SENDERS).await });
    }
    within("storing", PATIENCE, async {
        while let Some(sent) = senders.join_next().await {
            sent.expect("sent")
        }
    })
    .await;
}

async fn send(client: &Client, sender: usize, count: usize) {
    let mut under_way = std::collections::VecDeque::new();
    for number in 0..count {
        let target = TargetId::new(&format!("receiver-{sender}-{}", number * RECEIVERS / count)).expect("an id");
        let text = format!("{number} {}", "x".repeat(180));
        let outgoing = Outgoing::text(Conversation::new(ConversationType::Private, target), &text);
        under_way.push_back(client.begin_send(outgoing).await.expect("taken"));
        if under_way.len() >= UNDER_WAY_MAX {
            acked(under_way.pop_front()).await;
        }
    }
    while !under_way.is_empty() {
        acked(under_way.pop_front()).await;
    }
}

async fn acked(sending: Option<anser_client::Sending>) {
    if let Some(sending) = sending {
        let outcome = sending.await;
        assert!(!matches!(outcome, Err(anser_client::SendError::Failed(Failure::TooMany))), "too many under way");
        outcome.expect("acked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_is_fast_after_a_stop_and_after_a_crash() {
    // How fast one connection may send is not the question here.
    let mut server = Server::builder().arguments(&["--set", "access.publish_rate=0"]).start().await;
    fill(&server, messages()).await;
    server.kill();
    let after_crash = server.start_again().await;
    assert!(server.stop().await, "an orderly end");
    let after_stop = server.start_again().await;
    println!("ready with {} messages: {after_crash:?} after a crash, {after_stop:?} after a stop", messages());
    server
        .admin()
        .publish("sender-0", PublishTo::Users(&["receiver-0-0"]), "RC:TxtMsg", r#"{"content":"x"}"#)
        .await
        .expect("it serves");
    assert!(after_crash.max(after_stop) < LIMIT, "{after_crash:?} after a crash, {after_stop:?} after a stop");
}
