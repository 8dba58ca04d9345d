//! Conversation lists, unread counts, and the cursors of terminals.

use anser_types::{Conversation, ConversationType, DeviceId, Position, Timestamp};

use super::MailboxFixture;
use crate::conformance::sample::{P0, batch, entry, group, part, received, record, sent, user, with};
use crate::{Counted, ListQuery, ListRow, Listed, Mailbox, MailboxRow, Side};

async fn apply(mailbox: &dyn Mailbox, first: u64, rows: Vec<MailboxRow>) {
    mailbox.apply(batch("bob", vec![part(P0, 0, first, rows)])).await.expect("a batch is applied");
}

async fn list(mailbox: &dyn Mailbox, kind: Option<ConversationType>, before: u64, count: usize) -> Vec<ListRow> {
    let query = ListQuery { user: user("bob"), kind, before: Timestamp(before), count };
    mailbox.list(query).await.expect("a list")
}

async fn names(mailbox: &dyn Mailbox) -> Vec<String> {
    list(mailbox, None, 0, 100).await.into_iter().map(|row| row.conversation.target.to_string()).collect()
}

/// The unread count and the read time of the first row.
async fn unread(mailbox: &dyn Mailbox) -> Option<(u64, u64)> {
    list(mailbox, None, 0, 100).await.first().map(|row| (row.unread, row.read_until.0))
}

fn read(conversation: Conversation, until: u64) -> MailboxRow {
    MailboxRow::Read { user: user("bob"), conversation, until: Timestamp(until) }
}

fn remove(conversation: Conversation) -> MailboxRow {
    MailboxRow::Remove { user: user("bob"), conversation }
}

fn in_group(name: &str, sent: u64, counted: Counted) -> MailboxRow {
    entry("bob", sent, Side::Inbox, Some(Listed { conversation: group(name), counted }))
}

/// A row shows the last message of its conversation, and lists are in the order of those.
pub async fn lists_show_the_newest_first(fixture: &impl MailboxFixture) {
    let mut mailbox = fixture.create().await;
    assert!(names(&*mailbox).await.is_empty());
    apply(&*mailbox, 1, vec![received("bob", "a", 100), received("bob", "b", 101), received("bob", "c", 102)]).await;
    apply(&*mailbox, 4, vec![received("bob", "a", 103), entry("bob", 104, Side::Inbox, None)]).await;
    for _ in 0..2 {
        assert_eq!(names(&*mailbox).await, ["a", "c", "b"]);
        let rows = list(&*mailbox, None, 0, 100).await;
        assert_eq!((rows[0].sent, rows[0].record.clone(), rows[0].side), (Timestamp(103), record(103), Side::Inbox));
        mailbox = fixture.settle(mailbox).await;
    }
    apply(&*mailbox, 6, vec![received("bob", "b", 105)]).await;
    assert_eq!(names(&*mailbox).await, ["b", "a", "c"]);
}

/// Rows of memory and of disk are filtered alike.
pub async fn lists_answer_by_type_time_and_count(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, 1, (0..6).map(|n| received("bob", &format!("p{n}"), 100 + n)).collect()).await;
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 7, (0..6).map(|n| in_group(&format!("g{n}"), 200 + n, Counted::Yes)).collect()).await;
    assert_eq!(list(&*mailbox, None, 0, 100).await.len(), 12);
    let groups = list(&*mailbox, Some(ConversationType::Group), 0, 100).await;
    assert!(groups.len() == 6 && groups.iter().all(|row| row.conversation.kind == ConversationType::Group));
    assert!(list(&*mailbox, Some(ConversationType::System), 0, 100).await.is_empty());
    let times = list(&*mailbox, None, 201, 3).await.iter().map(|row| row.sent.0).collect::<Vec<_>>();
    assert_eq!(times, [200, 105, 104], "strictly before, newest first, no more than asked for");
    assert!(list(&*mailbox, None, 0, 0).await.is_empty());
}

