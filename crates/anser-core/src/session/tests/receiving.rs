//! Pulling, direct messages, copies.

use anser_rmtp::body::{DownStreamMessage, DownStreamMessages};
use anser_rmtp::frame::PubAck;
use anser_rmtp::{ClientFrame, PublishTopic, ServerFrame};
use anser_types::{Status, Timestamp};

use super::super::{Notice, Via};
use super::{Rig, START, copy_of, from_peer, own, private, uid, up};

fn t(offset: u64) -> u64 {
    START.0 + offset
}

fn at(offset: u64) -> i64 {
    i64::try_from(t(offset)).unwrap()
}

/// How often the application was told since somebody looked that everything is there.
fn synced(rig: &Rig) -> usize {
    rig.notices().filter(|notice| matches!(notice, Notice::Synced)).count()
}

/// Lets time pass until a pull goes out. How many seconds that took.
fn wait_for_pull(rig: &mut Rig) -> u64 {
    let mut waited = 0;
    while rig.pulls().is_empty() {
        rig.pass_alive(5_000);
        waited += 5;
    }
    waited
}

#[test]
fn no_gap_a_pull_goes_on_until_it_is_finished_and_confirms_each_page() {
    let mut rig = Rig::synced(|config| config.cursor = Timestamp(5));
    rig.notify(at(40));
    rig.answer_pull(&[from_peer(t(10)), from_peer(t(20))], at(20), false);
    let kinds: Vec<&str> = rig
        .written()
        .map(|frame| match frame {
            ClientFrame::QueryCon { .. } => "con",
            ClientFrame::Query(_) => "pull",
            ClientFrame::PubAck { .. } => "ack",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["ack", "pull", "con", "pull"]);
    assert_eq!(rig.pulls().last().map(|p| p.1), Some(at(20)));
    rig.answer_pull(&[from_peer(t(40))], at(40), true);
    assert_eq!(rig.times_shown(), [t(10), t(20), t(40)]);
    assert_eq!(rig.session.cursor(), Timestamp(t(40)));
    assert!(rig.session.is_synced());
}

#[test]
fn a_session_goes_on_where_the_last_one_ended() {
    let mut rig = Rig::new(|config| config.cursor = Timestamp(123));
    rig.event(super::Event::Start);
    rig.event(super::Event::Navigated(vec!["a:1".into()]));
    rig.sign_in();
    assert_eq!(rig.pulls().iter().map(|p| p.1).collect::<Vec<_>>(), [123]);
}

#[test]
fn a_notify_is_pulled_for_only_when_it_is_news() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(10));
    rig.answer_pull(&[from_peer(t(10))], at(10), true);
    rig.take();
    rig.notify(at(10));
    rig.notify(at(9));
    assert_eq!(rig.pulls(), []);
}

#[test]
fn a_notify_during_a_pull_makes_exactly_one_more() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(10));
    rig.notify(at(20));
    rig.notify(at(30));
    assert_eq!(rig.pulls().len(), 1);
    rig.answer_pull(&[from_peer(t(10))], at(10), true);
    assert_eq!(rig.pulls().len(), 2);
    rig.answer_pull(&[from_peer(t(20)), from_peer(t(30))], at(30), true);
    assert_eq!(rig.pulls().len(), 2);
}

#[test]
fn a_direct_message_is_confirmed_shown_and_moves_the_cursor_while_nothing_is_missing() {
    let mut rig = Rig::synced(|_| {});
    rig.direct(&from_peer(t(10)));
    assert!(matches!(rig.written().next(), Some(ClientFrame::PubAck { message_id: 77 })));
    let shown = rig.received().next().unwrap();
    assert_eq!((shown.via, shown.sent.0, &shown.conversation), (Via::Direct, t(10), &private("peer")));
    assert_eq!(shown.received, rig.now);
    assert_eq!(rig.session.cursor(), Timestamp(t(10)));
    assert_eq!(rig.pulls(), []);
}

