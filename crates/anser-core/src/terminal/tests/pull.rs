//! Pulls and their answers.

use super::*;

fn cursor(body: &DownStreamMessages) -> u64 {
    u64::try_from(body.sync_time).unwrap()
}

#[test]
fn an_answer_has_the_qos_of_its_query_unless_it_opens_direct_pushes() {
    for (generation, asked, answered) in [
        (unknown(), Qos::AtMostOnce, Qos::AtMostOnce),
        (new_web(), Qos::AtMostOnce, Qos::AtMostOnce),
        (native(), Qos::AtLeastOnce, Qos::AtLeastOnce),
        (old_web(), Qos::AtMostOnce, Qos::AtLeastOnce),
        (ours(), Qos::AtLeastOnce, Qos::AtLeastOnce),
    ] {
        let mut bench = Bench::new(generation);
        let (_, ticket, _) = bench.asks(Position::START, asked, 0);
        bench.answers(ticket, Ok(read(0, vec![], 0)));
        assert_eq!(bench.answer().0.qos, answered, "{}", generation.name);
    }
}

#[test]
fn no_gap_the_cursor_of_a_page_is_its_last_position_and_of_the_last_page_the_head() {
    let mut bench = Bench::new(new_web());
    bench.pulls(0, PullReply { finished: false, ..read(0, vec![item(10), item(11)], 30) });
    let (_, body) = bench.answer();
    assert_eq!((cursor(&body), body.finished), (START + 11, false));
    // The newest entry is one that this connection sent: it is left out, and covered.
    let own = PullItem { position: at(30), sent_on: Some(HERE), message: own_message(30) };
    bench.pulls(11, read(11, vec![item(20), own], 30));
    let (_, body) = bench.answer();
    assert_eq!((cursor(&body), body.finished, body.list.len()), (START + 30, true, 1));
}

#[test]
fn an_answer_covers_the_notice_before_it() {
    let mut bench = Bench::new(old_web());
    bench.arrives(40, 0);
    assert_eq!(bench.pushes(), [Pushed::Notice(40)]);
    bench.pulls(10, read(10, vec![], 30));
    assert_eq!(cursor(&bench.answer().1), START + 40, "old clients would pull for ever");
}

#[test]
fn no_gap_the_cursor_of_an_empty_timeline_is_below_everything_to_come() {
    let mut bench = Bench::new(new_web());
    bench.pulls(0, PullReply { finished: true, ..PullReply::default() });
    assert_eq!(cursor(&bench.answer().1), 1, "not zero, which some clients take for none, and not now");
}

#[test]
fn a_cursor_that_counted_as_zero_is_set_right() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, after) = bench.asks(Position(START * 2), Qos::AtMostOnce, 0);
    assert_eq!(after, Position(START * 2));
    bench.answers(ticket, Ok(PullReply { after: Position::START, ..read(0, vec![item(10)], 10) }));
    assert_eq!(cursor(&bench.answer().1), START + 10);
}

#[test]
fn nothing_twice_what_this_connection_sent_is_left_out_and_what_others_sent_is_not() {
    let mut bench = Bench::new(new_web());
    let sent = |offset, on| PullItem { position: at(offset), sent_on: Some(on), message: own_message(offset) };
    bench.pulls(0, read(0, vec![sent(10, HERE), sent(11, ELSEWHERE), sent(12, ConnectionId::NONE)], 12));
    let (_, body) = bench.answer();
    let shown: Vec<_> = body.list.iter().map(|m| (m.content.as_ref(), m.direction, m.from_user_id.as_str())).collect();
    assert_eq!(shown, [(&b"text 11"[..], Some(1), "bob"), (b"text 12", Some(1), "bob")]);
}

#[test]
fn pages_with_nothing_for_the_client_are_read_on_for_it() {
    let mut bench = Bench::new(new_web());
    let (id, ticket, _) = bench.asks(at(0), Qos::AtMostOnce, 0);
    let own = PullItem { position: at(10), sent_on: Some(HERE), message: own_message(10) };
    bench.answers(ticket, Ok(PullReply { finished: false, ..read(0, vec![own], 30) }));
    let (again, after) = bench.pull_request();
    assert_eq!((again, after), (ticket, at(10)));
    bench.answers(again, Ok(read(10, vec![item(20)], 20)));
    let (answer, body) = bench.answer();
    assert_eq!((answer.message_id, body.list.len(), body.finished), (id, 1, true));
}

#[test]
fn items_rise_in_time_even_where_their_positions_were_moved() {
    let mut bench = Bench::new(new_web());
    let moved = PullItem { position: at(11), ..item(9) };
    bench.pulls(0, read(0, vec![item(10), moved], 11));
    let (_, body) = bench.answer();
    let times: Vec<_> = body.list.iter().map(|m| u64::try_from(m.data_time).unwrap() - START).collect();
    assert_eq!((times, cursor(&body)), (vec![9, 10], START + 11));
}

#[test]
fn native_clients_go_on_from_the_position_that_they_confirmed() {
    let mut bench = Bench::new(native());
    let (id, ticket, after) = bench.asks(at(5), Qos::AtLeastOnce, 0);
    assert_eq!(after, at(5));
    bench.answers(ticket, Ok(PullReply { finished: false, ..read(5, vec![item(10)], 30) }));
    let (_, ticket, after) = bench.asks(at(5), Qos::AtLeastOnce, 0);
    assert_eq!(after, at(5), "not confirmed yet");
    bench.answers(ticket, Ok(PullReply { finished: false, ..read(5, vec![item(10)], 30) }));
    bench.frame(ClientFrame::QueryCon { message_id: id + 1 });
    assert_eq!(bench.asks(at(5), Qos::AtLeastOnce, 0).2, at(10), "its own cursor stands still for sent items");
}

