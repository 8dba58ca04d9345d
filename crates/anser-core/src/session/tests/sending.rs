//! Sending and resending.

use anser_rmtp::{ClientFrame, PublishTopic, QueryTopic};
use anser_types::{MessageUid, Status, Timestamp};

use super::super::{AnswerError, Effect, Event, Failure, MessageState, Notice, Outgoing, Question};
use super::{Rig, own, private, uid};

fn acked(rig: &Rig) -> Vec<u64> {
    rig.notices().filter_map(|n| if let Notice::Acked { ticket, .. } = n { Some(*ticket) } else { None }).collect()
}

fn failed(rig: &Rig) -> Vec<(u64, Failure)> {
    let failed = |n: &Notice| {
        if let Notice::Failed { ticket, failure, .. } = n { Some((*ticket, *failure)) } else { None }
    };
    rig.notices().filter_map(failed).collect()
}

#[test]
fn a_message_is_told_as_acked_with_uid_and_time() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    let (text, message_id, client_id) = rig.published().remove(0);
    assert_eq!(text, "1");
    rig.ack(message_id, Status::OK);
    let told: Option<(u64, i64, MessageUid, Timestamp)> = rig.notices().find_map(|n| match n {
        Notice::Acked { ticket, client_id, uid, sent } => Some((*ticket, client_id.0, *uid, *sent)),
        _ => None,
    });
    assert_eq!(told, Some((1, client_id, uid(rig.now.0, message_id), rig.now)));
    assert_eq!(rig.session.unsettled(), 0);
    rig.ack(message_id, Status::OK);
    assert_eq!(acked(&rig), [1], "once");
}

#[test]
fn a_message_is_queued_then_sent_then_settled() {
    let mut rig = Rig::new(|_| {});
    rig.send("peer", 1);
    assert_eq!(rig.session.message_state(1), Some(MessageState::Queued { attempts: 0 }));
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    assert_eq!(rig.session.message_state(1), Some(MessageState::Sent { attempts: 1 }));
    rig.event(Event::Lost { link: rig.link });
    assert_eq!(rig.session.message_state(1), Some(MessageState::Queued { attempts: 1 }));
    rig.run_until(|rig| rig.effects.iter().any(|e| matches!(e, Effect::Open { .. })));
    rig.sign_in();
    assert_eq!(rig.session.message_state(1), Some(MessageState::Sent { attempts: 2 }));
    let id = rig.published().last().unwrap().1;
    rig.ack(id, Status::OK);
    assert_eq!(rig.session.message_state(1), None);
}

#[test]
fn in_order_a_later_message_waits_for_the_earlier_one_of_its_conversation() {
    let mut rig = Rig::synced(|_| {});
    for number in 1..=3 {
        rig.send("peer", number);
    }
    rig.send("other", 4);
    assert_eq!(rig.texts(), ["1", "4"]);
    let ids: Vec<u16> = rig.published().iter().map(|p| p.1).collect();
    rig.take();
    rig.ack(ids[0], Status::OK);
    assert_eq!(rig.texts(), ["2"]);
}

#[test]
fn a_window_allows_several_at_a_time() {
    let mut rig = Rig::synced(|config| config.window = 3);
    for number in 1..=5 {
        rig.send("peer", number);
    }
    assert_eq!(rig.texts(), ["1", "2", "3"]);
}

#[test]
fn nothing_twice_a_resend_carries_the_same_client_id_and_says_that_it_is_one() {
    let mut rig = Rig::synced(|config| config.window = 8);
    for number in 1..=3 {
        rig.send("peer", number);
    }
    let first: Vec<i64> = rig.published().iter().map(|p| p.2).collect();
    rig.take();
    rig.reconnect();
    let second: Vec<i64> = rig.published().iter().map(|p| p.2).collect();
    assert_eq!(rig.texts(), ["1", "2", "3"]);
    assert_eq!(first, second);
    assert!(rig.written().all(|frame| !matches!(frame, ClientFrame::Publish(publish) if !publish.dup)));
}

