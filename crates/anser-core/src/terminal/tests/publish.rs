//! What clients publish.

use super::*;
use anser_types::{ClientMessageId, Effect as MessageEffect};

#[test]
fn a_publish_goes_on_with_everything_it_said_and_its_number() {
    let mut bench = Bench::new(ours());
    let body = UpStreamMessage {
        session_id: 7,
        push_text: Some(Bytes::from_static(b"push")),
        config_flag: Some(2),
        client_unique_id: Some(i64::MAX),
        ..text("hello")
    };
    bench.frame(publish(PublishTopic::Private, "bob", 5, &body));
    bench.frame(publish(
        PublishTopic::GroupNotPersisted,
        "g1",
        6,
        &UpStreamMessage { client_unique_id: Some(0), ..text("x") },
    ));
    let all = bench.publishes();
    let [first, second] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.target.as_str(), first.flags, first.content.as_ref()), ("bob", MessageFlags(7), &b"hello"[..]));
    assert_eq!(first.origin, Origin { connection: HERE, publish: 1, client_id: Some(ClientMessageId(i64::MAX)) });
    let extras = first.extras.as_deref().unwrap();
    assert_eq!((extras.push_text.as_deref(), extras.config_flags), (Some(&b"push"[..]), 2));
    assert_eq!((second.kind, second.class), (ConversationType::Group, MessageClass::NotPersisted));
    assert_eq!((second.origin.publish, second.origin.client_id), (2, None));
    assert!(second.extras.is_none());
}

#[test]
fn acked_is_durable_an_ack_goes_out_only_for_an_outcome_and_names_its_publish() {
    let mut bench = Bench::new(ours());
    for id in [5, 6, 7] {
        bench.frame(publish(PublishTopic::Private, "bob", id, &text("x")));
    }
    assert!(bench.frames().is_empty());
    bench.event(Event::Settled { publish: 2, outcome: accepted(9) });
    let ack = bench.ack();
    assert_eq!((ack.message_id, ack.status, ack.sent.0, ack.uid.is_some()), (6, Status::OK, START + 9, true));
    bench.event(Event::Settled { publish: 1, outcome: Err(refusal(Status::BLACKLISTED)) });
    let ack = bench.ack();
    assert_eq!((ack.message_id, ack.status, ack.uid), (5, Status::BLACKLISTED, None));
    bench.event(Event::Settled { publish: 2, outcome: accepted(9) });
    bench.event(Event::Settled { publish: 99, outcome: accepted(9) });
    assert!(bench.frames().is_empty(), "an outcome counts once");
}

