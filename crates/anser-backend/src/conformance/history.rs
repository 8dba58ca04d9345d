//! What every [`History`] must do, as cases that an adapter runs with [`history_suite!`](crate::history_suite).

mod changes;

use std::sync::Arc;

use anser_types::{Mark, Offset, Subject, Timestamp};

use super::sample::{P0, P1, app, mark, record, target, uid, user_id};
use crate::{
    BoxFuture, Head, History, HistoryCell, HistoryPage, HistoryQuery, HistoryRow, HistoryWrite, Order, StoredRow,
};

pub use changes::*;

/// How the suite gets at a history of one kind. One fixture serves one case.
pub trait HistoryFixture: Sync {
    /// An empty history.
    fn create(&self) -> BoxFuture<'_, Arc<dyn History>>;

    /// Makes everything that was written durable, drops what is held in memory, and gives the history back.
    fn settle(&self, history: Arc<dyn History>) -> BoxFuture<'_, Arc<dyn History>>;
}

/// Runs every case of the suite as a test of its own, each with a new fixture. The caller's crate needs `tokio` with macros.
#[macro_export]
macro_rules! history_suite {
    ($fixture:expr) => {
        $crate::history_suite!(@cases $fixture;
            pages_go_both_ways,
            pages_tell_whether_there_is_more,
            pages_cross_what_was_written_when,
            repeated_rows_change_nothing,
            heads_count_in_log_order,
            cells_stand_beside_their_rows,
            a_cell_may_come_before_its_row,
            a_message_is_recalled_once,
            single_messages_are_found,
            users_hide_for_themselves_alone,
            hiding_up_to_a_time_covers_single_ones,
            expired_messages_are_gone,
            conversations_are_apart,
            archiving_goes_on_where_it_ended,
        );
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::history::$case(&$fixture).await;
            }
        )*
    };
}

fn chat() -> Subject {
    Subject::private(app(), user_id("alice"), user_id("bob"))
}

fn row(subject: &Subject, number: u64, sent: u64) -> HistoryRow {
    HistoryRow { subject: subject.clone(), sent: Timestamp(sent), uid: uid(sent), number, record: record(sent) }
}

/// Rows 1, 2 … of the chat at offsets `first`, `first + 1` … with the given sent times.
fn rows(first: u64, times: &[u64]) -> Vec<HistoryWrite> {
    let rows = (first..).zip(times);
    rows.map(|(n, sent)| HistoryWrite::Row { offset: Offset(n), row: row(&chat(), n, *sent) }).collect()
}

fn recall(sent: u64, by: u64) -> HistoryWrite {
    HistoryWrite::Cell {
        subject: chat(),
        sent: Timestamp(sent),
        uid: uid(sent),
        cell: HistoryCell::Recalled { by: uid(by) },
    }
}

async fn write(history: &dyn History, next: u64, writes: Vec<HistoryWrite>) {
    history.write(P0, mark(next), writes).await.expect("written");
}

async fn page(history: &dyn History, order: Order, time: Option<u64>, count: usize) -> HistoryPage {
    let query = HistoryQuery { subject: chat(), time: time.map(Timestamp), order, count };
    history.page(query).await.expect("a page")
}

async fn times(history: &dyn History, order: Order, time: Option<u64>, count: usize) -> (Vec<u64>, bool) {
    let page = page(history, order, time, count).await;
    (page.rows.iter().map(|stored| stored.row.sent.0).collect(), page.more)
}

async fn find(history: &dyn History, sent: u64) -> Option<StoredRow> {
    history.find(&chat(), Timestamp(sent), uid(sent)).await.expect("an answer")
}

/// Newest first before a time, oldest first after one; the time itself is left out.
pub async fn pages_go_both_ways(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    write(&*history, 6, rows(1, &[100, 101, 105, 110, 111])).await;
    for _ in 0..2 {
        assert_eq!(times(&*history, Order::Before, None, 9).await.0, [111, 110, 105, 101, 100]);
        assert_eq!(times(&*history, Order::Before, Some(110), 2).await.0, [105, 101]);
        assert_eq!(times(&*history, Order::Before, Some(109), 9).await.0, [105, 101, 100]);
        assert_eq!(times(&*history, Order::After, None, 2).await.0, [100, 101]);
        assert_eq!(times(&*history, Order::After, Some(101), 2).await.0, [105, 110]);
        assert_eq!(times(&*history, Order::After, Some(104), 9).await.0, [105, 110, 111]);
        let whole = page(&*history, Order::After, Some(110), 9).await;
        assert_eq!(whole.rows, [StoredRow { row: row(&chat(), 5, 111), cells: Vec::new() }]);
        history = fixture.settle(history).await;
    }
}

/// `more` is exact, at both ends and for pages that hold nothing.
pub async fn pages_tell_whether_there_is_more(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    assert_eq!(page(&*history, Order::Before, None, 5).await, HistoryPage::default());
    write(&*history, 4, rows(1, &[100, 101, 102])).await;
    for _ in 0..2 {
        for (order, time, count, expected, more) in [
            (Order::Before, None, 3, vec![102, 101, 100], false),
            (Order::Before, None, 2, vec![102, 101], true),
            (Order::Before, Some(100), 2, vec![], false),
            (Order::After, Some(102), 2, vec![], false),
            (Order::After, Some(100), 1, vec![101], true),
            (Order::After, Some(u64::MAX), 1, vec![], false),
            (Order::Before, Some(0), 1, vec![], false),
        ] {
            assert_eq!(times(&*history, order, time, count).await, (expected, more), "{order:?} {time:?} {count}");
        }
        history = fixture.settle(history).await;
    }
}

