//! Blocked users, void tokens, blacklists.

use anser_cluster::{Command, SignOut};
use anser_types::record::{RosterChange, UserChange};
use anser_types::{AppKey, Status, Subject};
use serde_json::json;

use super::*;
use fakes::user;

fn user_changes(backend: &Backend) -> Vec<(String, UserChange)> {
    let changes = backend.fakes.commands().into_iter().map(|command| match command {
        Command::User { user, change } => (user.user.to_string(), change),
        other => panic!("{other:?}"),
    });
    changes.collect()
}

#[tokio::test]
async fn a_blocked_user_is_signed_out_once_it_cannot_come_back() {
    let backend = Backend::new();
    backend.ok("/user/block.json", "userId=u&minute=10&userId=v").await;
    let until = NOW.plus(600_000);
    let blocked = UserChange::Blocked { until };
    assert_eq!(user_changes(&backend), [("u".to_owned(), blocked.clone()), ("v".to_owned(), blocked)]);
    assert_eq!(
        backend.fakes.signed_out(),
        [("u".to_owned(), SignOut::Blocked, 1), ("v".to_owned(), SignOut::Blocked, 2)]
    );
    backend.ok("/user/unblock", "userId=u").await;
    assert_eq!(user_changes(&backend)[2], ("u".to_owned(), UserChange::Unblocked));
}

#[tokio::test]
async fn one_user_that_cannot_be_changed_now_does_not_keep_the_others_from_it() {
    let minute = "minute=10&userId=a&userId=b&userId=c";
    let signed_out = |backend: &Backend| {
        let mut names: Vec<_> = backend.fakes.signed_out().into_iter().map(|(user, ..)| user).collect();
        names.sort();
        names
    };
    for (status, codes, wanted) in [
        // It may be durable, and only not be seen in the tables yet.
        (Status::UNAVAILABLE, (503, 1000), vec!["a", "b", "c"]),
        (Status::BAD_PARAMETER, (400, 1002), vec!["b", "c"]),
    ] {
        let backend = Backend::new();
        backend.fakes.refuses("a", status);
        assert_eq!(backend.post("/user/block", minute).await.codes(), codes);
        assert_eq!(user_changes(&backend).len(), 2);
        assert_eq!(signed_out(&backend), wanted);
    }
    let backend = Backend::new();
    backend.fakes.refuses("b", Status::UNAVAILABLE);
    assert_eq!(backend.post("/user/token/expire", "userId=a&userId=b&userId=c&time=1").await.codes(), (503, 1000));
    // The word that tokens are void is taken as it is, so it is not said of what may not be.
    assert_eq!(signed_out(&backend), ["a", "c"]);
    assert_eq!(backend.post("/user/unblock", "userId=a&userId=b&userId=c").await.codes(), (503, 1000));
    assert_eq!(signed_out(&backend).len(), 2, "nobody is signed out by that");
}

#[tokio::test]
async fn one_private_chat_that_cannot_be_changed_now_does_not_keep_the_others_from_it() {
    let backend = Backend::new();
    let subject = |other: &str| Subject::private(AppKey::new("app1").unwrap(), user("u"), user(other));
    backend.fakes.refuses(&format!("{:?}", subject("a")), Status::UNAVAILABLE);
    let body = "userId=u&blackUserId=a&blackUserId=b&blackUserId=c";
    for path in ["/user/blacklist/add", "/user/blacklist/remove"] {
        assert_eq!(backend.post(path, body).await.codes(), (503, 1000));
    }
    let changed = backend.fakes.commands().into_iter().map(|command| match command {
        Command::Roster { subject, .. } => subject,
        other => panic!("{other:?}"),
    });
    assert_eq!(changed.collect::<Vec<_>>(), ["b", "c", "b", "c"].map(subject));
}

#[tokio::test]
async fn a_block_has_limits() {
    let backend = Backend::new();
    for minute in ["", "0", "43201", "x", "-1", "99999999999999999999"] {
        backend.refused("/user/block", &format!("userId=u&minute={minute}"), "minute").await;
    }
    backend.refused("/user/block", "minute=1", "userId").await;
    let many: String = (0..101).map(|i| format!("userId=u{i}&")).collect();
    backend.refused("/user/block", &format!("{many}minute=1"), "userId").await;
    assert!(backend.fakes.signed_out().is_empty());
}

#[tokio::test]
async fn blocked_users_are_listed_with_the_end() {
    let backend = Backend::new();
    backend.fakes.blocks(&[], &[("u", Timestamp(1_795_311_881_922))]);
    let answer = backend.ok("/user/block/query.json", "").await;
    assert_eq!(answer["users"], json!([{ "userId": "u", "blockEndTime": "2026-11-22 01:44:41" }]));
}

#[tokio::test]
async fn void_tokens_end_their_connections() {
    let backend = Backend::new();
    backend.ok("/user/token/expire", "userId=u&userId=v&time=1795311881000").await;
    let before = Timestamp(1_795_311_881_000);
    let void = UserChange::TokensVoid { before };
    assert_eq!(user_changes(&backend), [("u".to_owned(), void.clone()), ("v".to_owned(), void)]);
    assert_eq!(backend.fakes.signed_out()[0], ("u".to_owned(), SignOut::TokensVoid { before }, 1));
    let backend = Backend::new();
    backend.ok("/user/token/expire", "userId=u&time=1795311881922000").await;
    assert_eq!(
        user_changes(&backend),
        [("u".to_owned(), UserChange::TokensVoid { before: NOW })],
        "none that is to come"
    );
    let backend = Backend::new();
    for time in ["", "soon"] {
        backend.refused("/user/token/expire", &format!("userId=u&time={time}"), "time").await;
    }
}

#[tokio::test]
async fn a_blacklist_is_kept_in_the_private_chats_that_it_concerns() {
    let backend = Backend::new();
    backend.ok("/user/blacklist/add", "userId=u&blackUserId=a&blackUserId=z").await;
    backend.ok("/user/blacklist/remove", "userId=u&blackUserId=a").await;
    let subject = |other: &str| Subject::private(AppKey::new("app1").unwrap(), user("u"), user(other));
    let changes: Vec<_> = backend
        .fakes
        .commands()
        .into_iter()
        .map(|command| match command {
            Command::Roster { subject, change } => (subject, change),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [
        (subject("a"), RosterChange::Block { by: user("u") }),
        (subject("z"), RosterChange::Block { by: user("u") }),
        (subject("a"), RosterChange::Unblock { by: user("u") }),
    ];
    assert_eq!(changes, wanted);
    backend.fakes.blocks(&["a", "b"], &[]);
    assert_eq!(backend.ok("/user/blacklist/query", "userId=u").await["users"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_blacklist_request_names_others() {
    let backend = Backend::new();
    for path in ["/user/blacklist/add", "/user/blacklist/remove"] {
        backend.refused(path, "userId=u", "blackUserId").await;
        backend.refused(path, "blackUserId=u", "userId").await;
        backend.refused(path, "userId=u&blackUserId=u", "blackUserId").await;
    }
}
