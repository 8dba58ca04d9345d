//! What all [`Rebuilds`] must do, as cases that an adapter runs with [`rebuild_suite!`](crate::rebuild_suite).

use std::sync::Arc;

use anser_types::record::{RosterChange, RosterRecord, UserChange, UserRecord};
use anser_types::{Offset, Subject, Timestamp};

use super::sample::{P0, P1, app, mark, record, target, uid, user, user_id, with};
use crate::{
    BoxFuture, Directory, DirectoryChange, GroupView, Head, History, HistoryCell, HistoryQuery, HistoryRow,
    HistoryWrite, Order, RebuildState, Rebuilds, ViewsAnew,
};

/// History, directory, and what makes both anew.
#[derive(Debug, Clone)]
pub struct Anew {
    /// Of messages.
    pub history: Arc<dyn History>,
    /// Of groups and users.
    pub directory: Arc<dyn Directory>,
    /// Of both.
    pub rebuilds: Arc<dyn Rebuilds>,
}

/// How the suite gets at tables of one kind. One fixture serves one case.
pub trait RebuildFixture: Sync {
    /// Empty tables.
    fn create(&self) -> BoxFuture<'_, Anew>;
}

/// Runs every case of the suite as a test of its own, each with a new fixture. The caller's crate needs `tokio` with macros.
#[macro_export]
macro_rules! rebuild_suite {
    ($fixture:expr) => {
        $crate::rebuild_suite!(@cases $fixture;
            a_rebuild_is_asked_for_begun_and_done,
            whoever_began_before_does_not_end_it,
            rows_are_written_whatever_heads_say,
            a_group_with_a_hole_is_whole_again,
            what_was_right_is_as_it_was,
            blocks_and_users_are_changed_again,
        );
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::rebuild::$case(&$fixture).await;
            }
        )*
    };
}

const NOW: Timestamp = Timestamp(1_000);

fn chat() -> Subject {
    Subject::private(app(), user_id("alice"), user_id("bob"))
}

fn message(offset: u64, number: u64) -> HistoryWrite {
    let sent = 100 + offset;
    let row = HistoryRow { subject: chat(), sent: Timestamp(sent), uid: uid(sent), number, record: record(sent) };
    HistoryWrite::Row { offset: Offset(offset), row }
}

fn of_group(name: &str, time: u64, change: RosterChange) -> DirectoryChange {
    DirectoryChange::Roster(RosterRecord {
        subject: Subject::group(app(), target(name)),
        time: Timestamp(time),
        change,
    })
}

fn join(name: &str, users: &[&str]) -> RosterChange {
    RosterChange::Join { name: name.to_owned(), users: users.iter().map(|user| user_id(user)).collect() }
}

fn quit(name: &str) -> RosterChange {
    RosterChange::Quit { users: vec![user_id(name)] }
}

async fn numbers(history: &dyn History) -> Vec<(u64, u64)> {
    let query = HistoryQuery { subject: chat(), time: Some(Timestamp::ZERO), order: Order::After, count: 100 };
    let rows = history.page(query).await.expect("a page").rows;
    rows.into_iter().map(|stored| (stored.row.sent.0, stored.row.number)).collect()
}

async fn group(anew: &Anew, name: &str) -> Option<GroupView> {
    anew.directory.group(&app(), &target(name)).await.expect("an answer")
}

/// What there is to do is asked for by name, and is done once.
pub async fn a_rebuild_is_asked_for_begun_and_done(fixture: &impl RebuildFixture) {
    let Anew { rebuilds, .. } = fixture.create().await;
    assert_eq!(rebuilds.asked().await.expect("an answer"), None);
    assert_eq!(rebuilds.begin(P0, Some(7)).await.expect("an answer"), None);
    let first = rebuilds.ask(Timestamp(500), NOW).await.expect("asked");
    assert_eq!((first.at, first.since), (NOW, Timestamp(500)));
    // A clock that is behind, and nothing to begin from.
    let second = rebuilds.ask(Timestamp::ZERO, Timestamp(3)).await.expect("asked");
    assert!(second.at > first.at && second.since == Timestamp::ZERO, "{second:?}");
    assert_eq!(rebuilds.asked().await.expect("an answer"), Some(second));
    assert_eq!(rebuilds.begin(P0, None).await.expect("an answer"), Some(second));
    assert_eq!(rebuilds.states(second, vec![P0, P1]).await.expect("states"), []);
    assert_eq!(rebuilds.begin(P0, Some(7)).await.expect("an answer"), Some(second));
    rebuilds.note(P0, Offset(9), 2).await.expect("a note");
    let begun = RebuildState { place: Offset(9), hidden: 2, is_done: false };
    assert_eq!(rebuilds.states(second, vec![P0, P1]).await.expect("states"), [(P0, begun)]);
    assert!(!rebuilds.end(P0, 7, first).await.expect("an answer"), "another was asked for since");
    assert!(rebuilds.end(P0, 7, second).await.expect("an answer"));
    let done = RebuildState { place: Offset(9), hidden: 2, is_done: true };
    assert_eq!(rebuilds.states(second, vec![P0, P1]).await.expect("states"), [(P0, done)]);
    assert_eq!(rebuilds.begin(P0, Some(8)).await.expect("an answer"), None);
    assert_eq!(rebuilds.begin(P1, Some(8)).await.expect("an answer"), Some(second));
    let third = rebuilds.ask(Timestamp::ZERO, NOW).await.expect("asked");
    assert_eq!(rebuilds.begin(P0, None).await.expect("an answer"), Some(third));
    assert_eq!(rebuilds.states(third, vec![P0, P1]).await.expect("states"), []);
}