#[test]
fn no_gap_a_direct_message_during_a_pull_is_left_to_the_pull() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(5));
    rig.direct(&from_peer(t(10)));
    assert!(rig.times_shown().is_empty());
    assert_eq!(rig.session.cursor(), Timestamp::ZERO);
    rig.answer_pull(&[from_peer(t(5))], at(5), true);
    assert_eq!(rig.pulls().len(), 2, "what was dropped is asked for");
    rig.answer_pull(&[from_peer(t(10))], at(10), true);
    assert_eq!(rig.times_shown(), [t(5), t(10)]);
}

#[test]
fn no_gap_a_direct_message_after_a_failed_pull_is_left_to_the_next_pull() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(5));
    let id = rig.pulls()[0].0;
    rig.answer(id, Status::STORAGE_UNAVAILABLE, Vec::new());
    rig.take();
    rig.direct(&from_peer(t(10)));
    assert!(rig.times_shown().is_empty());
    assert_eq!(rig.pulls().iter().map(|p| p.1).collect::<Vec<_>>(), [0]);
}

#[test]
fn nothing_twice_a_message_that_comes_again_is_not_shown_again() {
    let mut rig = Rig::synced(|_| {});
    rig.direct(&from_peer(t(10)));
    rig.direct(&from_peer(t(10)));
    rig.notify(at(20));
    rig.answer_pull(&[from_peer(t(10)), from_peer(t(20))], at(20), true);
    assert_eq!(rig.times_shown(), [t(10), t(20)]);
}

#[test]
fn nothing_twice_an_own_message_is_known_again_behind_a_long_backlog() {
    let mut rig = Rig::synced(|config| config.seen_max = 2);
    rig.send("peer", 1);
    let (_, message_id, client_id) = rig.published().remove(0);
    rig.ack(message_id, Status::OK);
    let sent = uid(rig.now.0, message_id).to_string();
    rig.notify(at(50));
    let mut list: Vec<DownStreamMessage> = (10..15).map(|offset| from_peer(t(offset))).collect();
    list.push(DownStreamMessage { msg_id: Some(sent), ..own(t(20), client_id) });
    rig.answer_pull(&list, at(50), true);
    assert_eq!(rig.times_shown(), [t(10), t(11), t(12), t(13), t(14)]);
}

#[test]
fn nothing_twice_a_resend_that_became_a_message_of_its_own_is_known_by_its_ack() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    let client_id = rig.published()[0].2;
    rig.take();
    // The ack is lost, and the resend comes so late that the server takes it for another message.
    rig.reconnect();
    let resend = rig.published()[0].1;
    rig.answer_pull(&[own(t(10), client_id)], at(10), true);
    rig.take();
    rig.now = Timestamp(t(20));
    rig.ack(resend, Status::OK);
    rig.notify(at(20));
    let second = DownStreamMessage { msg_id: Some(uid(t(20), resend).to_string()), ..own(t(20), client_id) };
    rig.answer_pull(&[second], at(20), true);
    assert_eq!(rig.received().count(), 0, "it went up from here");
    assert!(!rig.notices().any(|n| matches!(n, Notice::Acked { .. })), "told once, with the first");
}

#[test]
fn nothing_twice_a_timeline_that_comes_again_is_known_as_far_back_as_is_remembered() {
    let mut rig = Rig::synced(|config| config.seen_max = 4);
    for offset in 1..=10 {
        rig.direct(&from_peer(t(offset)));
    }
    rig.take();
    rig.notify(at(50));
    let list: Vec<DownStreamMessage> = (1..=11).map(|offset| from_peer(t(offset))).collect();
    rig.answer_pull(&list[..5], at(25), false);
    rig.answer_pull(&list[5..], at(50), true);
    assert_eq!(rig.times_shown(), [t(1), t(2), t(3), t(4), t(5), t(6), t(11)]);
}

