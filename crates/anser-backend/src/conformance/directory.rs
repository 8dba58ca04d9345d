//! What every [`Directory`] must do, as cases that an adapter runs with [`directory_suite!`](crate::directory_suite).

mod users;

use std::sync::Arc;

use anser_types::record::{RosterChange, RosterRecord, UserChange, UserRecord};
use anser_types::{Mark, Offset, Subject, Timestamp};

use super::sample::{P0, P1, app, mark, target, user, user_id};
use crate::{BoxFuture, Directory, DirectoryChange, GroupView, PrivateBlocks};

pub use users::*;

/// How the suite gets at a directory of one kind. One fixture serves one case.
pub trait DirectoryFixture: Sync {
    /// An empty directory.
    fn create(&self) -> BoxFuture<'_, Arc<dyn Directory>>;

    /// Makes everything that was written durable, drops what is held in memory, and gives the directory back.
    fn settle(&self, directory: Arc<dyn Directory>) -> BoxFuture<'_, Arc<dyn Directory>>;
}

/// Runs every case of the suite as a test of its own, each with a new fixture. The caller's crate needs `tokio` with macros.
#[macro_export]
macro_rules! directory_suite {
    ($fixture:expr) => {
        $crate::directory_suite!(@cases $fixture;
            a_group_is_the_fold_of_its_records,
            a_dismissed_group_is_empty_and_can_be_made_anew,
            repeated_changes_change_nothing,
            users_know_their_groups_page_by_page,
            blocks_are_seen_from_the_chat_and_from_the_user,
            users_are_the_fold_of_their_records,
            blocked_users_are_listed_until_their_time,
            settings_come_by_version,
            views_go_on_where_applying_ended,
        );
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::directory::$case(&$fixture).await;
            }
        )*
    };
}

fn roster(subject: Subject, time: u64, change: RosterChange) -> DirectoryChange {
    DirectoryChange::Roster(RosterRecord { subject, time: Timestamp(time), change })
}

fn of_group(name: &str, time: u64, change: RosterChange) -> DirectoryChange {
    roster(Subject::group(app(), target(name)), time, change)
}

fn of_user(name: &str, time: u64, change: UserChange) -> DirectoryChange {
    DirectoryChange::User(UserRecord { user: user(name), time: Timestamp(time), change })
}

fn join(name: &str, users: &[&str]) -> RosterChange {
    RosterChange::Join { name: name.into(), users: users.iter().map(|user| user_id(user)).collect() }
}

fn quit(users: &[&str]) -> RosterChange {
    RosterChange::Quit { users: users.iter().map(|user| user_id(user)).collect() }
}

/// Applies changes at offsets `first`, `first + 1` …
async fn apply(directory: &dyn Directory, first: u64, changes: Vec<DirectoryChange>) {
    let changes: Vec<_> = (first..).map(Offset).zip(changes).collect();
    let next = changes.last().map_or(Offset(first), |(offset, _)| offset.next());
    directory.apply(P0, mark(next.0), changes).await.expect("applied");
}

async fn group(directory: &dyn Directory, name: &str) -> Option<GroupView> {
    directory.group(&app(), &target(name)).await.expect("an answer")
}

async fn groups_of(directory: &dyn Directory, name: &str, after: Option<&str>, count: usize) -> Vec<(String, String)> {
    let after = after.map(target);
    let groups = directory.groups_of(&user(name), after.as_ref(), count).await.expect("an answer");
    groups.into_iter().map(|(group, name)| (group.to_string(), name)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(group, name)| ((*group).into(), (*name).into())).collect()
}

/// What a directory shows is what the fold of the records gives, past members included.
pub async fn a_group_is_the_fold_of_its_records(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let mute = RosterChange::Mute { users: vec![user_id("bob")], until: Timestamp(900) };
    let changes = [
        join("One", &["bob", "alice", "carol"]),
        quit(&["carol", "nobody"]),
        mute,
        join("", &["bob", "dave"]),
        RosterChange::Rename { name: "Two".into() },
        join("", &["carol"]),
        RosterChange::Unmute { users: vec![user_id("bob")] },
    ];
    assert!(group(&*directory, "g").await.is_none());
    let mut expected = GroupView::default();
    for (n, change) in (0..).zip(changes) {
        let record = RosterRecord { subject: Subject::group(app(), target("g")), time: Timestamp(100 + n), change };
        expected.apply(Offset(n), &record);
        apply(&*directory, n, vec![DirectoryChange::Roster(record)]).await;
        assert_eq!(group(&*directory, "g").await.as_ref(), Some(&expected));
        directory = fixture.settle(directory).await;
        assert_eq!(group(&*directory, "g").await.as_ref(), Some(&expected));
    }
    for (name, there) in [("alice", true), ("carol", true), ("nobody", false)] {
        let member = directory.member(&app(), &target("g"), &user_id(name)).await.expect("an answer");
        assert_eq!(member.as_ref(), expected.member(&user_id(name)));
        assert_eq!(member.is_some(), there);
    }
}

