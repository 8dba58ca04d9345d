//! Messages that are taken back: in pages, lists and unread counts.

use anser_types::{Conversation, MessageUid, Timestamp};

use super::{MailboxFixture, all_after};
use crate::conformance::sample::{P0, batch, entry, group, part, recall, received, record, sent, uid, user, with};
use crate::{Counted, ListQuery, Listed, Mailbox, MailboxRow, RECALLED_MAX, Side};

async fn apply(mailbox: &dyn Mailbox, first: u64, rows: Vec<MailboxRow>) {
    mailbox.apply(batch("bob", vec![part(P0, 0, first, rows)])).await.expect("a batch is applied");
}

/// The list: conversation, sent time of its last message, unread count.
async fn list(mailbox: &dyn Mailbox) -> Vec<(String, u64, u64)> {
    let query = ListQuery { user: user("bob"), kind: None, before: Timestamp::ZERO, count: 100 };
    let rows = mailbox.list(query).await.expect("a list");
    for row in &rows {
        assert_eq!(row.record, record(row.sent.0), "the record of the message that the row names");
    }
    rows.into_iter().map(|row| (row.conversation.target.to_string(), row.sent.0, row.unread)).collect()
}

async fn recalled(mailbox: &dyn Mailbox, after: u64) -> Vec<MessageUid> {
    let mut recalled = all_after(mailbox, &user("bob"), after).await.recalled;
    recalled.sort_unstable();
    recalled
}

fn row(name: &str, sent: u64, unread: u64) -> (String, u64, u64) {
    (name.to_owned(), sent, unread)
}

fn in_a(sent: u64) -> MailboxRow {
    recall("bob", with("a"), sent, sent + 500)
}

/// A page names what of its entries was taken back, whichever of the two is on disk.
pub async fn pages_name_what_was_taken_back(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    apply(&*mailbox, 1, (0..4).map(|n| received("bob", "a", 100 + n)).collect()).await;
    assert!(recalled(&*mailbox, 0).await.is_empty());
    apply(&*mailbox, 5, vec![in_a(101)]).await;
    for _ in 0..2 {
        assert_eq!(recalled(&*mailbox, 0).await, [uid(101)]);
        let page = all_after(&*mailbox, &user("bob"), 0).await;
        assert_eq!((page.entries.len(), page.finished), (4, true), "it is named, and takes its place in the page");
        mailbox = fixture.settle(mailbox).await;
    }
    apply(&*mailbox, 6, vec![received("bob", "a", 200), in_a(102), in_a(200), in_a(102)]).await;
    for _ in 0..2 {
        assert_eq!(recalled(&*mailbox, 101).await, [uid(101), uid(102), uid(200)]);
        mailbox = fixture.settle(mailbox).await;
    }
    assert!(all_after(&*mailbox, &user("alice"), 0).await.recalled.is_empty());
}

/// What was unread counts no more; what was read, sent, or never counted changes nothing, nor does a second recall.
pub async fn what_was_taken_back_is_not_unread(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let uncounted = entry("bob", 104, Side::Inbox, Some(Listed { conversation: with("a"), counted: Counted::No }));
    let rows = (0..4).map(|n| received("bob", "a", 100 + n)).chain([uncounted, sent("bob", "a", 105)]);
    apply(&*mailbox, 1, rows.chain([received("bob", "a", 106)]).collect()).await;
    let until = MailboxRow::Read { user: user("bob"), conversation: with("a"), until: Timestamp(100) };
    apply(&*mailbox, 8, vec![until]).await;
    let mut mailbox = fixture.settle(mailbox).await;
    let recalls = [(104, 4), (105, 4), (100, 4), (102, 3), (102, 3), (101, 2), (103, 1)];
    for (next, (taken_back, unread)) in (9..).zip(recalls) {
        apply(&*mailbox, next, vec![in_a(taken_back)]).await;
        assert_eq!(list(&*mailbox).await, [row("a", 106, unread)], "{taken_back}");
        mailbox = fixture.settle(mailbox).await;
    }
}

