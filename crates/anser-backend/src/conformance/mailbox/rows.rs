//! Timelines: positions, marks, pages, lifts, expiry.

use anser_types::{ConnectionId, Mark, Offset, Position, Timestamp};

use super::{MailboxFixture, all_after, page, positions};
use crate::conformance::sample::{P0, P1, batch, bucket, entry, mark, part, received, record, sent, user};
use crate::{BucketBatch, Mailbox, MailboxRow, Online, PartitionRows, Placed, Side, StoreError};

type Rows = Vec<Vec<Option<Placed>>>;

async fn apply(mailbox: &dyn Mailbox, owner: &str, parts: Vec<PartitionRows>) -> Rows {
    mailbox.apply(batch(owner, parts)).await.expect("a batch is applied")
}

fn at(previous: u64, position: u64) -> Option<Placed> {
    Some(Placed { previous: Position(previous), position: Position(position), online: Online::new() })
}

/// `count` entries in partition 0 with sent times 100, 101 …
async fn fill(mailbox: &dyn Mailbox, owner: &str, count: u64) {
    let rows = (0..count).map(|n| received(owner, "peer", 100 + n)).collect();
    apply(mailbox, owner, vec![part(P0, 0, 1, rows)]).await;
}

/// P = max(T, last P + 1), and the answer says where each entry went.
pub async fn positions_strictly_rise_and_are_the_sent_time_where_they_can(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let rows = [100, 90, 100, 200].map(|time| received("bob", "alice", time));
    let placed = apply(&*mailbox, "bob", vec![part(P0, 0, 1, rows.to_vec())]).await;
    assert_eq!(placed, [[at(0, 100), at(100, 101), at(101, 102), at(102, 200)]]);
    assert_eq!(positions(&all_after(&*mailbox, &user("bob"), 0).await), [100, 101, 102, 200]);

    let mailbox = fixture.settle(mailbox).await;
    let page = all_after(&*mailbox, &user("bob"), 0).await;
    assert_eq!(positions(&page), [100, 101, 102, 200]);
    assert_eq!(page.entries.iter().map(|e| e.record.clone()).collect::<Vec<_>>(), [100, 90, 100, 200].map(record));
    let rows = vec![received("bob", "alice", 150)];
    assert_eq!(apply(&*mailbox, "bob", vec![part(P0, 0, 5, rows)]).await, [[at(200, 201)]]);
}

/// Nothing-twice: whatever is repeated below the mark is skipped, and says so.
pub async fn a_repeated_batch_changes_nothing(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    let parts = || vec![part(P0, 0, 1, vec![received("bob", "alice", 100), sent("bob", "alice", 101)])];
    apply(&*mailbox, "bob", parts()).await;
    for _ in 0..2 {
        let before = all_after(&*mailbox, &user("bob"), 0).await;
        assert_eq!(apply(&*mailbox, "bob", parts()).await, [[None, None]]);
        assert_eq!(all_after(&*mailbox, &user("bob"), 0).await, before);
        assert_eq!(
            before.entries.iter().map(|e| e.side).collect::<Vec<_>>(),
            [Side::Inbox, Side::Outbox(ConnectionId(9))]
        );
        mailbox = fixture.settle(mailbox).await;
    }
}

/// A batch that begins below the mark adds what is above it.
pub async fn an_overlapping_batch_applies_only_what_is_new(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let rows = |times: &[u64]| times.iter().map(|time| received("bob", "alice", *time)).collect();
    apply(&*mailbox, "bob", vec![part(P0, 0, 1, rows(&[100, 110]))]).await;
    let placed = apply(&*mailbox, "bob", vec![part(P0, 0, 2, rows(&[110, 120]))]).await;
    assert_eq!(placed, [[None, at(110, 120)]]);
    assert_eq!(positions(&all_after(&*mailbox, &user("bob"), 0).await), [100, 110, 120]);

    // A mark may lead beyond the last row: the records between have nothing for this bucket.
    let ahead = PartitionRows { next: Offset(50), ..part(P0, 0, 4, Vec::new()) };
    apply(&*mailbox, "bob", vec![ahead]).await;
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(apply(&*mailbox, "bob", vec![part(P0, 0, 49, rows(&[130, 140]))]).await, [[None, at(120, 140)]]);
}

