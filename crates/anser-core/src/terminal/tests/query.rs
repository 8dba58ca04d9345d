//! Queries beside pulls.

use anser_cluster::{Command, HistoryItem, HistoryReply, LIST_BYTES_MAX, ListItem, SettingItem, SettingsPage};
use anser_rmtp::body::{
    CleanHisMsgInput, CleanMsgBatchReq, DeleteMsg, DeleteMsgInput, HistoryMsgInput, HistoryMsgOuput,
    PullUserSettingInput, PullUserSettingOutput, RelationDelBatchReq, RelationOpInput, RelationQryInput,
    RelationsOutput, ReportSdkInput, SessionMsgReadInput, SessionReq, SessionState, SessionStateItem,
    SessionStateModifyReq, SessionStateModifyResp, SessionStates,
};
use anser_types::Conversation;
use anser_types::record::UserChange;

use super::*;

fn ask(bench: &mut Bench, topic: QueryTopic, body: &impl prost::Message) {
    bench.frame(query(topic, Target::Id(TargetId::new("alice").unwrap()), 5, Qos::AtMostOnce, body));
}

fn question(bench: &mut Bench) -> (Ticket, Request) {
    match bench.out.pop() {
        Some(Effect::Ask(ticket, request)) => (ticket, request),
        other => panic!("instead of a question: {other:?}"),
    }
}

fn answered(bench: &mut Bench, ticket: Ticket, reply: Reply) -> QueryAck {
    bench.event(Event::Answered { ticket, result: Box::new(Ok(reply)) });
    the_answer(bench)
}

fn the_answer(bench: &mut Bench) -> QueryAck {
    match bench.frames().as_slice() {
        [ServerFrame::QueryAck(answer)] => answer.clone(),
        other => panic!("instead of an answer: {other:?}"),
    }
}

fn private(target: &str) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::new(target).unwrap())
}

#[test]
fn what_clients_ask_at_the_start_gets_a_valid_answer() {
    let mut bench = Bench::new(new_web());
    ask(&mut bench, QueryTopic::ReportSdk, &ReportSdkInput::default());
    assert!(the_answer(&mut bench).status.is_ok());
    ask(&mut bench, QueryTopic::UserSettings, &PullUserSettingInput { version: 9, ..Default::default() });
    assert_eq!(PullUserSettingOutput::decode(the_answer(&mut bench).body).unwrap().version, 9);
    for topic in
        [QueryTopic::AppBots, QueryTopic::EventChanges, QueryTopic::ModifiedMessages, QueryTopic::HistoryChatroom]
    {
        ask(&mut bench, topic, &());
        assert!(the_answer(&mut bench).status.is_ok(), "{topic:?}");
    }
}

#[test]
fn told_why_what_is_not_offered_is_refused_and_the_refusal_keeps_the_qos() {
    let mut bench = Bench::new(native());
    for (topic, status) in [
        (QueryTopic::JoinChatroom, Status(23_410)),
        (QueryTopic::ChatroomPull, Status(23_410)),
        (QueryTopic::GroupRead, Status::UNSUPPORTED),
        (QueryTopic::Unknown, Status::UNSUPPORTED),
    ] {
        bench.frame(query(topic, Target::Myself, 5, Qos::AtLeastOnce, &()));
        let answer = the_answer(&mut bench);
        assert_eq!((answer.status, answer.qos, answer.message_id), (status, Qos::AtLeastOnce, 5), "{topic:?}");
    }
}

#[test]
fn one_way_in_a_query_for_another_user_is_refused() {
    let mut bench = Bench::new(new_web());
    for topic in [
        QueryTopic::Pull,
        QueryTopic::HistoryPrivate,
        QueryTopic::Conversations,
        QueryTopic::ConversationStates,
        QueryTopic::SetConversationStates,
        QueryTopic::DeleteMessages,
        QueryTopic::CleanPrivate,
        QueryTopic::CleanBatch,
        QueryTopic::SetReadTime,
        QueryTopic::RemoveConversations,
    ] {
        for target in [Target::Id(TargetId::new("bob").unwrap()), Target::Invalid] {
            bench.frame(query(topic, target, 5, Qos::AtMostOnce, &()));
            assert_eq!(the_answer(&mut bench).status, Status::BAD_PARAMETER, "{topic:?}");
        }
    }
}

