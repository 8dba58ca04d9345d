//! A mailbox that is made anew from the log while it is used.

use anser_types::{Mark, Offset, Position};

use super::replay::{apply, at, try_apply};
use super::{MailboxFixture, all_after, positions};
use crate::conformance::sample::{P0, P1, batch, part, user};
use crate::{ListQuery, Mailbox, ReplayFrom, StoreError};

async fn begin(mailbox: &dyn Mailbox) {
    assert_eq!(mailbox.begin_replay(P0).await.expect("a place"), ReplayFrom::Anew);
}

/// Nothing-twice and no-gap: what was there gives way to what the log says, which goes above all that was shown, and counts as
/// unread once.
pub async fn a_rebuild_is_replayed_over_nothing(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100, 101]))).await;
    let before = mailbox.rebuilds().await.expect("a number");
    if !fixture.ask_rebuild().await {
        return;
    }
    let asked = mailbox.rebuilds().await.expect("a number");
    assert!(asked > before, "whoever looks learns of it");
    assert_eq!(mailbox.rebuilds().await.expect("a number"), asked, "once");
    begin(&*mailbox).await;
    let placed = apply(&*mailbox, part(P0, 0, 1, at(&[100, 101, 102]))).await;
    assert!(placed[0].iter().flatten().all(|placed| placed.position > Position(101)), "{placed:?}");
    let page = all_after(&*mailbox, &user("bob"), 0).await;
    assert_eq!((page.entries.len(), page.finished), (3, true));
    assert_eq!(
        all_after(&*mailbox, &user("bob"), 101).await.entries.len(),
        3,
        "whoever was shown all is shown it again"
    );
    let query = ListQuery { user: user("bob"), kind: None, before: anser_types::Timestamp::ZERO, count: 10 };
    let list = mailbox.list(query).await.expect("a list");
    assert_eq!(list.iter().map(|row| row.unread).collect::<Vec<_>>(), [3]);
    let again = apply(&*mailbox, part(P0, 0, 1, at(&[100, 101, 102]))).await;
    assert!(again[0].iter().all(Option::is_none), "a repetition changes nothing");
}

/// Nothing-lost: a row over what is still to come would put the mark above it.
pub async fn a_rebuild_refuses_whoever_has_not_begun_it(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100]))).await;
    apply(&*mailbox, part(P1, 0, 1, at(&[110]))).await;
    if !fixture.ask_rebuild().await {
        return;
    }
    begin(&*mailbox).await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100]))).await;
    // Of this partition this handle has not begun the rebuild; another handle neither, which has never written.
    let other = fixture.create().await;
    for handle in [&mailbox, &other] {
        let refused = try_apply(&**handle, part(P1, 0, 2, at(&[111]))).await.expect_err("it has not begun");
        assert!(matches!(refused, StoreError::RolledBack) && !refused.is_retryable(), "{refused:?}");
    }
    let both = batch("bob", vec![part(P0, 0, 2, at(&[101])), part(P1, 0, 2, at(&[111]))]);
    assert!(matches!(mailbox.apply(both).await, Err(StoreError::RolledBack)), "as a whole");
    assert_eq!(all_after(&*mailbox, &user("bob"), 0).await.entries.len(), 1);
    assert_eq!(other.begin_replay(P1).await.expect("a place"), ReplayFrom::Anew);
    apply(&*other, part(P1, 1, 1, at(&[110, 111]))).await;
    let stale = try_apply(&*mailbox, part(P1, 0, 3, at(&[112]))).await.expect_err("an older claim");
    assert!(matches!(stale, StoreError::StaleClaim | StoreError::RolledBack), "{stale:?}");
    assert_eq!(all_after(&*other, &user("bob"), 0).await.entries.len(), 3);
}

/// Where a user is, how far a terminal has got and the newest position are of no log.
pub async fn a_rebuild_keeps_what_does_not_come_from_the_log(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let (bob, device) = (user("bob"), anser_types::DeviceId::new("phone").expect("an id"));
    apply(&*mailbox, part(P0, 0, 1, at(&[100]))).await;
    mailbox.set_cursor(&bob, &device, Position(100)).await.expect("a cursor");
    let (node, connection) = (anser_types::NodeId(3), anser_types::ConnectionId(9));
    mailbox.set_online(&bob, node, connection).await.expect("presence");
    mailbox.lift(&bob, Position(500)).await.expect("a lift");
    if !fixture.ask_rebuild().await {
        return;
    }
    begin(&*mailbox).await;
    let placed = apply(&*mailbox, part(P0, 0, 1, at(&[100]))).await;
    let placed = placed[0][0].as_ref().expect("an entry");
    assert!(placed.position > Position(500), "{placed:?}");
    assert_eq!(placed.online.to_vec(), [node]);
    assert_eq!(mailbox.online(&bob).await.expect("presence").to_vec(), [node]);
    assert_eq!(mailbox.cursor(&bob, &device).await.expect("a cursor"), Some(Position(100)));
    assert_eq!(positions(&all_after(&*mailbox, &bob, 0).await), [placed.position.0]);
}

/// Nothing-lost: an owner that notes what it applied before would make the next one skip all of it.
pub async fn places_of_before_a_rebuild_count_no_more(fixture: &impl MailboxFixture) {
    let mark = |next| Mark { next: Offset(next), ..Mark::default() };
    let mailbox = fixture.create().await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100, 101]))).await;
    mailbox.applied(P0, mark(3)).await.expect("a note");
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(mailbox.begin_replay(P0).await.expect("a place"), ReplayFrom::Mark(mark(3)));
    if !fixture.ask_rebuild().await {
        return;
    }
    mailbox.applied(P0, mark(4)).await.expect("a note");
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(mailbox.replay_from(P0).await.expect("a mark"), Mark::default());
    begin(&*mailbox).await;
    mailbox.applied(P0, mark(2)).await.expect("a note");
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(mailbox.begin_replay(P0).await.expect("a place"), ReplayFrom::Mark(mark(2)));
}