/// Nothing-lost: whoever archives since then may have written over what is still missing.
pub async fn whoever_began_before_does_not_end_it(fixture: &impl RebuildFixture) {
    let Anew { rebuilds, .. } = fixture.create().await;
    let asked = rebuilds.ask(Timestamp::ZERO, NOW).await.expect("asked");
    rebuilds.begin(P0, Some(7)).await.expect("begun");
    rebuilds.begin(P0, Some(8)).await.expect("begun");
    assert_eq!(rebuilds.begin(P0, Some(7)).await.expect("an answer"), None, "by an older claim");
    assert!(!rebuilds.end(P0, 7, asked).await.expect("an answer"));
    assert_eq!(rebuilds.begin(P0, None).await.expect("an answer"), Some(asked));
    assert!(rebuilds.end(P0, 8, asked).await.expect("an answer"));
    assert!(rebuilds.end(P0, 8, asked).await.is_ok(), "an answer may have been lost");
    assert_eq!(rebuilds.begin(P0, None).await.expect("an answer"), None);
}

/// Rows that a head counts come back, and the head is what it is told to be, above what was written with holes.
pub async fn rows_are_written_whatever_heads_say(fixture: &impl RebuildFixture) {
    let Anew { history, rebuilds, .. } = fixture.create().await;
    // Written over a loss: it was the fourth.
    history.write(P0, mark(9), vec![message(8, 1)]).await.expect("written");
    let recall = HistoryWrite::Cell {
        subject: chat(),
        sent: Timestamp(108),
        uid: uid(108),
        cell: HistoryCell::Recalled { by: uid(200) },
    };
    history.write(P0, mark(9), vec![recall.clone()]).await.expect("written");
    let rows = [5, 6, 7, 8].into_iter().zip(1..).map(|(offset, number)| message(offset, number)).collect();
    rebuilds.write_rows(rows).await.expect("written");
    assert_eq!(numbers(&*history).await, [(105, 1), (106, 2), (107, 3), (108, 4)]);
    let head = Head { number: 4, next: Offset(9) };
    let views = ViewsAnew { from: Offset(5), to: Offset(10), heads: vec![(chat(), head)], changes: Vec::new() };
    rebuilds.write_views(views).await.expect("written");
    assert_eq!(history.head(&chat()).await.expect("a head"), head);
    rebuilds.write_rows(vec![recall]).await.expect("written");
    let stored = history.find(&chat(), Timestamp(108), uid(108)).await.expect("an answer").expect("a row");
    assert_eq!(stored.cells, [HistoryCell::Recalled { by: uid(200) }]);
    history.write(P0, mark(12), vec![message(11, 5)]).await.expect("written");
    assert_eq!(numbers(&*history).await.len(), 5);
}

/// A change that was made to a group that was lost is there together with all of before.
pub async fn a_group_with_a_hole_is_whole_again(fixture: &impl RebuildFixture) {
    let anew = fixture.create().await;
    let late = of_group("g", 70, join("", &["dora"]));
    anew.directory.apply(P0, mark(31), vec![(Offset(30), late.clone())]).await.expect("applied");
    let changes = vec![
        (Offset(10), of_group("g", 50, join("G", &["alice", "bob", "carol"]))),
        (Offset(20), of_group("g", 60, quit("bob"))),
        (Offset(30), late),
    ];
    let views = ViewsAnew { from: Offset(3), to: Offset(40), heads: Vec::new(), changes };
    anew.rebuilds.write_views(views).await.expect("written");
    let group = group(&anew, "g").await.expect("a group");
    let present: Vec<&str> = group.present().map(|member| member.user.as_str()).collect();
    assert_eq!((present, group.name.as_str(), group.created), (vec!["alice", "carol", "dora"], "G", Timestamp(50)));
    assert!(group.members_at(Offset(15)).any(|member| member.user == user_id("bob")));
    assert_eq!(group.next, Offset(31));
    for (name, is_in) in [("alice", true), ("bob", false), ("dora", true)] {
        let groups = anew.directory.groups_of(&user(name), None, 10).await.expect("groups");
        assert_eq!(groups.len(), usize::from(is_in), "{name}");
    }
    let more = of_group("g", 80, quit("dora"));
    anew.directory.apply(P0, mark(42), vec![(Offset(41), more)]).await.expect("applied");
    assert!(anew.directory.member(&app(), &target("g"), &user_id("dora")).await.expect("an answer").is_none());
}