#[test]
fn history_is_asked_in_the_name_of_who_signed_in_and_paged_by_time() {
    let mut bench = Bench::new(new_web());
    let input = HistoryMsgInput { target_id: Some("bob".into()), time: Some(99), count: Some(2), ..Default::default() };
    ask(&mut bench, QueryTopic::HistoryPrivate, &input);
    let (ticket, Request::History(read)) = question(&mut bench) else { panic!("no history") };
    assert_eq!((read.user.user.as_str(), &read.conversation), ("alice", &private("bob")));
    assert_eq!((read.time, read.ascending, read.count), (Some(Timestamp(99)), false, Some(2)));
    let items =
        vec![HistoryItem { message: message(20), number: 2 }, HistoryItem { message: own_message(10), number: 1 }];
    let answer = answered(&mut bench, ticket, Reply::History(HistoryReply { items, more: true }));
    let page = HistoryMsgOuput::decode(answer.body).unwrap();
    let shown: Vec<_> = page.list.iter().map(|m| (m.from_user_id.as_str(), m.direction)).collect();
    assert_eq!(shown, [("bob", None), ("bob", Some(1))]);
    assert_eq!((u64::try_from(page.sync_time).unwrap(), page.has_msg), (START + 10, 1));
    ask(&mut bench, QueryTopic::HistoryGroup, &HistoryMsgInput { target_id: Some("g".into()), ..Default::default() });
    let (_, Request::History(read)) = question(&mut bench) else { panic!("no history") };
    assert_eq!((read.conversation.kind, read.time, read.count), (ConversationType::Group, None, None));
}

#[test]
fn the_conversation_list_says_peer_last_message_and_unread() {
    let mut bench = Bench::new(new_web());
    ask(
        &mut bench,
        QueryTopic::Conversations,
        &RelationQryInput { kind: Some(1), count: Some(1), ..Default::default() },
    );
    let (ticket, Request::Conversations { kind, count, .. }) = question(&mut bench) else { panic!("no list") };
    assert_eq!((kind, count), (None, 1), "the type is no filter");
    let row = ListItem { conversation: private("bob"), last: own_message(10), unread: 3, read_until: Timestamp(4) };
    let answer = answered(&mut bench, ticket, Reply::Conversations(vec![row]));
    let list = RelationsOutput::decode(answer.body).unwrap();
    let info = &list.info[0];
    assert_eq!((info.user_id.as_str(), info.unread_count, info.read_msg_time, list.is_finished), ("bob", 3, 4, false));
    let last = DownStreamMessage::decode(info.msg.clone().unwrap()).unwrap();
    assert_eq!((last.from_user_id.as_str(), last.direction), ("bob", Some(1)));
}

#[test]
fn a_conversation_list_that_grew_too_large_says_that_there_is_more() {
    for (bytes, is_finished) in [(LIST_BYTES_MAX - 1, true), (LIST_BYTES_MAX, false)] {
        let mut bench = Bench::new(new_web());
        ask(&mut bench, QueryTopic::Conversations, &RelationQryInput { count: Some(100), ..Default::default() });
        let (ticket, _) = question(&mut bench);
        let last = message(10);
        let last = Message { content: vec![b'x'; bytes - last.object_name.len()].into(), ..last };
        let row = ListItem { conversation: private("bob"), last, unread: 0, read_until: Timestamp::ZERO };
        let answer = answered(&mut bench, ticket, Reply::Conversations(vec![row]));
        let list = RelationsOutput::decode(answer.body).unwrap();
        assert_eq!((list.is_finished, u64::try_from(list.pull_time).unwrap()), (is_finished, START + 10));
    }
}

