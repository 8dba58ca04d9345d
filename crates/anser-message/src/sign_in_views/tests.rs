//! What is known of who may sign in, step by step.

use anser_types::{AppKey, UserId};

use super::*;

const ONE: PartitionId = PartitionId(0);
const OPEN: SignInView = SignInView { blocked_until: Timestamp(0), tokens_from: Timestamp(0) };

fn user(name: &str) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(name).unwrap())
}

fn change(name: &str, change: UserChange) -> UserRecord {
    UserRecord { user: user(name), time: Timestamp(1), change }
}

/// A log of one partition, of which nothing is known.
fn unserved() -> (Progress, SignInViews) {
    let one = PartitionCount::new(1).unwrap();
    let progress = Progress::new(one);
    let views = SignInViews::keeping(2, &progress, one);
    (progress, views)
}

/// The partition is served, with ten records that are all archived.
fn served() -> (Progress, SignInViews) {
    let (progress, views) = unserved();
    progress.note_served(ONE, Offset(10));
    progress.note_archived(ONE, Offset(10));
    (progress, views)
}

impl SignInViews {
    fn read(&self, name: &str, view: SignInView) {
        let stand = self.begin(&user(name)).unwrap();
        assert!(self.note(stand, user(name), view));
    }

    fn accept(&self, offset: u64, record: &UserRecord) {
        self.progress.note_accepted(ONE, Offset(offset + 1));
        self.changed(ONE, Offset(offset), record);
    }
}

#[test]
fn one_way_in_holds_as_changes_reach_what_is_known_at_once() {
    let (_, views) = served();
    assert_eq!(views.known(&user("u")), None);
    views.read("u", OPEN);
    assert_eq!(views.known(&user("u")), Some(OPEN));
    views.accept(10, &change("u", UserChange::Blocked { until: Timestamp(70) }));
    assert_eq!(views.known(&user("u")).unwrap().blocked_until, Timestamp(70));
    views.accept(11, &change("u", UserChange::Unblocked));
    views.accept(12, &change("u", UserChange::TokensVoid { before: Timestamp(50) }));
    views.accept(13, &change("u", UserChange::TokensVoid { before: Timestamp(40) }));
    views.accept(14, &change("v", UserChange::Blocked { until: Timestamp(70) }));
    assert_eq!(views.known(&user("u")), Some(SignInView { tokens_from: Timestamp(50), ..OPEN }));
}

#[test]
fn one_way_in_holds_while_old_changes_are_read_again() {
    let (progress, views) = served();
    views.read("u", OPEN);
    views.accept(10, &change("u", UserChange::Unblocked));
    views.accept(20, &change("u", UserChange::Blocked { until: Timestamp(70) }));
    progress.note_archived(ONE, Offset(20));
    views.accept(10, &change("u", UserChange::Unblocked));
    assert_eq!(views.known(&user("u")).unwrap().blocked_until, Timestamp(70));
    assert_eq!(views.begin(&user("u")), None, "the directory has still to have the newer one");
    views.accept(20, &change("u", UserChange::Blocked { until: Timestamp(70) }));
    assert_eq!(views.known(&user("u")).unwrap().blocked_until, Timestamp(70));
}

#[test]
fn what_was_read_before_a_change_does_not_hide_it() {
    let (_, views) = served();
    let stand = views.begin(&user("u")).unwrap();
    views.accept(10, &change("u", UserChange::Blocked { until: Timestamp(70) }));
    assert!(!views.note(stand, user("u"), OPEN));
    assert_eq!(views.known(&user("u")), None);
}

#[test]
fn what_is_read_counts_only_when_the_directory_has_all_changes() {
    let (progress, views) = served();
    views.accept(10, &change("u", UserChange::Blocked { until: Timestamp(70) }));
    assert_eq!(views.begin(&user("u")), None);
    // What changes nobody's right to be here is not waited for.
    views.accept(11, &change("u", UserChange::Profile { name: Some("U".to_owned()), portrait: None }));
    progress.note_archived(ONE, Offset(11));
    assert!(views.begin(&user("u")).is_some());
}

#[test]
fn of_what_came_before_a_partition_was_served_the_directory_has_to_have_all() {
    let (progress, views) = unserved();
    progress.note_archived(ONE, Offset(9));
    assert_eq!(views.begin(&user("u")), None, "it is not served");
    progress.note_served(ONE, Offset(10));
    assert_eq!(views.begin(&user("u")), None, "another node may have changed something at offset 9");
    progress.note_archived(ONE, Offset(10));
    assert!(views.begin(&user("u")).is_some());
}

#[test]
fn nothing_is_known_of_a_partition_that_was_elsewhere_meanwhile() {
    let (progress, views) = served();
    views.read("u", OPEN);
    let stand = views.begin(&user("v")).unwrap();
    progress.note_not_served(ONE);
    assert_eq!(views.known(&user("u")), None);
    progress.note_served(ONE, Offset(10));
    assert_eq!(views.known(&user("u")), None);
    views.note(stand, user("v"), OPEN);
    assert_eq!(views.known(&user("v")), None, "it was asked before");
    views.read("u", OPEN);
    assert_eq!(views.known(&user("u")), Some(OPEN));
}

#[test]
fn those_who_were_read_longest_ago_make_room() {
    let (_, views) = served();
    for name in ["a", "b", "c", "a", "d"] {
        views.read(name, OPEN);
    }
    let known = |name| views.known(&user(name)).is_some();
    assert_eq!([known("a"), known("b"), known("c"), known("d")], [true, false, true, true]);
}
