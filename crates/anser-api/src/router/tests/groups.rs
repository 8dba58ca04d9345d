//! Groups and who is in them.

use std::collections::HashMap;

use anser_cluster::Command;
use anser_types::record::RosterChange;
use anser_types::{AppKey, Subject, TargetId, UserId};
use serde_json::json;

use super::*;
use fakes::user;

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

/// The changes that were made, by group.
pub(super) fn changes(backend: &Backend) -> HashMap<String, Vec<RosterChange>> {
    let mut changes: HashMap<String, Vec<RosterChange>> = HashMap::new();
    for command in backend.fakes.commands() {
        let Command::Roster { subject: Subject::Shared { app, conversation }, change } = command else {
            panic!("{command:?}")
        };
        assert_eq!(app, AppKey::new("app1").unwrap());
        assert_eq!(
            Subject::group(app.clone(), conversation.target.clone()),
            Subject::Shared { app, conversation: conversation.clone() }
        );
        changes.entry(conversation.target.to_string()).or_default().push(change);
    }
    changes
}

#[tokio::test]
async fn groups_are_made_joined_left_renamed_and_dismissed() {
    let backend = Backend::new();
    backend.ok("/group/create.json", "userId=a&userId=b&groupId=g&groupName=The+Group").await;
    backend.ok("/group/join", "userId=c&groupId=g").await;
    backend.ok("/group/quit", "userId=a&userId=b&groupId=g").await;
    backend.ok("/group/refresh", "groupId=g&groupName=New").await;
    backend.ok("/group/dismiss", "userId=c&groupId=g").await;
    let wanted = vec![
        RosterChange::Join { name: "The Group".into(), users: users(&["a", "b"]) },
        RosterChange::Join { name: String::new(), users: users(&["c"]) },
        RosterChange::Quit { users: users(&["a", "b"]) },
        RosterChange::Rename { name: "New".into() },
        RosterChange::Dismiss,
    ];
    assert_eq!(changes(&backend), HashMap::from([("g".to_owned(), wanted)]));
}

#[tokio::test]
async fn group_requests_name_what_they_need_within_limits() {
    let backend = Backend::new();
    for path in ["/group/create", "/group/join", "/group/quit"] {
        backend.refused(path, "groupId=g&groupName=n", "userId").await;
        backend.refused(path, "userId=u&groupName=n", "groupId").await;
        let many: String = (0..1001).map(|i| format!("userId=u{i}&")).collect();
        backend.refused(path, &format!("{many}groupId=g"), "userId").await;
    }
    let long = "x".repeat(257);
    backend.refused("/group/create", &format!("userId=u&groupId=g&groupName={long}"), "groupName").await;
    backend.refused("/group/refresh", "groupId=g", "groupName").await;
    backend.refused("/group/refresh", &format!("groupId=g&groupName={long}"), "groupName").await;
    backend.refused("/group/dismiss", "userId=u", "groupId").await;
    let thousand: String = (0..1000).map(|i| format!("userId=u{i}&")).collect();
    backend.ok("/group/create", &format!("{thousand}groupId=g")).await;
}

#[tokio::test]
async fn members_are_listed_under_both_names() {
    let backend = Backend::new();
    backend.fakes.has_group("g", &["a", "b"]);
    let answer = backend.ok("/group/user/query.json", "groupId=g").await;
    assert_eq!(answer["users"], json!([{ "id": "a" }, { "id": "b" }]));
    assert_eq!(answer["members"], answer["users"]);
    assert_eq!(backend.ok("/group/user/query", "groupId=none").await["users"], json!([]));
}

#[tokio::test]
async fn the_groups_of_a_user_come_all_or_by_page() {
    let backend = Backend::new();
    let ids: Vec<String> = (0..1_203).map(|i| format!("g{i:04}")).collect();
    for id in &ids {
        backend.fakes.has_group(id, &["u"]);
    }
    backend.fakes.has_group("other", &["v"]);
    let listed = |answer: &Value| -> Vec<String> {
        answer["groups"].as_array().unwrap().iter().map(|g| g["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&backend.ok("/user/group/query", "userId=u").await), ids);
    let page = backend.ok("/user/group/query", "userId=u&page=2&size=3").await;
    assert_eq!(page["groups"][0], json!({ "id": "g0003", "name": "name of g0003" }));
    assert_eq!(listed(&page), ["g0003", "g0004", "g0005"]);
    assert_eq!(listed(&backend.ok("/user/group/query", "userId=u&page=402&size=3").await), Vec::<String>::new());
    for odd in ["page=0", "page=18446744073709551615&size=18446744073709551615", "size=0"] {
        backend.ok("/user/group/query", &format!("userId=u&{odd}")).await;
    }
    backend.refused("/user/group/query", "userId=u&page=x", "page").await;
}

#[tokio::test]
async fn a_sync_makes_the_memberships_exactly_the_named_ones() {
    let backend = Backend::new();
    for group in ["stays", "renamed", "left"] {
        backend.fakes.has_group(group, &["u"]);
    }
    backend.ok("/group/sync", "userId=u&group[stays]=name of stays&group%5Brenamed%5D=New&group[joined]=J").await;
    let wanted = HashMap::from([
        ("renamed".to_owned(), vec![RosterChange::Rename { name: "New".into() }]),
        ("joined".to_owned(), vec![RosterChange::Join { name: "J".into(), users: users(&["u"]) }]),
        ("left".to_owned(), vec![RosterChange::Quit { users: users(&["u"]) }]),
    ]);
    assert_eq!(changes(&backend), wanted);
    let backend = Backend::new();
    backend.refused("/group/sync", "group[g]=n", "userId").await;
    backend.refused("/group/sync", "userId=u", "group").await;
    backend.refused("/group/sync", &format!("userId=u&group[{}]=n", "x".repeat(65)), "group").await;
    let json = br#"{"userId":"u","group":{"g":"G"}}"#;
    assert_eq!(backend.send("/group/sync", &signed(), "application/json", json).await.codes(), (200, 200));
    let joined = RosterChange::Join { name: "G".into(), users: users(&["u"]) };
    assert_eq!(changes(&backend), HashMap::from([(TargetId::new("g").unwrap().to_string(), vec![joined])]));
}
