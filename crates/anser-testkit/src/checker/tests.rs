//! Hand-written traces: each violation, and each oddity that is none.

use anser_types::{ConversationType, MessageUid, Timestamp, target_hash};

use super::{Checker, Options, Promise, Report};
use crate::trace::{
    CallId, ClientConnection, Conversation, Direction, Event, Keep, Kind, Line, PageItem, RosterStep, Seen, Terminal,
    Via,
};

/// A trace in the making. Terminal `t` of user `u` connects as connection `c`.
#[derive(Default)]
struct Story {
    lines: Vec<Line>,
}

fn uid(sent: u64) -> MessageUid {
    MessageUid::new(Timestamp(sent), 0, ConversationType::Private, target_hash("x"))
}

fn chat(target: &str) -> Conversation {
    let kind = if target.starts_with('g') { Kind::Group } else { Kind::Private };
    Conversation { kind, target: target.into() }
}

impl Story {
    /// Alice on connection 1, Bob on 2; both new.
    fn two() -> Self {
        Self::default().connect(1, 1, "alice").connect(2, 2, "bob")
    }

    fn event(mut self, event: Event) -> Self {
        let at = self.lines.len() as u64;
        self.lines.push(Line { at, event });
        self
    }

    fn connect(self, c: u64, t: u64, user: &str) -> Self {
        self.connect_at(c, t, user, 0)
    }

    fn connect_at(self, c: u64, t: u64, user: &str, cursor: u64) -> Self {
        let (connection, terminal) = (ClientConnection(c), Terminal(t));
        self.event(Event::Connected { connection, terminal, user: user.into(), cursor })
    }

    fn cut(self, c: u64) -> Self {
        self.event(Event::Disconnected { connection: ClientConnection(c) })
    }

    fn roster(self, group: &str, user: &str, step: RosterStep) -> Self {
        self.event(Event::Roster { group: group.into(), users: vec![user.into()], step })
    }

    /// The call and the body have the same number, unless it is a resend.
    fn send(self, call: u64, c: u64, user: &str, target: &str) -> Self {
        self.resend(call, c, user, target, call)
    }

    fn resend(self, call: u64, c: u64, user: &str, target: &str, body: u64) -> Self {
        self.event(Event::Invoked {
            call: CallId(call),
            user: user.into(),
            connection: Some(ClientConnection(c)),
            conversation: chat(target),
            client_id: None,
            body,
            keep: Keep::History,
            to: Vec::new(),
        })
    }

    fn ack(self, call: u64, sent: u64) -> Self {
        self.event(Event::Acked { call: CallId(call), uid: uid(sent), sent })
    }

    fn refuse(self, call: u64, status: u16) -> Self {
        self.event(Event::Refused { call: CallId(call), status })
    }

    /// A received message; body and uid as `(body, sent)`.
    fn show(self, c: u64, sender: &str, target: &str, body: u64, sent: u64) -> Self {
        self.seen(c, (sender, target), body, uid(sent), Direction::Received)
    }

    fn show_own(self, c: u64, sender: &str, target: &str, body: u64, sent: u64) -> Self {
        self.seen(c, (sender, target), body, uid(sent), Direction::Sent)
    }

    fn seen(self, c: u64, (sender, target): (&str, &str), body: u64, uid: MessageUid, direction: Direction) -> Self {
        let conversation = chat(target);
        let message = Seen { uid, sent: uid.sent_time().0, sender: sender.into(), conversation, direction, body };
        self.event(Event::Shown { connection: ClientConnection(c), via: Via::Pull, message })
    }

    fn placed(self, user: &str, sent: u64, position: u64) -> Self {
        self.event(Event::Placed { user: user.into(), uid: uid(sent), position })
    }

    fn logged(self, sender: &str, target: &str, recipients: &[&str], body: u64, sent: u64) -> Self {
        self.taken(sender, target, recipients, (body, sent), None)
    }