#[test]
fn one_order_what_is_in_the_timeline_is_acked_before_what_comes_after_it_is_shown() {
    let mut bench = Bench::synced(new_web());
    bench.frames();
    let sent = |offset: u64, publish, on| {
        let origin = Origin { connection: on, publish, client_id: None };
        PullItem { position: at(offset), sent_on: Some(on), message: Message { origin, ..own_message(offset) } }
    };
    for id in [5, 6] {
        bench.frame(publish(PublishTopic::Private, "bob", id, &text("x")));
    }
    bench.out.clear();
    bench.pulls(10, read(10, vec![sent(11, 1, HERE), sent(12, 1, ELSEWHERE)], 12));
    let frames = bench.frames();
    let [ServerFrame::PubAck(ack), ServerFrame::QueryAck(_)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((ack.message_id, ack.sent.0, ack.uid), (5, START + 11, Some(own_message(11).uid)));
    // An arrival tells it, too.
    bench.arrives_at(sent(13, 2, HERE).message, 13, 12, Some(HERE));
    assert_eq!(bench.ack().message_id, 6);
    for publish in [1, 2] {
        bench.event(Event::Settled { publish, outcome: accepted(11) });
    }
    assert!(bench.frames().is_empty(), "an outcome counts once");
}

#[test]
fn one_order_what_was_refused_for_want_of_an_outcome_and_accepted_after_all_is_shown_in_its_place() {
    let mut bench = Bench::synced(new_web());
    let own = try_again(&mut bench, 5);
    bench.arrives_at(own.clone(), 11, 10, Some(HERE));
    assert_eq!(bench.pushes(), [Pushed::Notice(11)]);
    let sent = PullItem { position: at(11), sent_on: Some(HERE), message: own };
    bench.pulls(10, read(10, vec![sent, item(12)], 12));
    let shown: Vec<_> = bench.answer().1.list.iter().map(|m| (m.data_time, m.direction)).collect();
    let at = |offset| i64::try_from(START + offset).unwrap();
    assert_eq!(shown, [(at(11), Some(1)), (at(12), None)]);
}

/// The client publishes and is told to try again. Returns the message, as it may turn up in the timeline at 11.
fn try_again(bench: &mut Bench, message_id: u16) -> Message {
    bench.frame(publish(PublishTopic::Private, "bob", message_id, &named()));
    let sent = bench.publishes().pop().unwrap();
    bench.event(Event::Settled { publish: sent.origin.publish, outcome: Err(Refusal::UNAVAILABLE) });
    assert_eq!(bench.ack().status, Status::UNAVAILABLE);
    Message { origin: sent.origin, content: sent.content, ..own_message(11) }
}

fn named() -> UpStreamMessage {
    UpStreamMessage { client_unique_id: Some(7), ..text("x") }
}

#[test]
fn nothing_twice_what_is_sent_again_and_was_accepted_at_first_is_acked_and_not_shown() {
    // The message turns up before the outcome of the second attempt, and after it.
    let mut bench = Bench::synced(new_web());
    let own = try_again(&mut bench, 5);
    bench.frame(publish(PublishTopic::Private, "bob", 6, &named()));
    bench.out.clear();
    bench.arrives_at(own.clone(), 11, 10, Some(HERE));
    let ack = bench.ack();
    assert_eq!((ack.message_id, ack.uid), (6, Some(own.uid)));
    bench.event(Event::Settled { publish: 2, outcome: accepted(11) });
    assert!(bench.frames().is_empty(), "an outcome counts once");

    let mut bench = Bench::synced(new_web());
    let own = try_again(&mut bench, 5);
    bench.frame(publish(PublishTopic::Private, "bob", 6, &named()));
    bench.out.clear();
    bench.event(Event::Settled { publish: 2, outcome: accepted(11) });
    assert_eq!(bench.ack().message_id, 6);
    bench.arrives_at(own.clone(), 11, 10, Some(HERE));
    assert!(bench.frames().is_empty());
    let sent = PullItem { position: at(11), sent_on: Some(HERE), message: own };
    bench.pulls(10, read(10, vec![sent, item(12)], 12));
    assert_eq!(bench.answer().1.list.len(), 1);

    // Refused twice, it is shown. Another message under the same id is no second attempt.
    let mut bench = Bench::synced(new_web());
    let own = try_again(&mut bench, 5);
    try_again(&mut bench, 6);
    bench.frame(publish(PublishTopic::Private, "bob", 7, &UpStreamMessage { client_unique_id: Some(7), ..text("y") }));
    bench.out.clear();
    bench.arrives_at(own, 11, 10, Some(HERE));
    assert_eq!(bench.pushes(), [Pushed::Notice(11)]);
}

#[test]
fn causal_a_publish_sorts_after_everything_that_the_connection_was_shown() {
    let mut bench = Bench::synced(old_web());
    let floor = |bench: &mut Bench| {
        bench.frame(publish(PublishTopic::Private, "bob", 5, &text("x")));
        bench.publishes().pop().unwrap().floor.0 - START
    };
    assert_eq!(floor(&mut bench), 10, "pulled");
    bench.arrives(20, 10);
    assert_eq!(floor(&mut bench), 20, "pushed");
    bench.event(Event::Settled { publish: 1, outcome: accepted(30) });
    assert_eq!(floor(&mut bench), 30, "acked");
    bench.arrives(40, 30);
    assert_eq!(floor(&mut bench), 30, "a notice shows nothing");
}

#[test]
fn told_why_what_cannot_be_published_is_refused_with_its_code() {
    let config = TerminalConfig { message_bytes_max: 10, ..TerminalConfig::default() };
    for (topic, to, body, status) in [
        (PublishTopic::Private, "bob", text("12345678901"), Status::TOO_LARGE),
        (PublishTopic::Private, "", text("x"), Status::BAD_PARAMETER),
        (PublishTopic::Private, "bob", UpStreamMessage { classname: Bytes::new(), ..text("x") }, Status::BAD_PARAMETER),
        (
            PublishTopic::Private,
            "bob",
            UpStreamMessage { extra_content: Some(b"\xff".as_slice().into()), ..text("x") },
            Status::BAD_PARAMETER,
        ),
        (
            PublishTopic::Group,
            "g",
            UpStreamMessage { to_user_ids: vec![String::new()], ..text("x") },
            Status::BAD_PARAMETER,
        ),
        (PublishTopic::Chatroom, "room", text("x"), Status::NOT_IN_CHATROOM),
        (PublishTopic::UltraGroup, "u", text("x"), Status::UNSUPPORTED),
        (PublishTopic::Unknown, "bob", text("x"), Status::UNSUPPORTED),
        (PublishTopic::Recall, "alice", text("{}"), Status::RECALL_PARAMETER),
    ] {
        let mut bench = Bench::with(ours(), config);
        bench.frame(publish(topic, to, 5, &body));
        let ack = bench.ack();
        assert_eq!((ack.message_id, ack.status), (5, status), "{topic:?} {to}");
    }
}

#[test]
fn told_why_a_body_that_is_none_is_refused_and_the_connection_goes_on() {
    let mut bench = Bench::new(ours());
    let ClientFrame::Publish(mut frame) = publish(PublishTopic::Private, "bob", 5, &text("x")) else { unreachable!() };
    frame.body = Bytes::from_static(&[0xff, 0xff, 0xff]);
    bench.frame(ClientFrame::Publish(frame));
    assert_eq!(bench.ack().status, Status::BAD_PARAMETER);
    bench.frame(ClientFrame::PingReq);
    assert_eq!(bench.frames(), [ServerFrame::PingResp]);
}

#[test]
fn told_why_what_nobody_reads_in_a_body_is_refused_beyond_a_bound() {
    let mut bench = Bench::new(ours());
    let mut send = |body: Vec<u8>| {
        let ClientFrame::Publish(frame) = publish(PublishTopic::Private, "bob", 5, &text("x")) else { unreachable!() };
        bench.frame(ClientFrame::Publish(Publish { body: Bytes::from(body), ..frame }));
        let refused = bench.out.iter().any(|effect| !matches!(effect, Effect::Publish(_)));
        bench.out.clear();
        refused
    };
    // A field that nobody knows, with so many bytes.
    let padded = |bytes: usize| {
        let mut body = text("x").encode_to_vec();
        prost::encoding::bytes::encode(99, &vec![0_u8; bytes], &mut body);
        body
    };
    assert!(!send(padded(16_000)));
    assert!(send(padded(17_000)));
    let named = |chars: usize| UpStreamMessage { classname: vec![b'n'; chars].into(), ..text("x") }.encode_to_vec();
    assert!(!send(named(256)));
    assert!(send(named(257)));
}

#[test]
fn told_why_whoever_sends_too_fast_is_told_and_may_go_on_later() {
    let config = TerminalConfig { publish_burst: 3, publish_rate: 1, ..TerminalConfig::default() };
    let mut bench = Bench::with(ours(), config);
    for id in 1..=4 {
        bench.frame(publish(PublishTopic::Private, "bob", id, &text("x")));
    }
    assert_eq!(bench.out.iter().filter(|effect| matches!(effect, Effect::Publish(_))).count(), 3);
    assert_eq!(bench.ack().status, Status::TOO_FAST);
    bench.now = bench.now.plus(1_000);
    bench.frame(publish(PublishTopic::Private, "bob", 5, &text("x")));
    assert_eq!(bench.publishes().len(), 1);
}

#[test]
fn told_why_publishes_beyond_the_bound_are_refused_as_retryable() {
    let config = TerminalConfig { publishes_max: 2, ..TerminalConfig::default() };
    let mut bench = Bench::with(ours(), config);
    for id in 1..=3 {
        bench.frame(publish(PublishTopic::Private, "bob", id, &text("x")));
    }
    assert_eq!(bench.ack().status, Status::UNAVAILABLE);
}

#[test]
fn status_messages_are_not_acknowledged() {
    let mut bench = Bench::new(ours());
    bench.frame(publish(PublishTopic::PrivateStatus, "bob", 5, &text("x")));
    assert_eq!(bench.publishes().len(), 1);
    bench.frame(publish(PublishTopic::PrivateStatus, "", 6, &text("x")));
    bench.event(Event::Settled { publish: 1, outcome: accepted(9) });
    assert!(bench.frames().is_empty());
}

#[test]
fn receipts_carry_what_they_do_and_directional_messages_whom_they_are_for() {
    let mut bench = Bench::new(ours());
    let receipt = UpStreamMessage {
        classname: Bytes::from_static(b"RC:ReadNtf"),
        ..text(r#"{"lastMessageSendTime":17,"messageUId":"x","type":1}"#)
    };
    bench.frame(publish(PublishTopic::Private, "bob", 5, &receipt));
    let directional = UpStreamMessage { to_user_ids: vec!["carol".into()], ..text("x") };
    bench.frame(publish(PublishTopic::Group, "g", 6, &directional));
    let extras: Vec<_> = bench.publishes().into_iter().map(|p| *p.extras.unwrap()).collect();
    assert_eq!(extras[0].effect, Some(MessageEffect::Read { until: Timestamp(17) }));
    assert_eq!(extras[1].to_users, [user("carol")]);
}

#[test]
fn one_way_in_a_recall_is_asked_for_in_the_name_of_who_signed_in() {
    let mut bench = Bench::new(ours());
    let content =
        r#"{"conversationType":1,"targetId":"bob","messageUId":"D203-MKTG-G004-2VDL","sentTime":1795311881922}"#;
    let body =
        UpStreamMessage { classname: Bytes::from_static(b"RC:RcCmd"), client_unique_id: Some(3), ..text(content) };
    bench.frame(publish(PublishTopic::Recall, "bob", 4, &body));
    assert_eq!(bench.ack().status, Status::RECALL_PARAMETER, "the target of a recall is its sender");
    bench.frame(publish(PublishTopic::Recall, "alice", 5, &body));
    let Some(Effect::Ask(ticket, Request::Recall(recall))) = bench.out.pop() else { panic!("no recall") };
    assert_eq!((recall.command.sender.as_str(), recall.command.target.as_str()), ("alice", "bob"));
    assert!(recall.target.by_sender_only && recall.command.sender_copy);
    assert_eq!(recall.origin, Origin { connection: HERE, publish: 1, client_id: Some(ClientMessageId(3)) });
    let outcome = Ok(Reply::Recalled(accepted(9).unwrap()));
    bench.event(Event::Answered { ticket, result: Box::new(outcome) });
    let ack = bench.ack();
    assert_eq!((ack.message_id, ack.status), (5, Status::OK));
}

#[test]
fn one_way_in_nobody_says_that_a_message_was_recalled_but_by_recalling_it() {
    let mut bench = Bench::new(ours());
    let content =
        r#"{"conversationType":1,"targetId":"bob","messageUId":"D203-MKTG-G004-2VDL","sentTime":1795311881922}"#;
    let body = UpStreamMessage { classname: Bytes::from_static(b"RC:RcCmd"), ..text(content) };
    for topic in [PublishTopic::Private, PublishTopic::Group] {
        bench.frame(publish(topic, "bob", 4, &body));
        assert_eq!(bench.ack().status, Status::BAD_PARAMETER);
    }
    assert!(bench.publishes().is_empty());
}

#[test]
fn a_recall_that_fails_is_refused_like_a_publish() {
    let mut bench = Bench::new(ours());
    let content = r#"{"conversationType":1,"targetId":"bob","messageUId":"D203-MKTG-G004-2VDL","sentTime":1}"#;
    bench.frame(publish(PublishTopic::Recall, "", 5, &text(content)));
    let Some(Effect::Ask(ticket, Request::Recall(_))) = bench.out.pop() else { panic!("no recall") };
    bench.event(Event::Answered { ticket, result: Box::new(Err(refusal(Status::NOT_YOUR_MESSAGE))) });
    assert_eq!(bench.ack().status, Status::NOT_YOUR_MESSAGE);
}

#[test]
fn one_order_a_recall_that_is_in_the_timeline_is_acked_before_its_answer() {
    let mut bench = Bench::synced(new_web());
    let content = r#"{"conversationType":1,"targetId":"bob","messageUId":"D203-MKTG-G004-2VDL","sentTime":1}"#;
    bench.frame(publish(PublishTopic::Recall, "", 5, &text(content)));
    let Some(Effect::Ask(ticket, Request::Recall(recall))) = bench.out.pop() else { panic!("no recall") };
    let command = Message { origin: recall.origin, ..own_message(11) };
    bench.arrives_at(command.clone(), 11, 10, Some(HERE));
    let ack = bench.ack();
    assert_eq!((ack.message_id, ack.uid), (5, Some(command.uid)));
    bench.event(Event::Answered { ticket, result: Box::new(Err(Refusal::UNAVAILABLE)) });
    assert!(bench.frames().is_empty(), "an outcome counts once");
}