/// A join after it begins a new group with new members.
pub async fn a_dismissed_group_is_empty_and_can_be_made_anew(fixture: &impl DirectoryFixture) {
    let directory = fixture.create().await;
    apply(&*directory, 0, vec![of_group("g", 100, join("One", &["a", "b", "c"]))]).await;
    let directory = fixture.settle(directory).await;
    apply(&*directory, 1, vec![of_group("g", 101, RosterChange::Dismiss)]).await;
    let directory = fixture.settle(directory).await;
    let view = group(&*directory, "g").await.expect("it is known");
    assert!(!view.exists && view.present().count() == 0 && view.members_at(Offset(0)).count() == 3);
    assert!(directory.member(&app(), &target("g"), &user_id("a")).await.expect("an answer").is_none());
    assert!(groups_of(&*directory, "a", None, 9).await.is_empty());
    apply(&*directory, 2, vec![of_group("g", 102, join("", &["b"]))]).await;
    let view = group(&*directory, "g").await.expect("it is known");
    assert!(view.exists && view.name.is_empty() && view.created == Timestamp(102));
    assert_eq!(view.present().map(|m| m.user.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(groups_of(&*directory, "b", None, 9).await, pairs(&[("g", "")]));
}

/// Nothing-twice: each view skips what it contains.
pub async fn repeated_changes_change_nothing(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let chat = Subject::private(app(), user_id("alice"), user_id("bob"));
    let changes = || {
        vec![
            of_group("g", 100, join("One", &["a", "b"])),
            of_group("g", 101, quit(&["a"])),
            roster(chat.clone(), 102, RosterChange::Block { by: user_id("bob") }),
            roster(chat.clone(), 103, RosterChange::Unblock { by: user_id("bob") }),
            of_user("bob", 104, UserChange::Blocked { until: Timestamp(500) }),
            of_user("bob", 105, UserChange::Unblocked),
        ]
    };
    apply(&*directory, 0, changes()).await;
    let before = group(&*directory, "g").await;
    for _ in 0..2 {
        directory = fixture.settle(directory).await;
        apply(&*directory, 0, changes()).await;
        apply(&*directory, 2, changes().into_iter().skip(2).take(1).collect()).await;
        assert_eq!(group(&*directory, "g").await, before);
        assert!(groups_of(&*directory, "a", None, 9).await.is_empty());
        assert!(directory.blacklist(&user("bob")).await.expect("an answer").is_empty());
        let expected = PrivateBlocks { next: Offset(4), ..PrivateBlocks::default() };
        assert_eq!(directory.blocks(&chat).await.expect("an answer"), expected);
        assert!(directory.blocked_users(&app(), Timestamp(0)).await.expect("an answer").is_empty());
    }
}

/// In the order of the group ids, with their present names.
pub async fn users_know_their_groups_page_by_page(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let names = ["b", "d", "a", "c", "e"];
    apply(&*directory, 0, names.iter().map(|g| of_group(g, 100, join(&g.to_uppercase(), &["bob", "eve"]))).collect())
        .await;
    apply(&*directory, 5, vec![of_group("c", 101, quit(&["bob"]))]).await;
    apply(&*directory, 6, vec![of_group("d", 102, RosterChange::Rename { name: "New".into() })]).await;
    for _ in 0..2 {
        assert_eq!(
            groups_of(&*directory, "bob", None, 9).await,
            pairs(&[("a", "A"), ("b", "B"), ("d", "New"), ("e", "E")])
        );
        assert_eq!(groups_of(&*directory, "bob", None, 2).await, pairs(&[("a", "A"), ("b", "B")]));
        assert_eq!(groups_of(&*directory, "bob", Some("b"), 1).await, pairs(&[("d", "New")]));
        assert_eq!(groups_of(&*directory, "bob", Some("c"), 9).await, pairs(&[("d", "New"), ("e", "E")]));
        assert!(groups_of(&*directory, "bob", Some("e"), 9).await.is_empty());
        assert!(groups_of(&*directory, "bo", None, 9).await.is_empty());
        directory = fixture.settle(directory).await;
    }
}

/// Each side's block is its own.
pub async fn blocks_are_seen_from_the_chat_and_from_the_user(fixture: &impl DirectoryFixture) {
    let mut directory = fixture.create().await;
    let chat = |peer: &str| Subject::private(app(), user_id("bob"), user_id(peer));
    let block = |peer: &str, by: &str| roster(chat(peer), 100, RosterChange::Block { by: user_id(by) });
    let changes = vec![block("zoe", "bob"), block("al", "bob"), block("al", "al"), block("mia", "mia")];
    apply(&*directory, 0, changes).await;
    apply(&*directory, 4, vec![roster(chat("zoe"), 101, RosterChange::Unblock { by: user_id("zoe") })]).await;
    for _ in 0..2 {
        let both = directory.blocks(&chat("al")).await.expect("an answer");
        assert_eq!(both, PrivateBlocks { low_blocks: true, high_blocks: true, next: Offset(3) });
        let one = directory.blocks(&chat("zoe")).await.expect("an answer");
        assert_eq!(one, PrivateBlocks { low_blocks: true, high_blocks: false, next: Offset(5) });
        assert_eq!(directory.blocks(&chat("new")).await.expect("an answer"), PrivateBlocks::default());
        for (name, blocked) in [("bob", vec!["al", "zoe"]), ("al", vec!["bob"]), ("mia", vec!["bob"]), ("zoe", vec![])]
        {
            let list = directory.blacklist(&user(name)).await.expect("an answer");
            assert_eq!(list, blocked.into_iter().map(user_id).collect::<Vec<_>>(), "{name}");
        }
        directory = fixture.settle(directory).await;
    }
}

/// A directory never asks for less than it may have forgotten, and in the end for no more.
pub async fn views_go_on_where_applying_ended(fixture: &impl DirectoryFixture) {
    let directory = fixture.create().await;
    assert_eq!(directory.replay_from(P0).await.expect("a mark"), Mark::default());
    directory.apply(P0, mark(9), Vec::new()).await.expect("applied");
    directory.apply(P0, mark(4), Vec::new()).await.expect("applied");
    assert!(directory.replay_from(P0).await.expect("a mark") <= mark(9));
    let directory = fixture.settle(directory).await;
    assert_eq!(directory.replay_from(P0).await.expect("a mark"), mark(9));
    assert_eq!(directory.replay_from(P1).await.expect("a mark"), Mark::default());
}