    /// In the log, which took it at this time in milliseconds.
    fn taken(
        self,
        sender: &str,
        target: &str,
        recipients: &[&str],
        (body, sent): (u64, u64),
        taken_ms: Option<u64>,
    ) -> Self {
        self.event(Event::Logged {
            uid: uid(sent),
            sent,
            sender: sender.into(),
            conversation: chat(target),
            recipients: recipients.iter().map(|&r| r.into()).collect(),
            keep: Keep::History,
            body,
            taken: taken_ms.map(|millis| millis * 1_000),
        })
    }

    fn page(self, user: &str, target: &str, items: &[(u64, u64, u64)], more: bool) -> Self {
        self.page_before(user, target, None, items, more)
    }

    fn page_before(self, user: &str, target: &str, before: Option<u64>, items: &[(u64, u64, u64)], more: bool) -> Self {
        let item =
            |&(body, sent, number): &(u64, u64, u64)| PageItem { uid: uid(sent), sent, number: Some(number), body };
        let items = items.iter().map(item).collect();
        self.event(Event::Paged { user: user.into(), conversation: chat(target), before, items, more })
    }

    fn pull(self, c: u64, pull: u64, cursor: u64) -> Self {
        self.event(Event::Pulling { connection: ClientConnection(c), pull, cursor })
    }

    fn pulled(self, c: u64, pull: u64, synced: u64) -> Self {
        self.event(Event::Pulled { connection: ClientConnection(c), pull, synced, finished: true })
    }

    fn notified(self, c: u64, time: u64) -> Self {
        self.event(Event::Notified { connection: ClientConnection(c), time })
    }

    fn quiet(self) -> Self {
        self.event(Event::Quiet)
    }

    fn report(&self) -> Report {
        Checker::check(Options::default(), &self.lines)
    }

    #[track_caller]
    fn breaks_nothing(self) {
        let report = self.report();
        assert!(report.is_clean(), "{report}");
    }

    #[track_caller]
    fn breaks(self, promise: Promise) {
        let report = self.report();
        assert_eq!(report.counts.keys().collect::<Vec<_>>(), [&promise], "{report}");
        let ends = self.lines.len();
        assert!(
            report.violations.iter().all(|v| !v.events.is_empty() && v.events.iter().all(|e| *e < ends)),
            "{report}"
        );
    }
}

#[test]
fn a_plain_conversation_breaks_nothing() {
    Story::two()
        .send(1, 1, "alice", "bob")
        .placed("alice", 10, 10)
        .placed("bob", 10, 10)
        .ack(1, 10)
        .notified(2, 10)
        .pull(2, 1, 0)
        .pulled(2, 1, 10)
        .show(2, "alice", "alice", 1, 10)
        .send(2, 2, "bob", "alice")
        .ack(2, 11)
        .show(1, "bob", "bob", 2, 11)
        .logged("alice", "bob", &["bob"], 1, 10)
        .logged("bob", "alice", &["alice"], 2, 11)
        .quiet()
        .page("alice", "bob", &[(2, 11, 2), (1, 10, 1)], false)
        .page("bob", "alice", &[(2, 11, 2)], true)
        .page_before("bob", "alice", Some(11), &[(1, 10, 1)], false)
        .breaks_nothing();
}

#[test]
fn acked_is_durable_fails_when_an_acked_message_is_nowhere() {
    Story::two().send(1, 1, "alice", "bob").ack(1, 10).quiet().breaks(Promise::AckedIsDurable);
}

#[test]
fn acked_is_durable_fails_when_the_log_does_not_have_it() {
    Story::two()
        .send(1, 1, "alice", "bob")
        .ack(1, 10)
        .show(2, "alice", "alice", 1, 10)
        .send(2, 1, "alice", "bob")
        .ack(2, 11)
        .show(2, "alice", "alice", 2, 11)
        .logged("alice", "bob", &["bob"], 1, 10)
        .quiet()
        .breaks(Promise::AckedIsDurable);
}

