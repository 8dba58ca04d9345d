//! A store that comes back without its newest writes.

use anser_types::Position;

use super::replay::{apply, at, try_apply};
use super::{MailboxFixture, all_after, positions};
use crate::conformance::sample::{P0, P1, part, user};
use crate::{Mailbox, StoreError};

async fn rollbacks(mailbox: &dyn Mailbox) -> u64 {
    mailbox.rollbacks().await.expect("an answer")
}

/// Nothing-lost: the mark of newer rows would hide that older ones are missing, so they are refused until the caller has begun
/// again where nothing is missing.
pub async fn what_was_lost_comes_before_anything_newer(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100, 101]))).await;
    fixture.save().await;
    apply(&*mailbox, part(P0, 0, 3, at(&[102, 103]))).await;
    if !fixture.roll_back().await {
        return;
    }
    for _ in 0..2 {
        let refused = try_apply(&*mailbox, part(P0, 0, 5, at(&[104]))).await.expect_err("rows are missing");
        assert!(matches!(refused, StoreError::RolledBack) && !refused.is_retryable(), "{refused:?}");
        assert_eq!(positions(&all_after(&*mailbox, &user("bob"), 0).await), [100, 101], "as a whole");
    }
    mailbox.begin_replay(P0).await.expect("a mark");
    let placed = apply(&*mailbox, part(P0, 0, 1, at(&[100, 101, 102, 103]))).await;
    assert!(placed[0][..2].iter().all(Option::is_none), "what is still there is skipped");
    assert!(placed[0][2..].iter().flatten().all(|placed| placed.position > Position(103)), "{placed:?}");
    apply(&*mailbox, part(P0, 0, 5, at(&[104]))).await;
    assert_eq!(all_after(&*mailbox, &user("bob"), 0).await.entries.len(), 5);
}

/// Nothing-lost also where nobody writes any more: whoever asks learns that there is something to be replayed.
pub async fn a_rollback_shows_without_a_write(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let before = rollbacks(&*mailbox).await;
    apply(&*mailbox, part(P0, 0, 1, at(&[100]))).await;
    fixture.save().await;
    assert_eq!(rollbacks(&*mailbox).await, before, "nothing happened");
    apply(&*mailbox, part(P0, 0, 2, at(&[101]))).await;
    if !fixture.roll_back().await {
        return;
    }
    let after = rollbacks(&*mailbox).await;
    assert!(after > before);
    assert_eq!(rollbacks(&*mailbox).await, after, "once");
}

/// No-gap: a reader holds a cursor at what it was shown. Rows of a partition of which nothing was lost are above it too.
pub async fn nothing_new_is_at_or_below_what_was_shown_before_a_rollback(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, part(P1, 0, 1, at(&[90]))).await;
    fixture.save().await;
    apply(&*mailbox, part(P0, 0, 1, at(&[200, 201]))).await;
    let shown = all_after(&*mailbox, &user("bob"), 0).await.head;
    if !fixture.roll_back().await {
        return;
    }
    let placed = apply(&*mailbox, part(P1, 0, 2, at(&[150]))).await;
    assert!(placed[0][0].as_ref().expect("an entry").position > shown, "{placed:?}");
    let page = all_after(&*mailbox, &user("bob"), shown.0).await;
    assert_eq!((page.entries.len(), page.finished), (1, true));
    assert!(page.head > shown);
}