/// The order of a batch is the order of its parts; a partition may come more than once.
pub async fn parts_of_one_batch_apply_in_their_order(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let one = |time| vec![received("bob", "alice", time)];
    let parts = vec![part(P1, 0, 1, one(100)), part(P0, 0, 1, one(100)), part(P1, 0, 2, one(100))];
    assert_eq!(apply(&*mailbox, "bob", parts).await, [[at(0, 100)], [at(100, 101)], [at(101, 102)]]);
    let again = vec![part(P1, 0, 1, one(100)), part(P1, 0, 2, one(100)), part(P0, 0, 2, one(300))];
    assert_eq!(apply(&*mailbox, "bob", again).await, vec![vec![None], vec![None], vec![at(102, 300)]]);
}

/// A zombie is refused, and none of its batch is applied.
pub async fn a_stale_claim_is_refused_as_a_whole(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    apply(&*mailbox, "bob", vec![part(P0, 5, 6, vec![received("bob", "alice", 100)])]).await;
    for _ in 0..2 {
        let parts = vec![
            part(P1, 0, 1, vec![received("bob", "alice", 101)]),
            part(P0, 4, 7, vec![received("bob", "alice", 102)]),
        ];
        let refused = mailbox.apply(batch("bob", parts)).await.expect_err("a stale claim");
        assert!(matches!(refused, StoreError::StaleClaim) && !refused.is_retryable());
        assert_eq!(positions(&all_after(&*mailbox, &user("bob"), 0).await), [100]);
        mailbox = fixture.settle(mailbox).await;
    }
    let newer =
        vec![part(P0, 9, 10, vec![received("bob", "alice", 103)]), part(P1, 0, 1, vec![received("bob", "alice", 104)])];
    assert_eq!(apply(&*mailbox, "bob", newer).await, [[at(100, 103)], [at(103, 104)]]);
}

/// What one bucket or partition has applied says nothing about another.
pub async fn marks_belong_to_bucket_and_partition(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let other = (0..).map(|n| format!("user{n}")).find(|name| bucket(name) != bucket("bob")).expect("users spread");
    apply(&*mailbox, "bob", vec![part(P0, 0, 9, vec![received("bob", "alice", 100)])]).await;
    assert_eq!(
        apply(&*mailbox, &other, vec![part(P0, 0, 1, vec![received(&other, "alice", 50)])]).await,
        [[at(0, 50)]]
    );
    assert_eq!(
        apply(&*mailbox, "bob", vec![part(P1, 0, 1, vec![received("bob", "alice", 50)])]).await,
        [[at(100, 101)]]
    );
}

/// No-gap: following the cursor gives every entry once, in order, and `finished` exactly at the end.
pub async fn pages_go_on_where_the_last_one_ended(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    fill(&*mailbox, "bob", 300).await;
    let mailbox = fixture.settle(mailbox).await;
    let rows = (300..450).map(|n| received("bob", "peer", 100 + n)).collect();
    apply(&*mailbox, "bob", vec![part(P0, 0, 301, rows)]).await;
    for entries_max in [1, 7, 64, 150, 449, 450, 1000] {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            let page = page(&*mailbox, &user("bob"), cursor, entries_max, usize::MAX).await;
            assert!(page.entries.len() <= entries_max && page.head == Position(549));
            seen.extend(positions(&page));
            cursor = page.entries.last().map_or(cursor, |entry| entry.position.0);
            assert_eq!(page.finished, seen.len() == 450, "{entries_max}");
            if page.finished {
                break;
            }
        }
        assert_eq!(seen, (100..550).collect::<Vec<_>>());
    }
}

/// The byte limit ends a page, but never leaves it empty.
pub async fn a_page_holds_at_least_one_entry_whatever_the_limit(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    fill(&*mailbox, "bob", 5).await;
    let length = record(100).len();
    for _ in 0..2 {
        for (bytes_max, count) in [(0, 1), (length, 1), (length * 2, 2), (length * 3 - 1, 2), (length * 9, 5)] {
            let page = page(&*mailbox, &user("bob"), 0, 10, bytes_max).await;
            assert_eq!((page.entries.len(), page.finished), (count, count == 5), "{bytes_max}");
        }
        assert_eq!(page(&*mailbox, &user("bob"), 0, 0, 100).await.entries.len(), 1);
        mailbox = fixture.settle(mailbox).await;
    }
}

/// At the head, above it, and for a user that nobody wrote to.
pub async fn nothing_is_after_the_head(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    fill(&*mailbox, "bob", 3).await;
    for _ in 0..2 {
        for after in [102, 103, u64::MAX] {
            let page = all_after(&*mailbox, &user("bob"), after).await;
            assert_eq!((page.entries.len(), page.head, page.finished), (0, Position(102), true), "{after}");
        }
        assert_eq!(mailbox.head(&user("bob")).await.expect("a head"), Position(102));
        assert_eq!(mailbox.head(&user("nobody")).await.expect("a head"), Position::START);
        let page = all_after(&*mailbox, &user("nobody"), 0).await;
        assert_eq!((page.entries.len(), page.head, page.finished), (0, Position::START, true));
        mailbox = fixture.settle(mailbox).await;
    }
}