#[test]
fn nothing_lost_fails_when_one_terminal_of_the_receiver_misses_it() {
    let story =
        Story::two().connect(3, 3, "bob").send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10);
    story.quiet().breaks(Promise::NothingLost);
}

#[test]
fn nothing_lost_fails_when_the_senders_other_terminal_misses_it() {
    let story =
        Story::two().connect(3, 3, "alice").send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10);
    story.quiet().breaks(Promise::NothingLost);
}

#[test]
fn nothing_lost_fails_when_only_one_was_shown_what_nobody_has_an_ack_for() {
    let joined = |story: Story, user| story.roster("g", user, RosterStep::Joined);
    let story = ["alice", "bob", "carl"].into_iter().fold(Story::two().connect(3, 3, "carl"), joined);
    let story = story.send(1, 1, "alice", "g").cut(1).show(2, "alice", "g", 1, 10).quiet();
    story.breaks(Promise::NothingLost);
}

#[test]
fn nothing_lost_fails_when_history_misses_it() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10).quiet();
    story.page("alice", "bob", &[], false).breaks(Promise::NothingLost);
}

#[test]
fn nothing_lost_asks_no_history_from_before_a_joining() {
    let joined = |story: Story, user| story.roster("g", user, RosterStep::Joined);
    let story =
        joined(joined(Story::two(), "alice"), "bob").send(1, 1, "alice", "g").ack(1, 10).show(2, "alice", "g", 1, 10);
    let again = |story: Story| joined(story.roster("g", "bob", RosterStep::Leaving), "bob");
    again(story).quiet().page("bob", "g", &[], false).breaks_nothing();
}

#[test]
fn nothing_lost_asks_nothing_of_absent_terminals_and_older_cursors() {
    Story::two()
        .send(1, 1, "alice", "bob")
        .ack(1, 10)
        .show(2, "alice", "alice", 1, 10)
        .connect(3, 3, "bob")
        .cut(3)
        .connect_at(4, 4, "bob", 10)
        .quiet()
        .breaks_nothing();
}

#[test]
fn nothing_lost_and_one_way_in_follow_the_roster() {
    let joined = |story: Story| story.roster("g", "alice", RosterStep::Joined).roster("g", "bob", RosterStep::Joined);
    let sent = |story: Story| story.send(1, 1, "alice", "g").ack(1, 10);
    sent(joined(Story::two())).quiet().breaks(Promise::AckedIsDurable);
    sent(joined(Story::two()).roster("g", "bob", RosterStep::Left)).quiet().breaks_nothing();
    // Sent while Bob was leaving: nobody outside can tell.
    let leaving =
        sent(joined(Story::two()).roster("g", "bob", RosterStep::Leaving)).roster("g", "bob", RosterStep::Left);
    leaving.quiet().breaks_nothing();
    let leaving = sent(joined(Story::two()).roster("g", "bob", RosterStep::Leaving)).show(2, "alice", "g", 1, 10);
    leaving.quiet().breaks_nothing();
    let left = sent(joined(Story::two()).roster("g", "bob", RosterStep::Left)).show(2, "alice", "g", 1, 10);
    left.quiet().breaks(Promise::OneWayIn);
    // The log knows better.
    let exact = sent(joined(Story::two()).roster("g", "bob", RosterStep::Leaving)).show(2, "alice", "g", 1, 10);
    exact.logged("alice", "g", &[], 1, 10).quiet().breaks(Promise::OneWayIn);
}

#[test]
fn nothing_twice_fails_when_a_resend_makes_a_second_message() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).resend(2, 1, "alice", "bob", 1);
    story.ack(2, 11).breaks(Promise::NothingTwice);
}

