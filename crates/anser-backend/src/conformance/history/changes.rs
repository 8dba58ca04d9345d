//! What happens to messages later: recalls, and what users hide.

use anser_types::Timestamp;

use super::{HistoryFixture, chat, find, page, recall, rows, times, write};
use crate::conformance::sample::{uid, user};
use crate::{Hidden, History, HistoryCell, HistoryWrite, Order};

/// A repeated write of a row cannot undo what happened to it.
pub async fn cells_stand_beside_their_rows(fixture: &impl HistoryFixture) {
    let mut history = fixture.create().await;
    write(&*history, 4, rows(1, &[100, 101, 102])).await;
    write(&*history, 5, vec![recall(101, 103)]).await;
    for _ in 0..2 {
        write(&*history, 5, rows(1, &[100, 101, 102])).await;
        let page = page(&*history, Order::After, None, 9).await;
        let cells: Vec<_> = page.rows.iter().map(|stored| stored.cells.clone()).collect();
        assert_eq!(cells, [vec![], vec![HistoryCell::Recalled { by: uid(103) }], vec![]]);
        history = fixture.settle(history).await;
    }
}

/// Neither order of arrival loses it.
pub async fn a_cell_may_come_before_its_row(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    write(&*history, 1, vec![recall(100, 103), recall(101, 104)]).await;
    write(&*history, 2, rows(1, &[100])).await;
    let history = fixture.settle(history).await;
    write(&*history, 3, rows(2, &[101])).await;
    for (time, by) in [(100, 103), (101, 104)] {
        let found = find(&*history, time).await.expect("the row");
        assert_eq!(found.cells, [HistoryCell::Recalled { by: uid(by) }]);
    }
    assert_eq!(
        page(&*history, Order::Before, None, 9).await.rows.iter().filter(|stored| stored.cells.len() == 1).count(),
        2
    );
}

/// The first recall stays, and the cells of a message are bounded.
pub async fn a_message_is_recalled_once(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    write(&*history, 2, rows(1, &[100])).await;
    write(&*history, 3, vec![recall(100, 103), recall(100, 103)]).await;
    let history = fixture.settle(history).await;
    write(&*history, 4, vec![recall(100, 104)]).await;
    let history = fixture.settle(history).await;
    assert_eq!(find(&*history, 100).await.expect("the row").cells, [HistoryCell::Recalled { by: uid(103) }]);
}

async fn hidden(history: &dyn History, name: &str) -> (u64, Vec<u64>) {
    let Hidden { until, messages } = history.hidden(&user(name), &chat()).await.expect("an answer");
    let mut messages: Vec<u64> = messages.iter().map(|uid| uid.sent_time().0).collect();
    messages.sort_unstable();
    (until.0, messages)
}

fn hide(name: &str, times: &[u64]) -> HistoryWrite {
    let messages = times.iter().map(|sent| (uid(*sent), Timestamp(*sent))).collect();
    HistoryWrite::Hide { user: user(name), subject: chat(), messages }
}

fn hide_until(name: &str, until: u64) -> HistoryWrite {
    HistoryWrite::HideUntil { user: user(name), subject: chat(), until: Timestamp(until) }
}

/// The rows stay for the others.
pub async fn users_hide_for_themselves_alone(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    write(&*history, 4, rows(1, &[100, 101, 102])).await;
    write(&*history, 5, vec![hide("bob", &[100]), hide("bob", &[100, 102]), hide("alice", &[101])]).await;
    assert_eq!(hidden(&*history, "bob").await, (0, vec![100, 102]));
    let history = fixture.settle(history).await;
    write(&*history, 6, vec![hide("bob", &[101])]).await;
    assert_eq!(hidden(&*history, "bob").await, (0, vec![100, 101, 102]));
    assert_eq!(hidden(&*history, "alice").await, (0, vec![101]));
    assert_eq!(hidden(&*history, "carol").await, (0, vec![]));
    assert_eq!(times(&*history, Order::After, None, 9).await.0, [100, 101, 102]);
}

/// The time never moves back, and what it covers need not be listed.
pub async fn hiding_up_to_a_time_covers_single_ones(fixture: &impl HistoryFixture) {
    let history = fixture.create().await;
    write(&*history, 1, vec![hide("bob", &[100, 101, 102])]).await;
    let history = fixture.settle(history).await;
    write(&*history, 2, vec![hide_until("bob", 101), hide_until("bob", 50)]).await;
    assert_eq!(hidden(&*history, "bob").await, (101, vec![102]));
    let history = fixture.settle(history).await;
    write(&*history, 3, vec![hide("bob", &[100, 103])]).await;
    assert_eq!(hidden(&*history, "bob").await, (101, vec![102, 103]));
    write(&*history, 4, vec![hide_until("bob", 60)]).await;
    let history = fixture.settle(history).await;
    assert_eq!(hidden(&*history, "bob").await, (101, vec![102, 103]));
}
