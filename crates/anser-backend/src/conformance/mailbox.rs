//! What every [`Mailbox`] must do, as cases that an adapter runs with [`mailbox_suite!`](crate::mailbox_suite).
//!
//! The cases know of the port alone. Where it matters they look twice: at rows just written, and at rows that come back from
//! wherever the adapter keeps them for good.

mod lists;
mod presence;
mod rebuild;
mod recalls;
mod replay;
mod rollback;
mod rows;

use std::sync::Arc;

use anser_types::Position;

use crate::{BoxFuture, Mailbox, Page, RangeQuery};

pub use lists::*;
pub use presence::*;
pub use rebuild::*;
pub use recalls::*;
pub use rollback::*;
pub use rows::*;

/// How the suite gets at a mailbox of one kind. One fixture serves one case.
pub trait MailboxFixture: Sync {
    /// An empty mailbox.
    fn create(&self) -> BoxFuture<'_, Arc<dyn Mailbox>>;

    /// Makes everything that was written durable, drops what is held in memory, and gives the mailbox back.
    fn settle(&self, mailbox: Arc<dyn Mailbox>) -> BoxFuture<'_, Arc<dyn Mailbox>>;

    /// Notes what the store holds, to come back to.
    fn save(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The store comes back as it was at `save`, while the handles to it remember what they wrote since. Returns false if a
    /// store of this kind cannot do that to an open handle.
    fn roll_back(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }

    /// Asks for the mailbox to be rebuilt. Returns false if a store of this kind cannot be.
    fn ask_rebuild(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }

    /// Whether it is for several nodes, and so keeps where users are. One for a single node answers that they are nowhere else.
    fn keeps_presence(&self) -> bool {
        true
    }
}

/// Runs every case of the suite as a test of its own, each with a new fixture. The caller's crate needs `tokio` with macros.
///
/// With `maybe`, the expression is an option: without a fixture a case does nothing. It is for the caller to say why.
#[macro_export]
macro_rules! mailbox_suite {
    (maybe $fixture:expr) => {
        $crate::mailbox_suite!(@cases $fixture;
            positions_strictly_rise_and_are_the_sent_time_where_they_can,
            a_repeated_batch_changes_nothing,
            an_overlapping_batch_applies_only_what_is_new,
            parts_of_one_batch_apply_in_their_order,
            a_stale_claim_is_refused_as_a_whole,
            marks_belong_to_bucket_and_partition,
            pages_go_on_where_the_last_one_ended,
            a_page_holds_at_least_one_entry_whatever_the_limit,
            nothing_is_after_the_head,
            a_lift_keeps_later_entries_above_the_floor,
            a_lift_lasts,
            expired_entries_are_gone,
            replay_starts_where_applying_ended,
            lists_show_the_newest_first,
            lists_answer_by_type_time_and_count,
            what_counts_is_unread_until_it_is_read,
            own_and_uncounted_entries_move_the_list_alone,
            a_read_covers_what_was_sent_until_then,
            a_removed_conversation_comes_back_with_the_next_entry,
            repeated_reads_and_removals_are_skipped,
            pages_name_what_was_taken_back,
            what_was_taken_back_is_not_unread,
            a_list_shows_what_took_its_last_message_back,
            a_recall_brings_no_conversation_onto_the_list,
            recalls_are_skipped_below_the_mark_and_go_with_the_entries,
            of_so_many_recalls_the_newest_are_known,
            users_see_nothing_of_each_other,
            cursors_never_move_back,
            entries_are_placed_with_where_their_users_are,
            a_late_sign_out_hides_no_newer_terminal,
            what_was_lost_comes_before_anything_newer,
            a_rollback_shows_without_a_write,
            nothing_new_is_at_or_below_what_was_shown_before_a_rollback,
            a_rebuild_is_replayed_over_nothing,
            a_rebuild_refuses_whoever_has_not_begun_it,
            a_rebuild_keeps_what_does_not_come_from_the_log,
            places_of_before_a_rebuild_count_no_more,
        );
    };
    ($fixture:expr) => {
        $crate::mailbox_suite!(maybe Some($fixture));
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(fixture) = $fixture {
                    $crate::conformance::mailbox::$case(&fixture).await;
                }
            }
        )*
    };
}

async fn all_after(mailbox: &dyn Mailbox, user: &anser_types::UserKey, after: u64) -> Page {
    page(mailbox, user, after, usize::MAX, usize::MAX).await
}

async fn page(
    mailbox: &dyn Mailbox,
    user: &anser_types::UserKey,
    after: u64,
    entries_max: usize,
    bytes_max: usize,
) -> Page {
    let query = RangeQuery { user: user.clone(), after: Position(after), entries_max, bytes_max };
    mailbox.range(query).await.expect("a page")
}

fn positions(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.position.0).collect()
}