#[test]
fn nothing_twice_goes_by_the_time_at_which_the_log_took_a_resend_whatever_its_sent_time_says() {
    let hour = 3_600_000;
    let story = |first: u64, second: u64, between: u64| {
        let story =
            Story::two().send(1, 1, "alice", "bob").ack(1, first).resend(2, 1, "alice", "bob", 1).ack(2, second);
        let story = story.taken("alice", "bob", &["bob"], (1, first), Some(10));
        story.taken("alice", "bob", &["bob"], (1, second), Some(10 + between))
    };
    story(10, 10 + 2 * hour, 1_000).breaks(Promise::NothingTwice);
    story(10, 20, hour + 1).breaks_nothing();
}

#[test]
fn nothing_twice_allows_a_resend_after_the_window_and_one_without_an_id() {
    let late = 10 + 3600 * 1000 + 1;
    Story::two().send(1, 1, "alice", "bob").ack(1, 10).resend(2, 1, "alice", "bob", 1).ack(2, late).breaks_nothing();
    // Without an id of the client the second attempt has a body key of its own.
    Story::two()
        .send(1, 1, "alice", "bob")
        .cut(1)
        .connect(3, 1, "alice")
        .send(2, 3, "alice", "bob")
        .ack(2, 12)
        .show_own(3, "alice", "bob", 1, 11)
        .show(2, "alice", "alice", 1, 11)
        .show(2, "alice", "alice", 2, 12)
        .quiet()
        .breaks_nothing();
}

#[test]
fn nothing_twice_fails_when_a_terminal_shows_it_twice() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10);
    story.show(2, "alice", "alice", 1, 10).breaks(Promise::NothingTwice);
}

#[test]
fn nothing_twice_fails_when_the_sending_terminal_has_both_ack_and_message() {
    let acked = Story::two().send(1, 1, "alice", "bob").ack(1, 10).show_own(1, "alice", "bob", 1, 10);
    acked.breaks(Promise::NothingTwice);
    let shown = Story::two().send(1, 1, "alice", "bob").show_own(1, "alice", "bob", 1, 10).ack(1, 10);
    shown.breaks(Promise::NothingTwice);
}

#[test]
fn nothing_twice_allows_the_own_message_whose_ack_came_when_its_terminal_took_none_any_more() {
    let story = |gave_up: bool| {
        let sent =
            Story::two().send(1, 1, "alice", "bob").cut(1).connect(3, 1, "alice").resend(2, 3, "alice", "bob", 1);
        let waited = if gave_up { sent.event(Event::GaveUp { call: CallId(2) }) } else { sent };
        waited.ack(2, 10).show_own(3, "alice", "bob", 1, 10)
    };
    story(true).breaks_nothing();
    story(false).breaks(Promise::NothingTwice);
}

#[test]
fn nothing_twice_fails_when_a_message_goes_back_on_its_own_connection() {
    let withheld =
        |c, story: Story| story.event(Event::Withheld { connection: ClientConnection(c), uid: uid(10), body: 1 });
    withheld(1, Story::two().send(1, 1, "alice", "bob").ack(1, 10)).breaks(Promise::NothingTwice);
    let again = Story::two().send(1, 1, "alice", "bob").ack(1, 10).cut(1).connect(3, 1, "alice");
    withheld(3, again).breaks_nothing();
}

#[test]
fn acked_is_durable_fails_when_something_was_shown_that_the_log_does_not_have() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).logged("alice", "bob", &["bob"], 1, 10);
    let story = story.show(2, "alice", "alice", 1, 10).send(2, 1, "alice", "bob").cut(1);
    story.show(2, "alice", "alice", 2, 11).quiet().breaks(Promise::AckedIsDurable);
}

#[test]
fn nothing_twice_allows_the_own_message_of_a_lost_connection_and_its_resend() {
    Story::two()
        .send(1, 1, "alice", "bob")
        .cut(1)
        .connect(3, 1, "alice")
        .show_own(3, "alice", "bob", 1, 10)
        .resend(2, 3, "alice", "bob", 1)
        .ack(2, 10)
        .breaks_nothing();
}