/// Counted entries add up; a read at or after the last one leaves none.
pub async fn what_counts_is_unread_until_it_is_read(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, 1, vec![received("bob", "a", 100), received("bob", "a", 101)]).await;
    assert_eq!(unread(&*mailbox).await, Some((2, 0)));
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 3, vec![received("bob", "a", 102)]).await;
    assert_eq!(unread(&*mailbox).await, Some((3, 0)));
    apply(&*mailbox, 4, vec![read(with("a"), 102)]).await;
    assert_eq!(unread(&*mailbox).await, Some((0, 102)));
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 5, vec![received("bob", "a", 103), read(with("a"), 50)]).await;
    assert_eq!(unread(&*mailbox).await, Some((1, 102)), "a read never moves back");
}

/// What one sent oneself never counts, whatever it says.
pub async fn own_and_uncounted_entries_move_the_list_alone(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, 1, vec![received("bob", "a", 100), sent("bob", "b", 101), in_group("g", 102, Counted::No)]).await;
    let mailbox = fixture.settle(mailbox).await;
    let rows = list(&*mailbox, None, 0, 100).await;
    let rows: Vec<_> = rows.iter().map(|row| (row.conversation.target.as_str(), row.unread)).collect();
    assert_eq!(rows, [("g", 0), ("b", 0), ("a", 1)]);
}

/// A read in the middle leaves exactly what was sent later; a read for an unknown conversation shows nothing.
pub async fn a_read_covers_what_was_sent_until_then(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, 1, (0..10).map(|n| received("bob", "a", 100 + n)).collect()).await;
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 11, (10..20).map(|n| received("bob", "a", 100 + n)).collect()).await;
    apply(&*mailbox, 21, vec![read(with("a"), 104), read(with("z"), 500)]).await;
    assert_eq!(names(&*mailbox).await, ["a"]);
    assert_eq!(unread(&*mailbox).await, Some((15, 104)));
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 23, vec![read(with("a"), 112)]).await;
    assert_eq!(unread(&*mailbox).await, Some((7, 112)));
    apply(&*mailbox, 24, vec![received("bob", "z", 400)]).await;
    assert_eq!(unread(&*mailbox).await, Some((0, 500)), "the read of before covers it");
}

/// A removal hides the row and forgets the count.
pub async fn a_removed_conversation_comes_back_with_the_next_entry(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    apply(&*mailbox, 1, vec![received("bob", "a", 100), received("bob", "a", 101), received("bob", "b", 102)]).await;
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 4, vec![remove(with("a")), remove(with("nobody"))]).await;
    assert_eq!(names(&*mailbox).await, ["b"]);
    let mailbox = fixture.settle(mailbox).await;
    assert_eq!(names(&*mailbox).await, ["b"]);
    apply(&*mailbox, 6, vec![received("bob", "a", 103)]).await;
    assert_eq!((names(&*mailbox).await, unread(&*mailbox).await), (vec!["a".into(), "b".into()], Some((1, 0))));
}

/// The mark holds for these rows too.
pub async fn repeated_reads_and_removals_are_skipped(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let rows = || vec![received("bob", "a", 100), remove(with("a")), received("bob", "a", 101), read(with("a"), 100)];
    apply(&*mailbox, 1, rows()).await;
    let before = list(&*mailbox, None, 0, 100).await;
    assert_eq!(before.len(), 1);
    let mailbox = fixture.settle(mailbox).await;
    apply(&*mailbox, 1, rows()).await;
    assert_eq!(list(&*mailbox, None, 0, 100).await, before);
}

/// A terminal's cursor is remembered, apart from others.
pub async fn cursors_never_move_back(fixture: &impl MailboxFixture) {
    let mailbox = fixture.create().await;
    let device = |name| DeviceId::new(name).expect("a device id");
    let (bob, phone, desk) = (user("bob"), device("phone"), device("desk"));
    assert_eq!(mailbox.cursor(&bob, &phone).await.expect("a cursor"), None);
    for position in [10, 30, 20] {
        mailbox.set_cursor(&bob, &phone, Position(position)).await.expect("noted");
    }
    mailbox.set_cursor(&bob, &desk, Position(5)).await.expect("noted");
    let mailbox = fixture.settle(mailbox).await;
    mailbox.set_cursor(&bob, &phone, Position(25)).await.expect("noted");
    assert_eq!(mailbox.cursor(&bob, &phone).await.expect("a cursor"), Some(Position(30)));
    assert_eq!(mailbox.cursor(&bob, &desk).await.expect("a cursor"), Some(Position(5)));
    assert_eq!(mailbox.cursor(&user("alice"), &phone).await.expect("a cursor"), None);
}