/// The list never shows the message itself again, and nothing moves in it for an older one.
pub async fn a_list_shows_what_took_its_last_message_back(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let rows = vec![received("bob", "a", 100), received("bob", "a", 101), received("bob", "b", 102)];
    apply(&*mailbox, 1, rows).await;
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 4, vec![recall("bob", with("a"), 100, 110)]).await;
    assert_eq!(list(&*mailbox).await, [row("b", 102, 1), row("a", 101, 1)]);
    apply(&*mailbox, 5, vec![recall("bob", with("a"), 101, 111)]).await;
    let mut mailbox = fixture.settle(mailbox).await;
    for _ in 0..2 {
        assert_eq!(list(&*mailbox).await, [row("a", 111, 0), row("b", 102, 1)]);
        mailbox = fixture.settle(mailbox).await;
    }
    apply(&*mailbox, 6, vec![received("bob", "a", 120)]).await;
    assert_eq!(list(&*mailbox).await, [row("a", 120, 1), row("b", 102, 1)]);
}

/// A recall brings nothing onto the list, and touches no other conversation.
pub async fn a_recall_brings_no_conversation_onto_the_list(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let unknown: Conversation = group("unknown");
    let removed = MailboxRow::Remove { user: user("bob"), conversation: with("a") };
    let rows = vec![received("bob", "a", 100), received("bob", "b", 101), removed, in_a(100)];
    apply(&*mailbox, 1, rows).await;
    apply(&*mailbox, 5, vec![recall("bob", unknown, 101, 601)]).await;
    let mut mailbox = fixture.settle(mailbox).await;
    for _ in 0..2 {
        assert_eq!(list(&*mailbox).await, [row("b", 101, 1)]);
        mailbox = fixture.settle(mailbox).await;
    }
}

/// However many messages are taken back from a user, what it costs to know of them is bounded; the newest are known.
pub async fn of_so_many_recalls_the_newest_are_known(fixture: &impl MailboxFixture) {
    const MORE: u64 = 5;
    let mailbox = fixture.create().await;
    let most = u64::try_from(RECALLED_MAX).expect("it is small");
    let all: Vec<u64> = (100..100 + most + MORE).collect();
    for (next, some) in (1..).step_by(100).zip(all.chunks(100)) {
        apply(&*mailbox, next, some.iter().map(|sent| in_a(*sent)).collect()).await;
    }
    let mut mailbox = fixture.settle(mailbox).await;
    for _ in 0..2 {
        let known: Vec<MessageUid> =
            all[usize::try_from(MORE).expect("it is small")..].iter().map(|sent| uid(*sent)).collect();
        assert_eq!(recalled(&*mailbox, 0).await, known);
        mailbox = fixture.settle(mailbox).await;
    }
}

/// The mark holds for recalls too, and they are kept as long as the entries and somewhat longer.
pub async fn recalls_are_skipped_below_the_mark_and_go_with_the_entries(fixture: &impl MailboxFixture) {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let mailbox = fixture.create().await;
    let old = 10 * DAY_MS;
    let rows =
        || vec![received("bob", "a", old), received("bob", "a", old + 1), in_a(old), received("bob", "a", old + 2)];
    apply(&*mailbox, 1, rows()).await;
    apply(&*mailbox, 1, rows()).await;
    assert_eq!(list(&*mailbox).await, [row("a", old + 2, 2)]);
    let mailbox = fixture.settle(mailbox).await;
    mailbox.expire(Timestamp(old + 1)).await.expect("expiry");
    apply(&*mailbox, 5, vec![received("bob", "a", old + 3)]).await;
    assert_eq!(recalled(&*mailbox, 0).await, [uid(old)], "its entry may lie at a later place");
    let mailbox = fixture.settle(mailbox).await;
    mailbox.expire(Timestamp(old + 2 * DAY_MS)).await.expect("expiry");
    apply(&*mailbox, 6, vec![received("bob", "a", old + 2 * DAY_MS), in_a(old + 2 * DAY_MS)]).await;
    let mut mailbox = fixture.settle(mailbox).await;
    for _ in 0..2 {
        assert_eq!(recalled(&*mailbox, 0).await, [uid(old + 2 * DAY_MS)]);
        mailbox = fixture.settle(mailbox).await;
    }
}