#[test]
fn nothing_twice_allows_what_a_store_that_forgot_places_anew() {
    let before = || {
        let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).placed("bob", 10, 10);
        story.show(2, "alice", "alice", 1, 10)
    };
    before().event(Event::StoreForgot).placed("bob", 10, 2010).show(2, "alice", "alice", 1, 10).breaks_nothing();
    before().placed("bob", 10, 2010).breaks(Promise::NothingTwice);
    before().event(Event::StoreForgot).show(2, "alice", "alice", 1, 10).breaks(Promise::NothingTwice);
}

#[test]
fn nothing_twice_where_nobody_knows_what_is_placed_allows_what_was_shown_since_the_store_was_saved() {
    let shown = || Story::two().send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10);
    shown().event(Event::StoreForgot).show(2, "alice", "alice", 1, 10).breaks_nothing();
    let saved = || shown().event(Event::StoreSaved).event(Event::StoreForgot);
    saved().show(2, "alice", "alice", 1, 10).breaks(Promise::NothingTwice);
}

#[test]
fn one_order_allows_no_other_order_for_what_a_store_forgot() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).send(2, 1, "alice", "bob").ack(2, 20);
    let story = story.show(2, "alice", "alice", 2, 20).event(Event::StoreForgot);
    story.show(2, "alice", "alice", 1, 10).breaks(Promise::OneOrder);
}

#[test]
fn nothing_twice_fails_when_the_log_or_history_has_it_twice() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10);
    let twice = story.logged("alice", "bob", &["bob"], 1, 10).logged("alice", "bob", &["bob"], 1, 11);
    twice.breaks(Promise::NothingTwice);
}

#[test]
fn in_order_fails_when_later_sends_get_earlier_times() {
    let story = Story::two().send(1, 1, "alice", "bob").send(2, 1, "alice", "bob").ack(2, 10).ack(1, 11);
    story.breaks(Promise::InOrder);
    // Across conversations the order counts from the ack on.
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).send(2, 1, "alice", "carol").ack(2, 9);
    story.breaks(Promise::InOrder);
    let other = Story::two().connect(3, 3, "alice").send(1, 1, "alice", "bob").ack(1, 10);
    other.send(2, 3, "alice", "carol").ack(2, 9).breaks(Promise::InOrder);
}

#[test]
fn in_order_allows_what_was_sent_again_later_or_elsewhere() {
    let again = Story::two().send(1, 1, "alice", "bob").refuse(1, 20_607).send(2, 1, "alice", "bob").ack(2, 10);
    again.resend(3, 1, "alice", "bob", 1).ack(3, 11).breaks_nothing();
    let elsewhere = Story::two().connect(3, 3, "alice").send(1, 1, "alice", "bob").send(2, 3, "alice", "bob");
    elsewhere.ack(2, 10).ack(1, 11).breaks_nothing();
}

#[test]
fn in_order_allows_what_a_node_sent_again_after_the_window() {
    let story = |accepted: [u64; 2]| {
        let story = Story::two().send(1, 1, "alice", "bob").send(2, 1, "alice", "bob");
        let [earlier, later] = accepted;
        let story = story.logged("alice", "bob", &["bob"], earlier, 10).logged("alice", "bob", &["bob"], later, 11);
        let hour = 3_600_000;
        story.logged("alice", "bob", &["bob"], 1, 20 + hour).logged("alice", "bob", &["bob"], 2, 21 + hour)
    };
    story([1, 2]).breaks_nothing();
    story([2, 1]).breaks(Promise::InOrder);
}

#[test]
fn in_order_binds_no_user_to_what_the_server_api_sends_in_their_name() {
    let by_api = Event::Invoked {
        call: CallId(1),
        user: "alice".into(),
        connection: None,
        conversation: chat("bob"),
        client_id: None,
        body: 1,
        keep: Keep::History,
        to: Vec::new(),
    };
    Story::two().event(by_api).ack(1, 10).send(2, 1, "alice", "carol").ack(2, 9).breaks_nothing();
}

