//! Notices: that there is something to pull.

use super::*;

#[test]
fn before_its_first_pull_a_client_is_notified_once() {
    for generation in [old_web(), new_web(), native(), ours(), unknown()] {
        let mut bench = Bench::new(generation);
        for offset in 1..100 {
            bench.arrives(offset, offset - 1);
        }
        assert_eq!(bench.pushes(), [Pushed::Notice(1)], "{}", generation.name);
    }
}

#[test]
fn nothing_lost_a_notice_that_no_pull_follows_is_repeated_with_the_newest_position() {
    let mut bench = Bench::new(new_web());
    bench.arrives(1, 0);
    bench.arrives(2, 1);
    assert_eq!(bench.pushes(), [Pushed::Notice(1)]);
    bench.wait(4_999);
    assert_eq!(bench.pushes(), []);
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(1)));
    bench.wait(1);
    assert_eq!(bench.pushes(), [Pushed::Notice(2)]);
    bench.wait(5_000);
    assert_eq!(bench.pushes(), [], "each time twice as long");
    bench.wait(5_000);
    assert_eq!(bench.pushes(), [Pushed::Notice(2)]);
}

#[test]
fn after_the_time_of_a_notice_the_next_arrival_brings_another() {
    let mut bench = Bench::new(new_web());
    bench.arrives(1, 0);
    bench.now = bench.now.plus(5_000);
    bench.arrives(2, 1);
    assert_eq!(bench.pushes(), [Pushed::Notice(1), Pushed::Notice(2)]);
}

#[test]
fn while_a_pull_is_open_nothing_is_said_and_one_notice_follows_its_answer() {
    for generation in [old_web(), new_web(), native(), ours()] {
        let mut bench = Bench::new(generation);
        let (_, ticket, _) = bench.asks(Position::START, Qos::AtMostOnce, 0);
        for offset in 11..20 {
            bench.arrives(offset, offset - 1);
        }
        bench.wait(6_000);
        assert_eq!(bench.pushes(), []);
        bench.answers(ticket, Ok(read(0, vec![item(10)], 10)));
        let frames = bench.frames();
        assert!(matches!(frames.first(), Some(ServerFrame::QueryAck(_))), "the answer goes first");
        assert_eq!(frames.into_iter().filter_map(pushed).collect::<Vec<_>>(), [Pushed::Notice(19)]);
    }
}

#[test]
fn what_an_answer_covered_is_not_told_again() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, _) = bench.asks(Position::START, Qos::AtMostOnce, 0);
    bench.arrives(10, 0);
    bench.answers(ticket, Ok(read(0, vec![item(10)], 10)));
    bench.arrives(10, 0);
    assert_eq!(bench.pushes(), []);
}

#[test]
fn after_a_replay_or_a_full_outbox_a_client_is_notified_and_nothing_is_pushed() {
    let mut bench = Bench::synced(old_web());
    bench.event(Event::Behind { head: at(20) });
    assert_eq!(bench.pushes(), [Pushed::Notice(20)]);
    bench.arrives(21, 20);
    assert_eq!(bench.pushes(), []);
    let mut bench = Bench::synced(old_web());
    bench.event(Event::Behind { head: at(10) });
    assert_eq!(bench.pushes(), [], "it has that already");
}

#[test]
fn a_client_that_does_not_pull_on_is_reminded() {
    let mut bench = Bench::new(new_web());
    bench.pulls(0, PullReply { finished: false, ..read(0, vec![item(10)], 30) });
    bench.out.clear();
    bench.wait(5_000);
    assert_eq!(bench.pushes(), [Pushed::Notice(30)]);
}

#[test]
fn changed_settings_are_told_to_the_other_terminals() {
    let mut bench = Bench::new(new_web());
    bench.event(Event::SettingsChanged { time: Timestamp(5), by: HERE });
    assert_eq!(bench.pushes(), []);
    bench.event(Event::SettingsChanged { time: Timestamp(5), by: ELSEWHERE });
    assert_eq!(bench.pushes(), [Pushed::Settings(5)]);
}

#[test]
fn nothing_lost_a_client_that_comes_back_and_never_pulls_is_told_that_there_is_something() {
    let mut bench = Bench::new(old_web());
    bench.frame(ClientFrame::PingReq);
    bench.out.clear();
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(5_000)));
    bench.wait(4_999);
    assert!(bench.out.is_empty());
    bench.wait(1);
    match bench.out.pop() {
        Some(Effect::Ask(ticket, Request::Pull(request))) => {
            assert_eq!((request.after, request.device), (Position::START, None), "its own cursor stays what it was");
            bench.answers(ticket, Ok(read(0, vec![item(10)], 30)));
        }
        other => panic!("instead of a question: {other:?}"),
    }
    assert_eq!(bench.pushes(), [Pushed::Notice(30)]);
    bench.frame(ClientFrame::PingReq);
    bench.out.clear();
    bench.wait(5_000);
    assert_eq!(bench.pushes(), [Pushed::Notice(30)], "as any notice is, it is repeated; nothing is looked up again");
}

#[test]
fn a_client_that_pulls_or_has_nothing_to_pull_is_left_in_peace() {
    let mut bench = Bench::new(new_web());
    bench.frame(ClientFrame::PingReq);
    bench.pulls(5, read(5, vec![], 5));
    bench.frame(ClientFrame::PingReq);
    bench.out.clear();
    bench.wait(60_000);
    assert!(bench.out.is_empty());

    let mut bench = Bench::new(new_web());
    bench.frame(ClientFrame::PingReq);
    bench.out.clear();
    bench.wait(5_000);
    let (ticket, _) = bench.pull_request();
    bench.out.clear();
    bench.answers(ticket, Ok(PullReply { finished: true, ..PullReply::default() }));
    bench.wait(60_000);
    assert!(bench.out.is_empty());
}

/// What is behind position 10 is asked for, and the client is told of what there is.
fn looks_and_is_told(bench: &mut Bench) {
    let (ticket, after) = bench.pull_request();
    assert_eq!(after, at(10));
    bench.out.clear();
    bench.answers(ticket, Ok(read(10, vec![item(20)], 20)));
    assert_eq!(bench.pushes(), [Pushed::Notice(20)]);
}

#[test]
fn nothing_lost_a_client_that_was_overlooked_is_told_of_what_there_is() {
    let mut bench = Bench::synced(old_web());
    bench.event(Event::Overlooked);
    bench.wait(1_000);
    looks_and_is_told(&mut bench);
    // There is nothing: it is left in peace, and what comes is pushed as before.
    let mut bench = Bench::synced(old_web());
    bench.event(Event::Overlooked);
    bench.wait(1_000);
    let (ticket, _) = bench.pull_request();
    bench.out.clear();
    bench.answers(ticket, Ok(read(10, vec![], 10)));
    bench.arrives(11, 10);
    assert!(matches!(bench.pushes()[..], [Pushed::Message(11, ..)]));
}

#[test]
fn nothing_lost_what_a_pull_under_way_reads_may_have_been_read_before() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, _) = bench.asks(Position::START, Qos::AtMostOnce, 0);
    bench.out.clear();
    bench.event(Event::Overlooked);
    bench.wait(1_000);
    assert!(bench.out.is_empty());
    bench.answers(ticket, Ok(read(0, vec![item(10)], 10)));
    bench.out.clear();
    bench.wait(1_000);
    looks_and_is_told(&mut bench);
}