#[test]
fn settings_are_set_announced_and_read_by_conversation() {
    let mut bench = Bench::new(new_web());
    let item =
        |kind, value: &str| SessionStateItem { session_state_type: kind, value: value.into(), ..Default::default() };
    let state = SessionState {
        kind: 1,
        channel_id: "bob".into(),
        state_item: vec![item(1, "1"), item(2, "0")],
        ..Default::default()
    };
    let modify = SessionStateModifyReq { version: 1, state: vec![state], ..Default::default() };
    ask(&mut bench, QueryTopic::SetConversationStates, &modify);
    let (ticket, Request::Commands(commands)) = question(&mut bench) else { panic!("no change") };
    assert_eq!(commands.len(), 2);
    bench.event(Event::Answered { ticket, result: Box::new(Ok(Reply::Done(Timestamp(77)))) });
    assert!(matches!(bench.out.first(), Some(Effect::AnnounceSettings(Timestamp(77)))));
    let set = SessionStateModifyResp::decode(the_answer(&mut bench).body).unwrap();
    assert_eq!((set.version, set.update_version), (77, false), "others may have set something before that");

    ask(&mut bench, QueryTopic::ConversationStates, &SessionReq { time: 5 });
    let (ticket, Request::Settings { version, .. }) = question(&mut bench) else { panic!("no settings") };
    assert_eq!(version, Timestamp(5));
    let setting = |item, time| SettingItem {
        conversation: private("bob"),
        item,
        value: Bytes::from_static(b"1"),
        time: Timestamp(time),
    };
    let page = SettingsPage { version: Timestamp(9), items: vec![setting(1, 8), setting(2, 9)] };
    let answer = answered(&mut bench, ticket, Reply::Settings(page));
    let states = SessionStates::decode(answer.body).unwrap();
    assert_eq!((states.version, states.state.len(), states.state[0].state_item.len()), (9, 1, 2));
    assert_eq!(states.state[0].time, Some(9));
}

#[test]
fn what_was_shown_can_be_read_and_cleared_however_far_ahead_it_is_stamped() {
    let mut bench = Bench::synced(new_web());
    let (shown, at) = (Timestamp(START + 10), i64::try_from(START + 900).unwrap());
    let read = SessionMsgReadInput { kind: 1, channel_id: "bob".into(), msg_time: at, ..Default::default() };
    ask(&mut bench, QueryTopic::SetReadTime, &read);
    let (_, Request::Commands(changes)) = question(&mut bench) else { panic!("no change") };
    let is_read = |change: &Command| matches!(change, Command::User { change: UserChange::Read { until, .. }, .. } if *until == shown);
    assert!(changes.iter().all(is_read), "{changes:?}");
    let clean = CleanHisMsgInput { target_id: "bob".into(), data_time: 0, ..Default::default() };
    ask(&mut bench, QueryTopic::CleanPrivate, &clean);
    let (_, Request::Commands(changes)) = question(&mut bench) else { panic!("no change") };
    let is_hidden = |change: &Command| matches!(change, Command::User { change: UserChange::HideUntil { until, .. }, .. } if *until == shown);
    assert!(changes.iter().all(is_hidden), "{changes:?}");
}

