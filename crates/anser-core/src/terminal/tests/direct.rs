//! When a message itself is pushed.

use super::*;

fn direct(offset: u64) -> Pushed {
    Pushed::Message(offset, Qos::AtLeastOnce, 0x8000)
}

#[test]
fn a_synced_client_gets_the_message_itself_and_the_next_one_after_its_puback() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    assert_eq!(bench.pushes(), [direct(20)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [Pushed::Message(21, Qos::AtLeastOnce, 0x8001)]);
}

#[test]
fn no_gap_before_the_answer_is_confirmed_nothing_is_pushed() {
    let mut bench = Bench::new(old_web());
    bench.pulls(0, read(0, vec![item(10)], 10));
    let (answer, _) = bench.answer();
    assert_eq!(answer.qos, Qos::AtLeastOnce, "asked with qos 0, but it has to be confirmed");
    bench.arrives(20, 10);
    assert_eq!(bench.pushes(), [Pushed::Notice(20)]);
    bench.frame(ClientFrame::QueryCon { message_id: answer.message_id });
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [], "a confirmation that comes after something newer opens nothing");
}

#[test]
fn no_gap_an_answer_that_did_not_finish_opens_nothing() {
    let mut bench = Bench::new(old_web());
    let id = bench.pulls(0, PullReply { finished: false, ..read(0, vec![item(10)], 30) });
    bench.frame(ClientFrame::QueryCon { message_id: id });
    bench.out.clear();
    bench.arrives(40, 30);
    assert_eq!(bench.pushes(), [], "the client pulls on at once; that brings it");
}

#[test]
fn no_gap_something_that_was_missed_on_the_way_is_never_jumped_over() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(30, 20);
    assert_eq!(bench.pushes(), [Pushed::Notice(30)]);
    bench.arrives(20, 10);
    assert_eq!(bench.pushes(), [], "what comes late is in the pull that was asked for");
}

#[test]
fn a_message_whose_position_is_not_its_time_is_not_pushed() {
    let mut bench = Bench::synced(old_web());
    bench.arrives_at(message(9), 11, 10, None);
    assert_eq!(bench.pushes(), [Pushed::Notice(11)]);
}

#[test]
fn one_is_in_flight_at_a_time_and_a_few_wait_for_it() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.arrives(21, 20);
    bench.own_arrives(22, 21, HERE);
    bench.arrives(23, 22);
    assert_eq!(bench.pushes(), [direct(20)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    assert_eq!(bench.pushes(), [Pushed::Message(21, Qos::AtLeastOnce, 0x8001)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    assert_eq!(bench.pushes(), [], "an ack counts once");
    bench.frame(ClientFrame::PubAck { message_id: 0x8001 });
    assert_eq!(bench.pushes(), [Pushed::Message(23, Qos::AtLeastOnce, 0x8002)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8002 });
    bench.arrives(24, 23);
    assert_eq!(bench.pushes(), [Pushed::Message(24, Qos::AtLeastOnce, 0x8003)]);
}

#[test]
fn a_busy_conversation_costs_one_notice() {
    let mut bench = Bench::synced(old_web());
    for offset in 20..120 {
        bench.arrives(offset, if offset == 20 { 10 } else { offset - 1 });
    }
    assert_eq!(bench.pushes(), [direct(20), Pushed::Notice(29)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.arrives(120, 119);
    assert_eq!(bench.pushes(), [], "whoever is notified is behind until it has pulled");
}

#[test]
fn what_waits_for_a_push_does_not_wait_long() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.now = bench.now.plus(400);
    bench.arrives(21, 20);
    bench.out.clear();
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(600)));
    bench.wait(600);
    assert_eq!(bench.pushes(), [Pushed::Notice(21)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    assert_eq!(bench.pushes(), [], "what was given up is not pushed after all");
}

#[test]
fn what_waits_is_left_to_the_pull_that_comes_first() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.arrives(21, 20);
    let (_, ticket, _) = bench.asks(at(20), Qos::AtMostOnce, 0);
    bench.out.clear();
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    assert_eq!(bench.pushes(), []);
    bench.answers(ticket, Ok(read(20, vec![item(21)], 21)));
    assert_eq!(bench.answer().1.list.len(), 1);
}

#[test]
fn a_gap_behind_what_waits_is_never_jumped_over() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.arrives(21, 20);
    bench.arrives(25, 24);
    assert_eq!(bench.pushes(), [direct(20), Pushed::Notice(25)]);
}

#[test]
fn nothing_lost_a_puback_after_a_pull_was_read_does_not_count() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.out.clear();
    let (id, ticket, _) = bench.asks(at(10), Qos::AtMostOnce, 0);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.arrives(30, 20);
    assert_eq!(bench.pushes(), []);
    bench.answers(ticket, Ok(read(10, vec![item(20), item(30)], 30)));
    let (answer, body) = bench.answer();
    assert_eq!((answer.message_id, body.list.len()), (id, 2), "the old client dropped the push: the pull brings it");
}

#[test]
fn nothing_lost_a_push_that_is_not_confirmed_becomes_a_notice_and_is_never_pushed_again() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.out.clear();
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(10_000)));
    bench.wait(9_999);
    assert_eq!(bench.pushes(), []);
    bench.wait(1);
    assert_eq!(bench.pushes(), [Pushed::Notice(20)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), []);
}

