//! Rosters and blocks, record by record and replayed.

use anser_types::{AppKey, TargetId};
use proptest::prelude::*;

use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

fn record(time: u64, change: RosterChange) -> RosterRecord {
    let app = AppKey::new("app").unwrap();
    RosterRecord { subject: Subject::group(app, TargetId::new("g").unwrap()), time: Timestamp(time), change }
}

fn join(names: &[&str]) -> RosterChange {
    RosterChange::Join { name: String::new(), users: users(names) }
}

fn quit(names: &[&str]) -> RosterChange {
    RosterChange::Quit { users: users(names) }
}

/// Folds changes at offsets 0, 1, 2 … with times 100, 101, 102 …
fn folded(changes: &[RosterChange]) -> GroupView {
    let mut view = GroupView::default();
    for (place, change) in (0..).zip(changes) {
        assert!(view.apply(Offset(place), &record(100 + place, change.clone())));
    }
    view
}

fn present(view: &GroupView) -> Vec<&str> {
    view.present().map(|m| m.user.as_str()).collect()
}

#[test]
fn members_are_those_who_joined_and_did_not_leave() {
    let mute = RosterChange::Mute { users: users(&["b", "x"]), until: Timestamp(900) };
    let cases: &[(&[RosterChange], &[&str], bool)] = &[
        (&[], &[], false),
        (&[join(&["b", "a", "b"])], &["a", "b"], true),
        (&[join(&["a"]), join(&["a", "c"])], &["a", "c"], true),
        (&[join(&["a", "b"]), quit(&["b", "x"])], &["a"], true),
        (&[join(&["a"]), quit(&["a"])], &[], true),
        (&[join(&["a", "b"]), RosterChange::Dismiss], &[], false),
        (&[join(&["a", "b"]), RosterChange::Dismiss, join(&["c"])], &["c"], true),
        (&[quit(&["a"])], &[], false),
        (&[mute], &[], false),
    ];
    for (changes, members, exists) in cases {
        let view = folded(changes);
        assert_eq!((present(&view), view.exists), (members.to_vec(), *exists), "{changes:?}");
        assert_eq!(view.next, Offset(changes.len() as u64));
    }
}

#[test]
fn joining_again_changes_nothing_for_a_member() {
    let view = folded(&[join(&["a"]), join(&["a"])]);
    let member = view.member(&user("a")).unwrap();
    assert_eq!((member.joined, member.joined_at), (Timestamp(100), Offset(0)));
}

#[test]
fn names_come_from_joins_and_renames_of_a_group_that_exists() {
    let named = |name: &str| RosterChange::Join { name: name.into(), users: users(&["a"]) };
    let rename = RosterChange::Rename { name: "R".into() };
    assert_eq!(folded(&[named("N"), join(&["b"])]).name, "N");
    assert_eq!(folded(&[named("N"), rename.clone()]).name, "R");
    assert_eq!(folded(&[rename]).name, "");
    let anew = folded(&[named("N"), RosterChange::Dismiss, join(&["b"])]);
    assert_eq!((anew.name.as_str(), anew.created), ("", Timestamp(102)));
}

#[test]
fn a_mute_ends_with_its_time_the_unmute_or_the_membership() {
    let mute = RosterChange::Mute { users: users(&["a"]), until: Timestamp(900) };
    let muted = |changes: &[RosterChange]| folded(changes).member(&user("a")).unwrap().muted_until;
    assert_eq!(muted(&[join(&["a"]), mute.clone()]), Timestamp(900));
    assert_eq!(muted(&[join(&["a"]), mute.clone(), RosterChange::Unmute { users: users(&["a"]) }]), Timestamp::ZERO);
    assert_eq!(muted(&[join(&["a"]), mute, quit(&["a"]), join(&["a"])]), Timestamp::ZERO);
}

#[test]
fn a_replayed_message_finds_the_members_of_its_own_time() {
    let view = folded(&[join(&["a", "b"]), quit(&["b"]), join(&["c"]), join(&["b"]), RosterChange::Dismiss]);
    let at = |offset| view.members_at(Offset(offset)).map(|m| m.user.as_str()).collect::<Vec<_>>();
    assert_eq!(at(0), ["a", "b"]);
    assert_eq!(at(1), ["a"]);
    assert_eq!(at(2), ["a", "c"]);
    assert_eq!(at(3), ["a", "b", "c"]);
    assert_eq!(at(4), [""; 0]);
}