#[test]
fn nothing_lost_when_a_native_client_had_an_ack_later_than_what_its_other_terminal_sent() {
    let sent = |offset| PullItem { position: at(offset), sent_on: Some(ELSEWHERE), message: own_message(offset) };
    let mut bench = Bench::new(native());
    let (_, ticket, _) = bench.asks(at(5), Qos::AtLeastOnce, START + 10);
    bench.answers(ticket, Ok(read(5, vec![sent(9), sent(11)], 11)));
    assert_eq!(bench.answer().1.list.len(), 2, "its own count of what was sent says nothing of other terminals");
}

#[test]
fn nothing_lost_after_a_refused_pull_it_is_found_out_for_the_client_whether_there_is_anything() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, _) = bench.asks(at(5), Qos::AtMostOnce, 0);
    bench.answers(ticket, Err(refusal(Status::STORAGE_UNAVAILABLE)));
    match bench.frames().as_slice() {
        [ServerFrame::QueryAck(answer)] => assert_eq!(answer.status, Status::STORAGE_UNAVAILABLE),
        other => panic!("instead of a refusal: {other:?}"),
    }
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(1_000)));
    bench.wait(1_000);
    let (probe, after) = bench.pull_request();
    assert_eq!(after, at(5));
    bench.answers(probe, Err(refusal(Status::UNAVAILABLE)));
    bench.wait(1_999);
    assert!(bench.out.is_empty(), "each time twice as long");
    bench.wait(1);
    let (probe, _) = bench.pull_request();
    bench.answers(probe, Ok(read(5, vec![item(10)], 10)));
    assert_eq!(bench.pushes(), [Pushed::Notice(10)]);
}

#[test]
fn a_refused_pull_without_news_leads_to_silence_and_a_pull_of_the_client_ends_the_probing() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, _) = bench.asks(at(5), Qos::AtMostOnce, 0);
    bench.answers(ticket, Err(Refusal::UNAVAILABLE));
    bench.wait(1_000);
    bench.out.drain(..bench.out.len() - 1);
    let (probe, _) = bench.pull_request();
    bench.answers(probe, Ok(read(5, vec![], 5)));
    assert!(bench.out.is_empty());

    let (_, ticket, _) = bench.asks(at(5), Qos::AtMostOnce, 0);
    bench.answers(ticket, Err(Refusal::UNAVAILABLE));
    bench.pulls(5, read(5, vec![], 5));
    bench.out.clear();
    bench.wait(60_000);
    assert!(bench.out.is_empty());
}

#[test]
fn told_why_every_pull_is_answered_within_thirty_seconds_and_what_comes_later_is_dropped() {
    let mut bench = Bench::new(new_web());
    let (_, ticket, _) = bench.asks(at(5), Qos::AtMostOnce, 0);
    assert_eq!(bench.terminal.deadline(), Some(bench.now.plus(25_000)));
    assert!(bench.terminal.waits_for(ticket));
    bench.wait(25_000);
    assert!(matches!(bench.frames().as_slice(), [ServerFrame::QueryAck(a)] if a.status == Status::UNAVAILABLE));
    assert!(!bench.terminal.waits_for(ticket));
    bench.answers(ticket, Ok(read(5, vec![item(10)], 10)));
    assert!(bench.out.is_empty());
}

#[test]
fn a_page_that_leads_nowhere_is_refused_instead_of_asked_for_for_ever() {
    let mut bench = Bench::new(new_web());
    bench.pulls(5, PullReply { finished: false, ..read(5, vec![], 10) });
    assert!(matches!(bench.frames().as_slice(), [ServerFrame::QueryAck(a)] if !a.status.is_ok()));
}

#[test]
fn slow_is_alone_a_client_has_no_more_than_a_few_pulls_open() {
    let mut bench = Bench::new(new_web());
    for _ in 0..4 {
        bench.asks(at(5), Qos::AtMostOnce, 0);
    }
    bench.frame(query(QueryTopic::Pull, Target::Myself, 9, Qos::AtMostOnce, &SyncRequestMsg::default()));
    assert!(matches!(bench.frames().as_slice(), [ServerFrame::QueryAck(a)] if a.status == Status::UNAVAILABLE));
}

#[test]
fn told_why_pulls_beyond_the_limit_are_refused_as_retryable_and_looked_after() {
    let config = TerminalConfig { questions_max: 1, ..TerminalConfig::default() };
    let mut bench = Bench::with(new_web(), config);
    let (_, first, _) = bench.asks(at(5), Qos::AtMostOnce, 0);
    let body = SyncRequestMsg { sync_time: 5, ..SyncRequestMsg::default() };
    bench.frame(query(QueryTopic::Pull, Target::Myself, 9, Qos::AtMostOnce, &body));
    assert!(matches!(bench.frames().as_slice(), [ServerFrame::QueryAck(a)] if a.status == Status::UNAVAILABLE));
    bench.answers(first, Ok(read(5, vec![], 5)));
    assert!(bench.answer().1.finished);
}