/// No-gap: what comes after a lift is above it, and a lift to a lower place changes nothing.
pub async fn a_lift_keeps_later_entries_above_the_floor(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let bob = user("bob");
    let one = |offset, time| vec![part(P0, 0, offset, vec![received("bob", "alice", time)])];
    apply(&*mailbox, "bob", one(1, 100)).await;
    mailbox.lift(&bob, Position(500)).await.expect("a lift");
    assert_eq!(mailbox.head(&bob).await.expect("a head"), Position(500));
    assert_eq!(apply(&*mailbox, "bob", one(2, 110)).await, [[at(500, 501)]]);
    mailbox.lift(&bob, Position(300)).await.expect("a lift");
    assert_eq!(apply(&*mailbox, "bob", one(3, 600)).await, [[at(501, 600)]]);
    let rows = [(0, vec![100, 501, 600]), (100, vec![501, 600]), (500, vec![501, 600]), (501, vec![600])];
    for (after, expected) in rows {
        assert_eq!(positions(&all_after(&*mailbox, &bob, after).await), expected);
    }
}

/// A lift outlives whatever else a store may forget, also for a user without entries.
pub async fn a_lift_lasts(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    mailbox.lift(&user("bob"), Position(500)).await.expect("a lift");
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(mailbox.head(&user("bob")).await.expect("a head"), Position(500));
    let placed = apply(&*mailbox, "bob", vec![part(P0, 0, 1, vec![received("bob", "alice", 100)])]).await;
    assert_eq!(placed, [[at(500, 501)]]);
}

/// Entries of before the time are not shown, and the head stays where it is.
pub async fn expired_entries_are_gone(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    fill(&*mailbox, "bob", 5).await;
    mailbox.expire(Timestamp(102)).await.expect("expiry");
    for _ in 0..2 {
        let page = all_after(&*mailbox, &user("bob"), 0).await;
        assert_eq!((positions(&page), page.head), (vec![102, 103, 104], Position(104)));
        assert_eq!(positions(&all_after(&*mailbox, &user("bob"), 103).await), [104]);
        mailbox = fixture.settle(mailbox).await;
    }
    mailbox.expire(Timestamp(1000)).await.expect("expiry");
    let page = all_after(&*mailbox, &user("bob"), 0).await;
    assert_eq!((page.entries.len(), page.head, page.finished), (0, Position(104), true));
}

/// A store never asks for less than it may have forgotten, and in the end for no more.
pub async fn replay_starts_where_applying_ended(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    assert_eq!(mailbox.replay_from(P0).await.expect("a mark"), Mark::default());
    fill(&*mailbox, "bob", 2).await;
    mailbox.applied(P0, mark(9)).await.expect("noted");
    mailbox.applied(P0, mark(3)).await.expect("noted");
    assert!(mailbox.replay_from(P0).await.expect("a mark") <= mark(9));
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(mailbox.replay_from(P0).await.expect("a mark"), mark(9));
    assert_eq!(mailbox.replay_from(P1).await.expect("a mark"), Mark::default());
}

/// Users of one bucket, and users of the same name in two apps, are apart.
pub async fn users_see_nothing_of_each_other(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    let near: Vec<String> = (0..).map(|n| format!("user{n}")).filter(|n| bucket(n) == bucket("bob")).take(2).collect();
    let rows = vec![received("bob", "x", 100), received(&near[0], "x", 101), entry(&near[1], 102, Side::Inbox, None)];
    let all = BucketBatch { bucket: bucket("bob"), parts: vec![part(P0, 0, 1, rows)] };
    mailbox.apply(all).await.expect("a batch is applied");
    let mut elsewhere = user("bob");
    elsewhere.app = anser_types::AppKey::new("app2").expect("an app key");
    let MailboxRow::Entry(mut other) = received("bob", "x", 103) else {
        return;
    };
    other.user = elsewhere.clone();
    let part = part(P1, 0, 1, vec![MailboxRow::Entry(other)]);
    mailbox.apply(BucketBatch { bucket: elsewhere.bucket(), parts: vec![part] }).await.expect("a batch is applied");
    for _ in 0..2 {
        for (key, time) in [(user("bob"), 100), (user(&near[0]), 101), (user(&near[1]), 102), (elsewhere.clone(), 103)]
        {
            assert_eq!(positions(&all_after(&*mailbox, &key, 0).await), [time]);
        }
        mailbox = fixture.settle(mailbox).await;
    }
}
