//! Users: profiles, sign-in blocks, settings.

use anser_types::record::UserChange;
use anser_types::{Conversation, Offset, Timestamp};
use bytes::Bytes;

use super::{DirectoryFixture, apply, of_user};
use crate::UserView;
use crate::conformance::sample::{app, group as in_group, user, user_id, with};

/// Profile, sign-in block and void tokens; settings make no user known.
pub async fn users_are_the_fold_of_their_records(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let profile = UserChange::Profile { name: Some("Bob".into()), portrait: Some("http://p".into()) };
    let setting = UserChange::Setting { conversation: with("bob"), item: 1, value: Bytes::from_static(b"1") };
    let changes = vec![
        of_user("bob", 100, UserChange::TokensVoid { before: Timestamp(90) }),
        of_user("bob", 101, profile),
        of_user("bob", 102, UserChange::Blocked { until: Timestamp(500) }),
        of_user("eve", 103, setting),
    ];
    apply(&*directory, 0, changes).await;
    let expected = UserView {
        name: "Bob".into(),
        portrait: "http://p".into(),
        created: Timestamp(101),
        blocked_until: Timestamp(500),
        tokens_from: Timestamp(90),
        next: Offset(3),
    };
    for _ in 0..2 {
        assert_eq!(directory.user(&user("bob")).await.expect("an answer").as_ref(), Some(&expected));
        assert!(directory.user(&user("eve")).await.expect("an answer").is_none());
        directory = fixture.settle(directory).await;
    }
}

/// By user id, of that app, and only as long as the block lasts.
pub async fn blocked_users_are_listed_until_their_time(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let block = |name: &str, until| of_user(name, 100, UserChange::Blocked { until: Timestamp(until) });
    apply(
        &*directory,
        0,
        vec![block("c", 300), block("a", 200), block("b", 300), of_user("b", 101, UserChange::Unblocked)],
    )
    .await;
    for _ in 0..2 {
        for (now, expected) in
            [(0, vec![("a", 200), ("c", 300)]), (199, vec![("a", 200), ("c", 300)]), (200, vec![("c", 300)])]
        {
            let blocked = directory.blocked_users(&app(), Timestamp(now)).await.expect("an answer");
            let blocked: Vec<_> = blocked.iter().map(|(user, until)| (user.as_str(), until.0)).collect();
            assert_eq!(blocked, expected, "{now}");
        }
        directory = fixture.settle(directory).await;
    }
    apply(&*directory, 4, vec![block("a", 900)]).await;
    let blocked = directory.blocked_users(&app(), Timestamp(500)).await.expect("an answer");
    assert_eq!(blocked, [(user_id("a"), Timestamp(900))]);
}

/// A client that has a version gets what is newer, oldest first.
pub async fn settings_come_by_version(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let set = |conversation: Conversation, item, value: &'static str, time| {
        of_user("bob", time, UserChange::Setting { conversation, item, value: Bytes::from_static(value.as_bytes()) })
    };
    let changes = vec![
        set(with("a"), 1, "old", 100),
        set(with("a"), 2, "top", 101),
        set(in_group("a"), 1, "quiet", 102),
        set(with("a"), 1, "new", 103),
    ];
    apply(&*directory, 0, changes.clone()).await;
    apply(&*directory, 0, changes).await;
    for _ in 0..2 {
        let all = [("top", 101), ("quiet", 102), ("new", 103)];
        for (version, from) in [(0, 0), (100, 0), (101, 1), (102, 2), (103, 3), (900, 3)] {
            let answer = directory.settings(&user("bob"), Timestamp(version)).await.expect("an answer");
            let got: Vec<_> = answer.settings.iter().map(|s| (s.value.clone(), s.time.0)).collect();
            let expected: Vec<_> = all[from..].iter().map(|(v, t)| (Bytes::from_static(v.as_bytes()), *t)).collect();
            assert_eq!((answer.version, got), (Timestamp(103), expected), "{version}");
        }
        let none = directory.settings(&user("eve"), Timestamp::ZERO).await.expect("an answer");
        assert!(none.version == Timestamp::ZERO && none.settings.is_empty());
        directory = fixture.settle(directory).await;
    }
}