/// A walk in either direction meets every row once, also across what lies on disk and what does not.
pub async fn pages_cross_what_was_written_when(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    let all: Vec<u64> = (0..400).map(|n| 1000 + n * 3).collect();
    write(&*history, 151, rows(1, &all[..150])).await;
    let history = fixture.settle(history).await;
    write(&*history, 251, rows(151, &all[150..250])).await;
    let history = fixture.settle(history).await;
    write(&*history, 401, rows(251, &all[250..])).await;
    for (order, count) in [(Order::Before, 20), (Order::Before, 100), (Order::After, 1), (Order::After, 77)] {
        let (mut seen, mut time) = (Vec::<u64>::new(), None);
        loop {
            let (page, more) = times(&*history, order, time, count).await;
            seen.extend(&page);
            time = page.last().copied().or(time);
            if !more {
                break;
            }
            assert_eq!(page.len(), count);
        }
        if order == Order::Before {
            seen.reverse();
        }
        assert_eq!(seen, all, "{order:?} {count}");
    }
}

/// Nothing-twice: an archiver that goes back writes the same rows again.
pub async fn repeated_rows_change_nothing(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    for _ in 0..2 {
        for _ in 0..2 {
            write(&*history, 4, rows(1, &[100, 101, 102])).await;
            write(&*history, 4, rows(2, &[101, 102])).await;
            assert_eq!(times(&*history, Order::After, None, 9).await, (vec![100, 101, 102], false));
        }
        history = fixture.settle(history).await;
    }
    write(&*history, 5, rows(3, &[102, 103])).await;
    assert_eq!(times(&*history, Order::After, None, 9).await, (vec![100, 101, 102, 103], false));
}

/// The head follows the newest row by offset, and never goes back.
pub async fn heads_count_in_log_order(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    assert_eq!(history.head(&chat()).await.expect("a head"), Head::default());
    write(&*history, 20, vec![HistoryWrite::Row { offset: Offset(17), row: row(&chat(), 41, 100) }]).await;
    write(&*history, 20, vec![HistoryWrite::Row { offset: Offset(12), row: row(&chat(), 40, 90) }]).await;
    let history = fixture.settle(history).await;
    assert_eq!(history.head(&chat()).await.expect("a head"), Head { number: 41, next: Offset(18) });
    write(&*history, 30, vec![HistoryWrite::Row { offset: Offset(25), row: row(&chat(), 42, 110) }]).await;
    assert_eq!(history.head(&chat()).await.expect("a head"), Head { number: 42, next: Offset(26) });
}

/// By sent time and UID together.
pub async fn single_messages_are_found(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    write(&*history, 151, rows(1, &(0..150).map(|n| 100 + 2 * n).collect::<Vec<_>>())).await;
    for _ in 0..2 {
        for (number, sent) in [(1, 100), (2, 102), (75, 248), (150, 398)] {
            let found = find(&*history, sent).await.expect("the row");
            assert_eq!(found.row, row(&chat(), number, sent));
        }
        for sent in [0, 99, 101, 399, u64::MAX] {
            assert!(find(&*history, sent).await.is_none(), "{sent}");
        }
        assert!(history.find(&chat(), Timestamp(100), uid(102)).await.expect("an answer").is_none());
        history = fixture.settle(history).await;
    }
}

/// Messages of before the time are neither paged nor found.
pub async fn expired_messages_are_gone(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    write(&*history, 6, rows(1, &[100, 101, 102, 103, 104])).await;
    history.expire(Timestamp(102)).await.expect("expiry");
    for _ in 0..2 {
        assert_eq!(times(&*history, Order::Before, None, 9).await, (vec![104, 103, 102], false));
        assert_eq!(times(&*history, Order::Before, None, 3).await, (vec![104, 103, 102], false));
        assert_eq!(times(&*history, Order::Before, None, 2).await, (vec![104, 103], true));
        assert_eq!(times(&*history, Order::After, None, 2).await, (vec![102, 103], true));
        assert!(find(&*history, 101).await.is_none() && find(&*history, 102).await.is_some());
        assert_eq!(history.head(&chat()).await.expect("a head").number, 5);
        history = fixture.settle(history).await;
    }
}

/// One conversation shows nothing of another, however alike the names are.
pub async fn conversations_are_apart(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    let others = [
        Subject::group(app(), target("a")),
        Subject::group(app(), target("ab")),
        Subject::private(app(), user_id("a"), user_id("b")),
        Subject::System { app: app(), account: target("a"), user: user_id("b") },
    ];
    let writes = others
        .iter()
        .zip(1..)
        .map(|(subject, n)| HistoryWrite::Row { offset: Offset(n), row: row(subject, 1, 100 + n) });
    write(&*history, 5, writes.collect()).await;
    for _ in 0..2 {
        for (subject, n) in others.iter().zip(1..) {
            for order in [Order::Before, Order::After] {
                let query = HistoryQuery { subject: subject.clone(), time: None, order, count: 9 };
                let page = history.page(query).await.expect("a page");
                assert_eq!(
                    page.rows.iter().map(|stored| stored.row.clone()).collect::<Vec<_>>(),
                    [row(subject, 1, 100 + n)]
                );
                assert!(!page.more);
            }
        }
        history = fixture.settle(history).await;
    }
}

/// An archive never asks for less than it may have forgotten, and in the end for no more.
pub async fn archiving_goes_on_where_it_ended(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    assert_eq!(history.replay_from(P0).await.expect("a mark"), Mark::default());
    write(&*history, 9, rows(1, &[100])).await;
    write(&*history, 4, Vec::new()).await;
    assert!(history.replay_from(P0).await.expect("a mark") <= mark(9));
    let history = fixture.settle(history).await;
    assert_eq!(history.replay_from(P0).await.expect("a mark"), mark(9));
    assert_eq!(history.replay_from(P1).await.expect("a mark"), Mark::default());
}
