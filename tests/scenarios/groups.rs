//! What a group allows, as its members meet it.

use anser_client::{Client, Conversation, Failure, SendError};
use anser_tests::Server;
use anser_types::Status;

async fn status(client: &Client, group: &str) -> Status {
    match client.text(Conversation::group(group).expect("an id"), "may I?").await {
        Ok(_) => Status::OK,
        Err(SendError::Failed(Failure::Refused(status))) => status,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_why_a_muted_member_may_not_write_also_after_a_crash() {
    let mut server = Server::start().await;
    server.admin().create_group("tea", "tea", &["alice", "bob"]).await.expect("a group");
    let mute = [("userId", "alice"), ("groupId", "tea"), ("minute", "5")];
    server.admin().call("/group/user/gag/add", &mute).await.expect("muted");
    for round in ["muted", "still muted after a crash"] {
        let mut clients = Vec::new();
        for user in ["alice", "bob"] {
            let token = server.admin().token(user).await.expect("a token");
            let builder = Client::builder(&server.url(), &server.ready().app_key, &token);
            clients.push(builder.connect().await.expect("signed in"));
        }
        let [(alice, _), (bob, _)] = &clients[..] else { panic!("two clients") };
        assert_eq!(status(alice, "tea").await, Status::MUTED_IN_GROUP, "{round}");
        assert_eq!(status(bob, "tea").await, Status::OK, "nobody else is");
        let listed = server.admin().call("/group/user/gag/list", &[("groupId", "tea")]).await.expect("a list");
        assert_eq!(listed["users"][0]["userId"], "alice", "{listed}");
        assert_eq!(listed["users"].as_array().map(Vec::len), Some(1), "{listed}");
        server.kill();
        server.start_again().await;
    }
    let token = server.admin().token("alice").await.expect("a token");
    let (alice, _events) =
        Client::builder(&server.url(), &server.ready().app_key, &token).connect().await.expect("signed in");
    server.admin().call("/group/user/gag/rollback", &[("userId", "alice")]).await.expect("lifted everywhere");
    assert_eq!(status(&alice, "tea").await, Status::OK);
}