#[test]
fn an_unanswered_message_is_sent_six_times_in_three_minutes_and_then_fails() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    rig.send("peer", 2);
    rig.pass_alive(179_000);
    assert_eq!(rig.texts().iter().filter(|text| *text == "1").count(), 6);
    assert_eq!(failed(&rig), [(1, Failure::Expired { attempts: 6 })]);
    rig.pass_alive(1_000);
    assert_eq!(failed(&rig).len(), 2, "the second one's time is over as well");
    assert_eq!(rig.session.unsettled(), 0);
}

#[test]
fn a_message_that_was_never_written_expires_as_such() {
    let mut rig = Rig::new(|_| {});
    rig.send("peer", 1);
    rig.pass(180_000);
    assert_eq!(failed(&rig), [(1, Failure::Expired { attempts: 0 })]);
}

#[test]
fn in_order_a_retryable_refusal_holds_the_conversation_back() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    rig.send("peer", 2);
    let id = rig.published()[0].1;
    rig.take();
    rig.ack(id, Status::UNAVAILABLE);
    assert_eq!(rig.texts(), Vec::<String>::new());
    rig.pass(500);
    assert_eq!(rig.texts(), ["1"]);
    let id = rig.published()[0].1;
    rig.ack(id, Status::OK);
    assert_eq!(rig.texts(), ["1", "2"]);
    assert_eq!(acked(&rig), [1]);
}

#[test]
fn in_order_several_refused_at_once_go_back_to_the_first_one_by_one() {
    let mut rig = Rig::synced(|config| config.window = 4);
    for number in 1..=5 {
        rig.send("peer", number);
    }
    let ids: Vec<u16> = rig.published().iter().map(|p| p.1).collect();
    rig.take();
    for id in ids {
        rig.ack(id, Status::UNAVAILABLE);
    }
    rig.pass(500);
    assert_eq!(rig.texts(), ["1"]);
    let id = rig.published()[0].1;
    rig.ack(id, Status::OK);
    assert_eq!(rig.texts(), ["1", "2", "3", "4", "5"]);
}

#[test]
fn in_order_what_was_overtaken_after_a_refusal_is_given_up() {
    let mut rig = Rig::synced(|config| config.window = 4);
    for number in 1..=4 {
        rig.send("peer", number);
    }
    let ids: Vec<u16> = rig.published().iter().map(|p| p.1).collect();
    rig.take();
    rig.ack(ids[0], Status::UNAVAILABLE);
    rig.ack(ids[1], Status::OK);
    rig.ack(ids[2], Status::UNAVAILABLE);
    rig.event(Event::Lost { link: rig.link });
    assert_eq!(failed(&rig), [(1, Failure::Overtaken)]);
    rig.run_until(|rig| rig.effects.iter().any(|e| matches!(e, Effect::Open { .. })));
    rig.sign_in();
    assert_eq!(rig.texts(), ["3"], "it was refused as well, but nothing after it is known to be accepted");
}

#[test]
fn told_why_a_final_refusal_fails_the_message_and_the_next_one_goes() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    rig.send("peer", 2);
    let id = rig.published()[0].1;
    rig.take();
    rig.ack(id, Status::BLACKLISTED);
    assert_eq!(failed(&rig), [(1, Failure::Refused(Status::BLACKLISTED))]);
    assert_eq!(rig.texts(), ["2"]);
}

#[test]
fn more_than_the_bound_is_refused_at_once() {
    let mut rig = Rig::new(|config| config.unsettled_max = 2);
    for number in 1..=3 {
        rig.send("peer", number);
    }
    assert_eq!(failed(&rig), [(3, Failure::TooMany)]);
}