#[test]
fn in_order_fails_when_two_messages_of_a_user_share_a_time() {
    let story = Story::two().connect(3, 3, "alice").send(1, 1, "alice", "bob").send(2, 3, "alice", "carol");
    let other = MessageUid::new(Timestamp(10), 1, ConversationType::Private, 0);
    story.ack(1, 10).event(Event::Acked { call: CallId(2), uid: other, sent: 10 }).breaks(Promise::InOrder);
}

#[test]
fn in_order_fails_when_positions_do_not_rise() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).send(2, 1, "alice", "bob").ack(2, 11);
    story.placed("bob", 10, 12).placed("bob", 11, 12).breaks(Promise::InOrder);
    Story::two().send(1, 1, "alice", "bob").ack(1, 10).placed("bob", 10, 9).breaks(Promise::InOrder);
}

#[test]
fn one_order_fails_when_a_terminal_sees_it_backwards() {
    let story = Story::two().send(1, 1, "alice", "bob").send(2, 1, "alice", "bob").ack(1, 10).ack(2, 11);
    story.show(2, "alice", "alice", 2, 11).show(2, "alice", "alice", 1, 10).breaks(Promise::OneOrder);
}

#[test]
fn one_order_fails_when_numbers_have_holes_or_are_shared() {
    let story = || Story::two().send(1, 1, "alice", "bob").send(2, 1, "alice", "bob").ack(1, 10).ack(2, 11);
    story().page("alice", "bob", &[(2, 11, 3), (1, 10, 1)], false).breaks(Promise::OneOrder);
    story().page("alice", "bob", &[(1, 10, 1), (2, 11, 0)], false).breaks(Promise::OneOrder);
    let shared = story().page("alice", "bob", &[(2, 11, 2)], true).page("bob", "alice", &[(1, 10, 2)], true);
    shared.breaks(Promise::OneOrder);
}

#[test]
fn one_order_fails_when_the_log_goes_back_in_time() {
    let story = Story::two().connect(3, 3, "bob").send(1, 1, "alice", "bob").ack(1, 10).send(2, 3, "bob", "alice");
    story.ack(2, 9).logged("alice", "bob", &[], 1, 10).logged("bob", "alice", &[], 2, 9).breaks(Promise::OneOrder);
}

#[test]
fn causal_fails_when_an_answer_sorts_before_what_it_answers() {
    let shown = || Story::two().send(1, 1, "alice", "bob").ack(1, 10).show(2, "alice", "alice", 1, 10);
    shown().send(2, 2, "bob", "carol").ack(2, 9).breaks(Promise::Causal);
    // Over a reconnect it holds within the conversation.
    let again = || shown().cut(2).connect(3, 2, "bob");
    again().send(2, 3, "bob", "alice").ack(2, 9).breaks(Promise::Causal);
    again().send(2, 3, "bob", "carol").ack(2, 9).breaks_nothing();
}

#[test]
fn no_gap_fails_when_something_appears_below_a_cursor() {
    let story = || Story::two().send(1, 1, "alice", "bob").ack(1, 10);
    story().pull(2, 1, 0).pulled(2, 1, 12).placed("bob", 10, 11).breaks(Promise::NoGap);
    story().event(Event::Held { user: "bob".into(), cursor: 12 }).placed("bob", 10, 12).breaks(Promise::NoGap);
}

#[test]
fn no_gap_fails_when_a_store_that_forgot_reuses_positions() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).placed("bob", 10, 10).pull(2, 1, 0).pulled(2, 1, 10);
    story.event(Event::StoreForgot).placed("bob", 10, 10).breaks(Promise::NoGap);
}