#[test]
fn a_cursor_that_the_server_knows_nothing_of_is_given_up() {
    // Microseconds, say.
    let mut rig = Rig::new(|config| config.cursor = Timestamp(t(0) * 1000));
    rig.event(super::Event::Start);
    rig.event(super::Event::Navigated(vec!["a:1".into()]));
    rig.sign_in();
    rig.answer_pull(&[from_peer(t(10)), from_peer(t(20))], at(20), false);
    assert_eq!(rig.pulls().last().map(|p| p.1), Some(at(20)));
    rig.answer_pull(&[from_peer(t(30))], at(30), true);
    assert_eq!(rig.times_shown(), [t(10), t(20), t(30)]);
    assert_eq!(rig.pulls().len(), 2);
    assert_eq!((synced(&rig), rig.session.synced_cursor()), (1, Timestamp(t(30))));
    rig.take();
    rig.notify(at(40));
    assert_eq!(rig.pulls().iter().map(|p| p.1).collect::<Vec<_>>(), [at(30)]);
}

#[test]
fn no_gap_a_cursor_ahead_of_a_short_timeline_hides_no_notify() {
    let mut rig = Rig::synced(|config| config.cursor = Timestamp(t(1_000)));
    rig.notify(at(10));
    assert_eq!(rig.pulls().len(), 1);
}

#[test]
fn nothing_twice_what_was_handed_out_is_known_again_when_the_server_begins_at_the_beginning() {
    let mut rig = Rig::synced(|_| {});
    rig.direct(&from_peer(t(10)));
    rig.direct(&from_peer(t(30)));
    rig.notify(at(40));
    rig.answer_pull(&[from_peer(t(10)), from_peer(t(20))], at(20), false);
    rig.answer_pull(&[from_peer(t(30)), from_peer(t(40))], at(40), true);
    assert_eq!(rig.pulls().iter().map(|p| p.1).collect::<Vec<_>>(), [at(30), at(20)]);
    assert_eq!(rig.times_shown(), [t(10), t(30), t(20), t(40)]);
    assert_eq!(rig.session.cursor(), Timestamp(t(40)));
}

#[test]
fn an_application_learns_of_a_cursor_that_pushes_moved_with_the_next_pull() {
    let mut rig = Rig::synced(|_| {});
    rig.direct(&from_peer(t(10)));
    wait_for_pull(&mut rig);
    rig.answer_pull(&[], at(10), true);
    assert_eq!((synced(&rig), rig.session.synced_cursor()), (1, Timestamp(t(10))));
    rig.take();
    wait_for_pull(&mut rig);
    rig.answer_pull(&[], at(10), true);
    assert_eq!(synced(&rig), 0, "it knows");
    rig.take();
    wait_for_pull(&mut rig);
    rig.answer_pull(&[from_peer(t(20))], at(20), true);
    assert_eq!((synced(&rig), rig.session.synced_cursor()), (1, Timestamp(t(20))));
}

#[test]
fn no_gap_the_cursor_that_is_told_covers_nothing_that_is_handed_out_later() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(10));
    rig.answer_pull(&[from_peer(t(10))], at(10), true);
    rig.direct(&from_peer(t(20)));
    assert_eq!(rig.session.cursor(), Timestamp(t(20)));
    assert_eq!((synced(&rig), rig.session.synced_cursor()), (1, Timestamp(t(10))));
}

#[test]
fn a_status_message_moves_no_cursor_and_is_shown_at_any_time() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(5));
    rig.direct(&DownStreamMessage { ext_status: Some(64), status: 0, ..from_peer(t(9)) });
    assert_eq!(rig.times_shown(), [t(9)]);
    assert_eq!(rig.session.cursor(), Timestamp::ZERO);
}

#[test]
fn a_pull_without_an_answer_is_asked_again() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(5));
    rig.take();
    rig.pass_alive(26_000);
    assert_eq!(rig.pulls().len(), 1);
    assert!(!rig.session.is_synced());
}