#[test]
fn a_message_whose_ack_was_lost_is_settled_by_the_pull_that_brings_it() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    let client_id = rig.published()[0].2;
    rig.take();
    rig.reconnect();
    let at = rig.now.0;
    rig.answer_pull(&[own(at, client_id)], i64::try_from(at).unwrap(), true);
    assert_eq!(acked(&rig), [1]);
    assert_eq!(rig.received().count(), 0);
    let id = rig.published()[0].1;
    rig.ack(id, Status::OK);
    assert_eq!(acked(&rig), [1], "the answer to the resend tells nothing new");
}

#[test]
fn the_end_of_the_session_fails_what_is_not_settled() {
    let mut rig = Rig::synced(|_| {});
    rig.send("peer", 1);
    rig.send("peer", 2);
    rig.event(Event::Stop);
    assert_eq!(failed(&rig), [(1, Failure::Stopped { attempts: 1 }), (2, Failure::Stopped { attempts: 0 })]);
}

#[test]
fn a_status_message_is_written_once_or_not_at_all() {
    let mut rig = Rig::synced(|_| {});
    let typing = || Event::Send(Box::new(Outgoing::status(private("peer"), "RC:TypSts", "{}")));
    rig.event(typing());
    let topics: Vec<PublishTopic> =
        rig.written().filter_map(|f| if let ClientFrame::Publish(p) = f { Some(p.topic) } else { None }).collect();
    assert_eq!(topics, [PublishTopic::PrivateStatus]);
    assert!(rig.notices().any(|n| matches!(n, Notice::Written { ticket: 0 })));
    rig.take();
    rig.reconnect();
    assert_eq!(rig.texts(), Vec::<String>::new());
    let mut offline = Rig::new(|_| {});
    offline.event(typing());
    assert_eq!(failed(&offline), [(0, Failure::Expired { attempts: 0 })]);
}

#[test]
fn client_ids_rise_and_never_repeat() {
    let mut rig = Rig::new(|_| {});
    for number in 0..100 {
        rig.send("peer", number);
    }
    rig.event(Event::Start);
    rig.event(Event::Navigated(vec!["a:1".into()]));
    rig.session.config.window = 1000;
    rig.sign_in();
    let ids: Vec<i64> = rig.published().iter().map(|p| p.2).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_query_is_answered_once_whatever_happens() {
    let question =
        |ticket| Event::Ask(Question { ticket, topic: QueryTopic::Conversations, target: None, body: "".into() });
    let answers = |rig: &Rig| -> Vec<(u64, Result<Vec<u8>, AnswerError>)> {
        let answer = |n: &Notice| match n {
            Notice::Answer { ticket, answer } => Some((*ticket, answer.clone().map(|body| body.to_vec()))),
            _ => None,
        };
        rig.notices().filter_map(answer).collect()
    };
    let mut rig = Rig::synced(|_| {});
    for ticket in 1..=4 {
        rig.event(question(ticket));
    }
    let ids: Vec<u16> =
        rig.written().filter_map(|f| if let ClientFrame::Query(q) = f { Some(q.message_id) } else { None }).collect();
    rig.answer(ids[1], Status::OK, b"yes".to_vec());
    rig.answer(ids[0], Status::BAD_PARAMETER, Vec::new());
    rig.answer(ids[0], Status::OK, Vec::new());
    rig.event(Event::Lost { link: rig.link });
    rig.event(question(5));
    let expected = [
        (2, Ok(b"yes".to_vec())),
        (1, Err(AnswerError::Refused(Status::BAD_PARAMETER))),
        (3, Err(AnswerError::ConnectionLost)),
        (4, Err(AnswerError::ConnectionLost)),
        (5, Err(AnswerError::NotConnected)),
    ];
    assert_eq!(answers(&rig), expected);
}

#[test]
fn a_query_without_an_answer_times_out() {
    let mut rig = Rig::synced(|_| {});
    rig.event(Event::Ask(Question { ticket: 9, topic: QueryTopic::Conversations, target: None, body: "".into() }));
    rig.pass_alive(25_000);
    assert!(rig.notices().any(|n| matches!(n, Notice::Answer { ticket: 9, answer: Err(AnswerError::TimedOut) })));
}