#[test]
fn nothing_twice_fails_when_a_store_places_anew_what_it_did_not_forget() {
    let placed = || Story::two().send(1, 1, "alice", "bob").ack(1, 10).placed("bob", 10, 10);
    placed().event(Event::StoreForgot).placed("bob", 10, 2010).breaks_nothing();
    let saved = || placed().event(Event::StoreSaved).event(Event::StoreForgot);
    saved().placed("bob", 10, 2010).breaks(Promise::NothingTwice);
    // What it forgot before it was saved may come later still.
    let story = placed().event(Event::StoreForgot).event(Event::StoreSaved).event(Event::StoreForgot);
    story.placed("bob", 10, 2010).breaks_nothing();
}

#[test]
fn no_gap_fails_when_sync_times_go_back_or_fall_short_of_a_notify() {
    Story::two().pull(2, 1, 5).pulled(2, 1, 4).breaks(Promise::NoGap);
    Story::two().pull(2, 1, 5).pulled(2, 1, 9).pull(2, 2, 5).pulled(2, 2, 8).breaks(Promise::NoGap);
    Story::two().notified(2, 10).pull(2, 1, 5).pulled(2, 1, 9).breaks(Promise::NoGap);
    // A notify that came after the question may be ahead of the answer.
    Story::two().pull(2, 1, 5).notified(2, 10).pulled(2, 1, 9).breaks_nothing();
}

#[test]
fn unique_ids_fails_when_two_messages_share_a_uid() {
    let story = Story::two().send(1, 1, "alice", "bob").ack(1, 10).send(2, 2, "bob", "alice").ack(2, 10);
    story.breaks(Promise::UniqueIds);
    let other_time = Event::Acked { call: CallId(1), uid: uid(10), sent: 11 };
    Story::two().send(1, 1, "alice", "bob").event(other_time).breaks(Promise::UniqueIds);
}

#[test]
fn one_way_in_fails_when_a_stranger_or_a_wrong_sender_is_shown() {
    let story = || Story::two().connect(3, 3, "eve").send(1, 1, "alice", "bob").ack(1, 10);
    story().show(2, "eve", "eve", 1, 10).breaks(Promise::OneWayIn);
    let eve = story().show(3, "alice", "alice", 1, 10).report();
    assert!(eve.count(Promise::OneWayIn) > 0, "{eve}");
    story().show(2, "alice", "alice", 77, 10).breaks(Promise::OneWayIn);
    story().show_own(2, "alice", "alice", 1, 10).breaks(Promise::OneWayIn);
}

#[test]
fn one_way_in_fails_when_history_is_read_by_a_stranger() {
    let group = Story::two().connect(3, 3, "eve").roster("g", "alice", RosterStep::Joined).send(1, 1, "alice", "g");
    group.ack(1, 10).quiet().page("eve", "g", &[(1, 10, 1)], false).breaks(Promise::OneWayIn);
}

#[test]
fn told_why_fails_without_an_outcome_or_with_a_strange_one() {
    let story = || Story::two().send(1, 1, "alice", "bob");
    story().quiet().breaks(Promise::ToldWhy);
    story().cut(1).quiet().breaks_nothing();
    story().refuse(1, 405).quiet().breaks_nothing();
    story().refuse(1, 499).quiet().breaks(Promise::ToldWhy);
    story().refuse(1, 405).refuse(1, 405).breaks(Promise::ToldWhy);
    story().refuse(1, 405).show(2, "alice", "alice", 1, 10).breaks(Promise::ToldWhy);
    story().refuse(1, 20_607).show(2, "alice", "alice", 1, 10).breaks_nothing();
    Story::two().pull(1, 1, 0).quiet().breaks(Promise::ToldWhy);
}

#[test]
fn only_the_first_violations_are_kept_and_all_are_counted() {
    let mut story = Story::two().send(1, 1, "alice", "bob").ack(1, 10);
    for _ in 0..50 {
        story = story.show(2, "alice", "alice", 1, 10);
    }
    let report = story.report();
    assert_eq!((report.count(Promise::NothingTwice), report.violations.len()), (49, 20));
}