#[test]
fn a_server_that_never_finishes_does_not_make_the_client_spin() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(5));
    let mut asked = 0;
    while !rig.pulls().is_empty() && asked < 20 {
        asked += 1;
        let (id, _) = rig.pulls()[0];
        rig.take();
        let body = prost::Message::encode_to_vec(&DownStreamMessages::default());
        rig.answer(id, Status::OK, body);
    }
    assert_eq!(asked, 4);
}

#[test]
fn a_server_that_leads_in_a_circle_does_not_make_the_client_spin() {
    let mut rig = Rig::synced(|_| {});
    rig.notify(at(50));
    let mut asked = 0;
    while !rig.pulls().is_empty() && asked < 50 {
        asked += 1;
        let offset = [20, 10][asked % 2];
        let (id, _) = rig.pulls()[0];
        rig.take();
        let list = vec![from_peer(t(offset))];
        let page = DownStreamMessages { list, sync_time: at(offset), finished: false, broadcast_sync_time: 0 };
        rig.answer(id, Status::OK, prost::Message::encode_to_vec(&page));
    }
    assert!(asked < 10, "{asked} pulls");
}

#[test]
fn without_any_cause_it_pulls_every_three_to_five_minutes() {
    for seed in 0..20 {
        let mut rig = Rig::synced(|config| config.seed = seed);
        let waited = wait_for_pull(&mut rig);
        assert!((180..=300).contains(&waited), "{waited} s");
    }
}

#[test]
fn what_own_terminals_sent_is_shown_once_as_own() {
    let mut rig = Rig::synced(|_| {});
    rig.frame(copy_of(PublishTopic::Private, "peer", 900, &up("hi", 5)));
    assert_eq!(rig.received().count(), 0, "its UID comes with the ack");
    let ack = PubAck { message_id: 900, sent: Timestamp(t(10)), status: Status::OK, uid: Some(uid(t(10), 1)) };
    rig.frame(ServerFrame::PubAck(ack));
    assert_eq!(rig.session.cursor(), Timestamp(t(10)));
    rig.notify(at(11));
    rig.answer_pull(&[own(t(10), 5), own(t(11), 6)], at(11), true);
    let shown: Vec<(Via, bool)> = rig.received().map(|received| (received.via, received.own)).collect();
    assert_eq!(shown, [(Via::Copy, true), (Via::Pull, true)]);
    let group = DownStreamMessage { kind: 3, group_id: Some("g".into()), from_user_id: "me".into(), ..own(t(12), 7) };
    rig.direct(&group);
    let last = rig.received().last().unwrap();
    assert_eq!((last.conversation.target.as_str(), last.sender.as_str(), last.own), ("g", "me", true));
}

#[test]
fn what_nobody_could_be_shown_is_left_out() {
    let mut rig = Rig::synced(|_| {});
    for broken in [
        DownStreamMessage { msg_id: None, ..from_peer(t(10)) },
        DownStreamMessage { kind: 99, ..from_peer(t(10)) },
        DownStreamMessage { from_user_id: String::new(), ..from_peer(t(10)) },
        DownStreamMessage { data_time: -1, ..from_peer(t(10)) },
        DownStreamMessage { kind: 3, group_id: None, ..from_peer(t(10)) },
    ] {
        rig.direct(&broken);
    }
    rig.push(anser_rmtp::PushTopic::Message, vec![0xff; 9]);
    rig.push(anser_rmtp::PushTopic::Notify, vec![0xff; 9]);
    assert!(!rig.notices().any(|n| matches!(n, Notice::Received(_))));
    assert!(rig.session.is_signed_in());
}

#[test]
fn a_pull_that_the_application_asks_for_goes_out_at_once() {
    let mut rig = Rig::synced(|_| {});
    rig.event(super::Event::Refresh);
    assert_eq!(rig.pulls().len(), 1);
    rig.event(super::Event::Refresh);
    assert_eq!(rig.pulls().len(), 1);
    rig.answer_pull(&[], 0, true);
    assert_eq!(rig.pulls().len(), 2);
    rig.answer_pull(&[], 0, true);
    assert_eq!(synced(&rig), 1, "the application hears when everything is there");
}
