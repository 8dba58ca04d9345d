//! Muted members of groups.

use anser_types::UserId;
use anser_types::record::RosterChange;
use serde_json::json;

use super::groups::changes;
use super::*;
use fakes::user;

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

#[tokio::test]
async fn members_are_muted_in_the_named_groups_for_a_while_or_for_good() {
    let backend = Backend::new();
    backend.ok("/group/user/gag/add.json", "userId=a&userId=b&groupId=g&groupId=h&minute=10").await;
    backend.ok("/group/user/gag/add", "userId=a&groupId=g&minute=0").await;
    backend.ok("/group/user/gag/rollback", "userId=a&groupId=g").await;
    let changes = changes(&backend);
    let mute = RosterChange::Mute { users: users(&["a", "b"]), until: NOW.plus(600_000) };
    assert_eq!(changes["h"].first(), Some(&mute));
    assert_eq!(changes["g"][0], mute);
    let RosterChange::Mute { until, .. } = changes["g"][1] else { panic!("{changes:?}") };
    assert!(until > NOW.plus(100 * 365 * 86_400_000), "{until:?}");
    assert_eq!(changes["g"][2], RosterChange::Unmute { users: users(&["a"]) });
}

#[tokio::test]
async fn without_a_group_a_mute_is_for_all_groups_of_each_user() {
    let backend = Backend::new();
    backend.fakes.has_group("g", &["a", "b"]);
    backend.fakes.has_group("h", &["b"]);
    backend.fakes.has_group("i", &["c"]);
    backend.ok("/group/user/gag/add", "userId=a&userId=b&groupId=&minute=1").await;
    let mute = |names| vec![RosterChange::Mute { users: users(names), until: NOW.plus(60_000) }];
    assert_eq!(changes(&backend), [("g".to_owned(), mute(&["a", "b"])), ("h".to_owned(), mute(&["b"]))].into());
    backend.ok("/group/user/gag/rollback", "userId=b").await;
    assert_eq!(changes(&backend)["h"][1], RosterChange::Unmute { users: users(&["b"]) });
}

#[tokio::test]
async fn told_why_a_mute_has_limits() {
    let backend = Backend::new();
    for minute in ["", "43201", "x", "-1", "99999999999999999999"] {
        backend.refused("/group/user/gag/add", &format!("userId=u&groupId=g&minute={minute}"), "minute").await;
    }
    let many = |name: &str| -> String { (0..21).map(|i| format!("{name}=x{i}&")).collect() };
    for path in ["/group/user/gag/add", "/group/user/gag/rollback"] {
        backend.refused(path, "groupId=g&minute=1", "userId").await;
        backend.refused(path, &format!("{}groupId=g&minute=1", many("userId")), "userId").await;
        backend.refused(path, &format!("{}userId=u&minute=1", many("groupId")), "groupId").await;
    }
    backend.refused("/group/user/gag/list", "", "groupId").await;
}

#[tokio::test]
async fn the_muted_are_listed_until_their_time_has_come() {
    let backend = Backend::new();
    backend.fakes.has_group("g", &["a", "b"]);
    backend.fakes.mutes(&[("a", Timestamp(NOW.0 + 1)), ("b", NOW)]);
    let answer = backend.ok("/group/user/gag/list.json", "groupId=g").await;
    assert_eq!(answer["users"], json!([{ "userId": "a", "time": "2026-11-22 01:44:41" }]));
    assert_eq!(backend.ok("/group/user/gag/list", "groupId=none").await["users"], json!([]));
}