/// What the log says once more changes nothing, and what it does not speak of stays.
pub async fn what_was_right_is_as_it_was(fixture: &impl RebuildFixture) {
    let anew = fixture.create().await;
    let changes = vec![
        (Offset(1), of_group("g", 40, join("G", &["alice", "bob"]))),
        (Offset(2), of_group("gone", 41, join("H", &["alice", "bob"]))),
        (Offset(10), of_group("g", 50, join("", &["carol"]))),
        (Offset(11), of_group("gone", 51, RosterChange::Dismiss)),
        (Offset(12), of_group("g", 52, quit("alice"))),
        (Offset(13), of_group("g", 53, join("", &["alice"]))),
    ];
    anew.directory.apply(P0, mark(14), changes.clone()).await.expect("applied");
    let before = [group(&anew, "g").await, group(&anew, "gone").await];
    let newer = changes.into_iter().filter(|(offset, _)| *offset >= Offset(10)).collect();
    let views = ViewsAnew { from: Offset(10), to: Offset(20), heads: Vec::new(), changes: newer };
    anew.rebuilds.write_views(views).await.expect("written");
    assert_eq!([group(&anew, "g").await, group(&anew, "gone").await], before);
    let groups = anew.directory.groups_of(&user("bob"), None, 10).await.expect("groups");
    assert_eq!(groups.len(), 1);
}

/// Blocks, profiles, sign-in and settings.
pub async fn blocks_and_users_are_changed_again(fixture: &impl RebuildFixture) {
    let anew = fixture.create().await;
    let block = |by: &str| {
        let change = RosterChange::Block { by: user_id(by) };
        DirectoryChange::Roster(RosterRecord { subject: chat(), time: Timestamp(50), change })
    };
    let of_bob = |time, change| DirectoryChange::User(UserRecord { user: user("bob"), time: Timestamp(time), change });
    let profile = |name: &str| UserChange::Profile { name: Some(name.to_owned()), portrait: None };
    let setting =
        |value: &'static str| UserChange::Setting { conversation: with("alice"), item: 1, value: value.into() };
    // Only what came last is there.
    let newest = vec![
        (Offset(20), block("bob")),
        (Offset(21), of_bob(61, profile("Bob"))),
        (Offset(22), of_bob(62, setting("new"))),
    ];
    anew.directory.apply(P0, mark(23), newest.clone()).await.expect("applied");
    let mut changes = vec![
        (Offset(10), block("alice")),
        (Offset(11), of_bob(51, profile("B"))),
        (Offset(12), of_bob(52, UserChange::Blocked { until: Timestamp(9_000) })),
        (Offset(13), of_bob(53, UserChange::TokensVoid { before: Timestamp(53) })),
        (Offset(14), of_bob(54, setting("old"))),
    ];
    changes.extend(newest);
    let views = ViewsAnew { from: Offset(5), to: Offset(30), heads: Vec::new(), changes };
    anew.rebuilds.write_views(views).await.expect("written");
    let blocks = anew.directory.blocks(&chat()).await.expect("blocks");
    assert!(blocks.low_blocks && blocks.high_blocks, "{blocks:?}");
    assert_eq!(anew.directory.blacklist(&user("alice")).await.expect("a list"), [user_id("bob")]);
    let bob = anew.directory.user(&user("bob")).await.expect("an answer").expect("a user");
    assert_eq!((bob.name.as_str(), bob.created), ("Bob", Timestamp(51)));
    assert_eq!((bob.blocked_until, bob.tokens_from), (Timestamp(9_000), Timestamp(53)));
    assert_eq!(anew.directory.blocked_users(&app(), Timestamp(60)).await.expect("users").len(), 1);
    let settings = anew.directory.settings(&user("bob"), Timestamp::ZERO).await.expect("settings").settings;
    assert_eq!(settings.iter().map(|setting| &*setting.value).collect::<Vec<_>>(), [b"new"]);
}