#[test]
fn the_past_is_forgotten_after_a_day_and_bounded_before() {
    let mut view = folded(&[join(&["a", "b"]), quit(&["b"])]);
    view.apply(Offset(5), &record(100 + PAST_KEPT_MS, join(&["c"])));
    assert_eq!(view.members.len(), 3);
    view.apply(Offset(6), &record(101 + PAST_KEPT_MS, join(&["d"])));
    assert_eq!(view.members_at(Offset(0)).count(), 1, "b is forgotten");
    let often: Vec<_> = (0..400).map(|n| if n % 2 == 0 { join(&["a"]) } else { quit(&["a"]) }).collect();
    let view = folded(&often);
    assert_eq!(view.members.len(), PAST_PER_USER_MAX);
    assert!(view.members.iter().all(|m| m.joined_at >= Offset(272)), "the newest are kept");
}

#[test]
fn blocks_belong_to_the_side_that_set_them() {
    let subject = Subject::private(AppKey::new("app").unwrap(), user("bob"), user("alice"));
    let record = |change| RosterRecord { subject: subject.clone(), time: Timestamp(1), change };
    let mut blocks = PrivateBlocks::default();
    assert!(blocks.apply(Offset(4), &record(RosterChange::Block { by: user("alice") })));
    assert!((blocks.low_blocks, blocks.high_blocks) == (true, false));
    assert!(blocks.apply(Offset(5), &record(RosterChange::Block { by: user("bob") })));
    assert!(blocks.apply(Offset(6), &record(RosterChange::Unblock { by: user("alice") })));
    assert!(!blocks.apply(Offset(4), &record(RosterChange::Block { by: user("alice") })), "a repeat is no news");
    assert_eq!(blocks, PrivateBlocks { low_blocks: false, high_blocks: true, next: Offset(7) });
}

fn change() -> impl Strategy<Value = RosterChange> {
    let some = || prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(user), 0..4);
    prop_oneof![
        4 => some().prop_map(|users| RosterChange::Join { name: "n".into(), users }),
        4 => some().prop_map(|users| RosterChange::Quit { users }),
        1 => Just(RosterChange::Dismiss),
        1 => (some(), 0..9u64).prop_map(|(users, until)| RosterChange::Mute { users, until: Timestamp(until) }),
        1 => some().prop_map(|users| RosterChange::Unmute { users }),
    ]
}

proptest! {
    /// Replaying any part of the past changes nothing, and no user is a member twice at once.
    #[test]
    fn a_repeat_changes_nothing(changes in prop::collection::vec(change(), 0..30), from in 0..30usize) {
        let view = folded(&changes);
        let mut again = view.clone();
        for (place, change) in (0u64..).zip(&changes).skip(from) {
            prop_assert!(!again.apply(Offset(place), &record(100 + place, change.clone())));
        }
        prop_assert_eq!(&again, &view);
        for offset in 0..=changes.len() as u64 {
            let members: Vec<_> = view.members_at(Offset(offset)).map(|m| &m.user).collect();
            prop_assert!(members.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", members);
        }
    }

    /// A view that holds only the members that a record names folds like the whole one, dismissals aside.
    #[test]
    fn a_part_folds_like_the_whole(changes in prop::collection::vec(change(), 0..20), last in change()) {
        prop_assume!(last != RosterChange::Dismiss);
        let whole = folded(&changes);
        let named: Vec<UserId> = match &last {
            RosterChange::Join { users, .. } | RosterChange::Quit { users } | RosterChange::Mute { users, .. } | RosterChange::Unmute { users } => users.clone(),
            _ => Vec::new(),
        };
        let mut part = whole.clone();
        part.members.retain(|m| named.contains(&m.user));
        let mut expected = whole;
        let offset = Offset(changes.len() as u64);
        expected.apply(offset, &record(500, last.clone()));
        part.apply(offset, &record(500, last));
        expected.members.retain(|m| named.contains(&m.user));
        prop_assert_eq!(part, expected);
    }
}
