//! Tables that lost what they had, and an operator who has them made anew from the log while the cluster serves.

use std::collections::BTreeSet;

use anser_client::{Client, Conversation, Timestamp};
use anser_tests::{More, Server};

async fn members(server: &Server, group: &str) -> BTreeSet<String> {
    let answer = server.admin().call("/group/user/query", &[("groupId", group)]).await.expect("a list");
    let users = answer["users"].as_array().expect("a list").iter();
    users.map(|user| user["id"].as_str().expect("an id").to_owned()).collect()
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What bob reads of a conversation, the oldest first.
async fn history(client: &Client, conversation: &Conversation) -> Vec<String> {
    let page = client.history(conversation, Timestamp::ZERO, 100).await.expect("a page");
    let mut texts: Vec<String> = page.messages.iter().filter_map(anser_client::Message::text).collect();
    texts.reverse();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lost_an_hbase_that_lost_all_has_what_the_log_has_when_an_operator_asks_for_it() {
    let server = Server::start_cluster(More::default()).await;
    server.admin().create_group("tea", "Tea", &["alice", "bob", "carol"]).await.expect("a group");
    server.admin().call("/group/quit", &[("userId", "carol"), ("groupId", "tea")]).await.expect("she left");
    let mut clients = Vec::new();
    for user in ["alice", "bob"] {
        let token = server.admin().token(user).await.expect("a token");
        let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
        clients.push(builder.connect().await.expect("signed in"));
    }
    let [(alice, _), (bob, _)] = &clients[..] else { panic!("two clients") };
    let (to_bob, to_tea) = (Conversation::private("bob").expect("an id"), Conversation::group("tea").expect("an id"));
    for n in 1..=30 {
        for to in [&to_bob, &to_tea] {
            alice.text(to.clone(), &n.to_string()).await.expect("acked");
        }
    }
    let with_alice = Conversation::private("alice").expect("an id");
    assert_eq!(history(bob, &with_alice).await.len(), 30);

    // A partition that is taken over just then is derived from the log again. Then it is lost once more.
    let mut joined: Vec<String> = Vec::new();
    loop {
        server.lose_hbase();
        // Over what is missing.
        let guest = format!("dora-{}", joined.len());
        server.admin().join_group("tea", "Tea", &[&guest]).await.expect("a guest joins");
        let left = members(&server, "tea").await;
        joined.push(guest.clone());
        if left == of(&[&guest]) {
            break;
        }
        assert!(joined.len() < 4, "nothing is ever lost: {left:?}");
    }
    alice.text(to_bob.clone(), "31").await.expect("acked without HBase's help");
    let all: Vec<&str> = joined.iter().map(String::as_str).chain(["alice", "bob"]).collect();

    let said = server.operate(&["rebuild", "directory"], &["--yes"]);
    assert!(said.contains("the directory and history are rebuilt\nthe log goes back to its first record"), "{said}");
    assert_eq!(members(&server, "tea").await, of(&all));
    let expected: Vec<String> = (1..=31).map(|n| n.to_string()).collect();
    assert_eq!(history(bob, &with_alice).await, expected);
    assert_eq!(history(bob, &to_tea).await, expected[..30]);
    // It goes on from there.
    alice.text(to_tea.clone(), "31").await.expect("acked");
    for guest in &joined {
        server.admin().call("/group/quit", &[("userId", guest), ("groupId", "tea")]).await.expect("the guest left");
    }
    assert_eq!(history(bob, &to_tea).await, expected);
    assert_eq!(members(&server, "tea").await, of(&["alice", "bob"]));
}