#[test]
fn deletions_and_removals_concern_the_asking_user_alone() {
    let mut bench = Bench::new(new_web());
    let uid = message(10).uid;
    let delete = DeleteMsg { msg_id: Some(uid.to_string()), msg_data_time: Some(5), direct: Some(2) };
    let input =
        DeleteMsgInput { kind: Some(1), conversation_id: Some("bob".into()), msgs: vec![delete], ..Default::default() };
    let mut changes = Vec::new();
    ask(&mut bench, QueryTopic::DeleteMessages, &input);
    changes.push(question(&mut bench));
    let future = i64::try_from(START * 2).unwrap();
    let clean = CleanHisMsgInput { target_id: "bob".into(), data_time: future, ..Default::default() };
    ask(&mut bench, QueryTopic::CleanPrivate, &clean);
    changes.push(question(&mut bench));
    let batch = CleanMsgBatchReq { input: vec![CleanHisMsgInput { conversation_type: Some(3), ..clean }] };
    ask(&mut bench, QueryTopic::CleanBatch, &batch);
    changes.push(question(&mut bench));
    let target = Target::Id(TargetId::new("bob").unwrap());
    bench.frame(query(QueryTopic::RemoveConversation, target, 5, Qos::AtMostOnce, &RelationQryInput::default()));
    changes.push(question(&mut bench));
    let relation = RelationOpInput { conversation_id: "g".into(), conversation_type: 3, ..Default::default() };
    ask(
        &mut bench,
        QueryTopic::RemoveConversations,
        &RelationDelBatchReq { relation: vec![relation], clean_msg: None },
    );
    changes.push(question(&mut bench));

    let now = Timestamp(START);
    let group = |id: &str| Conversation::new(ConversationType::Group, TargetId::new(id).unwrap());
    let expected = [
        UserChange::HideMessages { conversation: private("bob"), messages: vec![(uid, Timestamp(5))] },
        UserChange::HideUntil { conversation: private("bob"), until: now },
        UserChange::HideUntil { conversation: group("bob"), until: now },
        UserChange::RemoveConversation { conversation: private("bob") },
        UserChange::RemoveConversation { conversation: group("g") },
    ];
    for ((ticket, request), expected) in changes.into_iter().zip(expected) {
        let Request::Commands(commands) = request else { panic!("no change") };
        match commands.as_slice() {
            [Command::User { user, change }] => assert_eq!((user.user.as_str(), change), ("alice", &expected)),
            other => panic!("{other:?}"),
        }
        assert!(answered(&mut bench, ticket, Reply::Done(now)).status.is_ok());
    }
}

#[test]
fn told_why_bodies_that_are_none_and_too_many_questions_are_refused() {
    let config = TerminalConfig { questions_max: 2, ..TerminalConfig::default() };
    let mut bench = Bench::with(new_web(), config);
    let broken = Query {
        qos: Qos::AtMostOnce,
        topic: QueryTopic::HistoryPrivate,
        target: Target::Myself,
        message_id: 5,
        body: Bytes::from_static(&[0xff]),
    };
    bench.frame(ClientFrame::Query(broken));
    assert_eq!(the_answer(&mut bench).status, Status::BAD_PARAMETER);
    for _ in 0..2 {
        ask(&mut bench, QueryTopic::ConversationStates, &SessionReq { time: 0 });
        question(&mut bench);
    }
    ask(&mut bench, QueryTopic::ConversationStates, &SessionReq { time: 0 });
    assert_eq!(the_answer(&mut bench).status, Status::UNAVAILABLE);
}

#[test]
fn told_why_changes_come_as_fast_as_messages_and_no_faster() {
    let config = TerminalConfig { publish_burst: 3, publish_rate: 1, ..TerminalConfig::default() };
    let mut bench = Bench::with(new_web(), config);
    let uid = message(10).uid;
    let delete = DeleteMsg { msg_id: Some(uid.to_string()), msg_data_time: Some(5), direct: Some(2) };
    let delete = |count| DeleteMsgInput {
        kind: Some(1),
        conversation_id: Some("bob".into()),
        msgs: vec![delete.clone(); count],
        ..Default::default()
    };
    ask(&mut bench, QueryTopic::DeleteMessages, &delete(3));
    question(&mut bench);
    ask(&mut bench, QueryTopic::DeleteMessages, &delete(1));
    assert_eq!(the_answer(&mut bench).status, Status::TOO_FAST);
    bench.wait(1_000);
    ask(&mut bench, QueryTopic::DeleteMessages, &delete(1));
    question(&mut bench);
}

#[test]
fn told_why_a_question_without_an_answer_is_refused_in_time() {
    let mut bench = Bench::new(new_web());
    ask(&mut bench, QueryTopic::ConversationStates, &SessionReq { time: 0 });
    let (ticket, _) = question(&mut bench);
    bench.wait(25_000);
    assert_eq!(the_answer(&mut bench).status, Status::UNAVAILABLE);
    bench.event(Event::Answered { ticket, result: Box::new(Ok(Reply::Settings(SettingsPage::default()))) });
    assert!(bench.out.is_empty());
}