#[test]
fn a_puback_that_comes_late_still_tells_what_the_client_has() {
    let mut bench = Bench::synced(old_web());
    bench.arrives(20, 10);
    bench.wait(10_000);
    bench.out.clear();
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.wait(1_000_000);
    assert_eq!(bench.pushes(), [], "there is nothing left to remind of");
    assert_eq!(bench.terminal.deadline(), None);
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [Pushed::Notice(21)], "but nothing is pushed before it has pulled");
}

#[test]
fn clients_that_gain_nothing_by_it_are_always_notified() {
    for generation in [new_web(), native(), unknown()] {
        let mut bench = Bench::synced(generation);
        bench.arrives(20, 10);
        assert_eq!(bench.pushes(), [Pushed::Notice(20)], "{}", generation.name);
    }
}

#[test]
fn what_this_connection_sent_is_not_told_and_does_not_break_the_line() {
    let mut bench = Bench::synced(old_web());
    bench.own_arrives(20, 10, HERE);
    assert_eq!(bench.pushes(), []);
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [direct(21)]);
    bench.own_arrives(22, 21, HERE);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    bench.arrives(23, 22);
    assert_eq!(bench.pushes(), [Pushed::Message(23, Qos::AtLeastOnce, 0x8001)]);
}

#[test]
fn copies_keep_their_place_in_the_line() {
    let mut bench = Bench::synced(ours());
    bench.arrives(20, 10);
    bench.own_arrives(21, 20, ELSEWHERE);
    bench.arrives(22, 21);
    assert_eq!(bench.pushes(), [direct(20)]);
    bench.frame(ClientFrame::PubAck { message_id: 0x8000 });
    let copy = Pushed::Copy("bob".into(), 0x8001);
    assert_eq!(bench.pushes(), [copy, Pushed::Message(22, Qos::AtLeastOnce, 0x8002)]);
}

#[test]
fn own_messages_behind_an_answer_that_is_not_confirmed_yet_do_not_break_the_line_either() {
    let mut bench = Bench::new(old_web());
    let id = bench.pulls(0, read(0, vec![item(10)], 10));
    bench.own_arrives(20, 10, HERE);
    bench.frame(ClientFrame::QueryCon { message_id: id });
    bench.out.clear();
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [direct(21)]);
}

#[test]
fn what_another_terminal_sent_comes_as_a_copy_only_to_our_own_client() {
    let mut bench = Bench::synced(old_web());
    bench.own_arrives(20, 10, ELSEWHERE);
    assert_eq!(bench.pushes(), [Pushed::Notice(20)]);

    let mut bench = Bench::synced(ours());
    bench.own_arrives(20, 10, ELSEWHERE);
    match bench.frames().as_slice() {
        [ServerFrame::Publish(copy), ServerFrame::PubAck(ack)] => {
            assert!(copy.dup);
            assert_eq!((copy.topic.as_str(), copy.target.as_str()), ("ppMsgP", "bob"));
            assert_eq!((ack.message_id, ack.sent.0), (copy.message_id, START + 20));
            assert_eq!(UpStreamMessage::decode(copy.body.clone()).unwrap(), text("text 20"));
        }
        other => panic!("instead of a copy and its ack: {other:?}"),
    }
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), [Pushed::Message(21, Qos::AtLeastOnce, 0x8001)]);
}

#[test]
fn a_copy_uses_no_message_id_that_the_client_waits_for() {
    let mut bench = Bench::synced(ours());
    bench.frame(publish(PublishTopic::Private, "bob", 0x8000, &text("x")));
    bench.out.clear();
    bench.own_arrives(20, 10, ELSEWHERE);
    assert_eq!(bench.pushes(), [Pushed::Copy("bob".into(), 0x8001)]);
}

#[test]
fn status_messages_move_nothing() {
    let mut bench = Bench::new(old_web());
    let typing = Message { class: MessageClass::Status, object_name: Bytes::from_static(b"RC:TypSts"), ..message(50) };
    let other = Message { class: MessageClass::Status, ..message(50) };
    let arrived = |message: &Message, sent_on| {
        let previous = Position::START;
        Event::Arrived(Arrived { message: Arc::new(message.clone()), position: None, previous, sent_on })
    };
    bench.event(arrived(&typing, None));
    assert_eq!(bench.pushes(), [Pushed::Message(50, Qos::AtMostOnce, 0x8000)]);
    bench.event(arrived(&typing, Some(ELSEWHERE)));
    bench.event(arrived(&other, None));
    assert_eq!(bench.pushes(), [], "a time that could move a cursor over what is not shown yet");
    bench.pulls(30, read(30, vec![], 30));
    bench.out.clear();
    bench.event(arrived(&other, None));
    assert_eq!(bench.pushes(), [Pushed::Message(30, Qos::AtMostOnce, 0x8001)]);
}
