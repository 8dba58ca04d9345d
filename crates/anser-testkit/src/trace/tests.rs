//! Traces as lines: written, read, merged, refused.

use anser_types::{ConversationType, MessageUid, Timestamp};

use super::{
    CallId, ClientConnection, Conversation, Direction, Event, Keep, Kind, Line, Name, PageItem, RosterStep, Seen,
    Terminal, TraceError, TraceReader, TraceWriter, Via, merge,
};

fn uid() -> MessageUid {
    MessageUid::new(Timestamp(1_795_311_881_922), 0, ConversationType::Private, 0x01_7db5)
}

fn with_bob() -> Conversation {
    Conversation { kind: Kind::Private, target: Name::from("bob") }
}

fn one_of_each() -> Vec<Event> {
    let connection = ClientConnection(7);
    vec![
        Event::Connected { connection, terminal: Terminal(1), user: "alice".into(), cursor: 0 },
        Event::Roster { group: "g".into(), users: vec!["alice".into()], step: RosterStep::Joined },
        Event::Invoked {
            call: CallId(1),
            user: "alice".into(),
            connection: Some(connection),
            conversation: with_bob(),
            client_id: Some(-5),
            body: 9,
            keep: Keep::History,
            to: Vec::new(),
        },
        Event::Acked { call: CallId(1), uid: uid(), sent: 1_795_311_881_922 },
        Event::Refused { call: CallId(2), status: 405 },
        Event::GaveUp { call: CallId(3) },
        Event::Notified { connection, time: 3 },
        Event::Pulling { connection, pull: 1, cursor: 0 },
        Event::Pulled { connection, pull: 1, synced: 4, finished: true },
        Event::PullRefused { connection, pull: 2, status: 25_102 },
        Event::Shown {
            connection,
            via: Via::Direct,
            message: Seen {
                uid: uid(),
                sent: 1,
                sender: "bob".into(),
                conversation: with_bob(),
                direction: Direction::Received,
                body: 2,
            },
        },
        Event::Withheld { connection, uid: uid(), body: 2 },
        Event::Paged {
            user: "alice".into(),
            conversation: with_bob(),
            before: None,
            items: vec![PageItem { uid: uid(), sent: 1, number: Some(1), body: 2 }],
            more: false,
        },
        Event::Placed { user: "alice".into(), uid: uid(), position: 4 },
        Event::Held { user: "alice".into(), cursor: 4 },
        Event::Logged {
            uid: uid(),
            sent: 1,
            sender: "alice".into(),
            conversation: with_bob(),
            recipients: vec!["bob".into()],
            keep: Keep::Timeline,
            body: 2,
            taken: Some(3),
        },
        Event::StoreSaved,
        Event::StoreForgot,
        Event::Disconnected { connection },
        Event::Quiet,
    ]
}

#[test]
fn every_event_is_read_as_it_was_written() {
    let lines: Vec<Line> =
        one_of_each().into_iter().enumerate().map(|(at, event)| Line { at: at as u64, event }).collect();
    let mut writer = TraceWriter::new(Vec::new()).unwrap();
    for line in &lines {
        writer.write(line).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let read: Result<Vec<Line>, TraceError> = TraceReader::new(bytes.as_slice()).unwrap().collect();
    assert_eq!(read.unwrap(), lines);
}

/// Other programs write this form, so it does not change within a version.
#[test]
fn golden_lines() {
    let mut writer = TraceWriter::new(Vec::new()).unwrap();
    writer.write(&Line { at: 12, event: one_of_each().swap_remove(2) }).unwrap();
    writer.write(&Line { at: 13, event: one_of_each().swap_remove(3) }).unwrap();
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    let expected = r#"{"anser_trace":1}
{"at":12,"event":{"kind":"invoked","call":1,"user":"alice","connection":7,"conversation":{"kind":"private","target":"bob"},"client_id":-5,"body":9,"keep":"history"}}
{"at":13,"event":{"kind":"acked","call":1,"uid":"D203-MKTG-G004-2VDL","sent":1795311881922}}
"#;
    assert_eq!(text, expected);
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    assert!(matches!(TraceReader::new(&b"{}\n"[..]), Err(TraceError::NoHead)));
    assert!(matches!(TraceReader::new(&b"{\"anser_trace\":2}\n"[..]), Err(TraceError::Version(2))));
    let mut reader = TraceReader::new(&b"{\"anser_trace\":1}\nnothing\n"[..]).unwrap();
    assert!(matches!(reader.next(), Some(Err(TraceError::Line { line: 2, .. }))));
}

#[test]
fn merged_traces_are_quiet_only_when_all_are() {
    let held = |cursor| Event::Held { user: "u".into(), cursor };
    let line = |at, event| Line { at, event };
    let one = vec![line(1, held(1)), line(5, held(2)), line(6, Event::Quiet)];
    let mut two = vec![line(2, held(3)), line(7, held(4))];
    let merged = merge(vec![one.clone(), two.clone()]);
    assert_eq!(merged.iter().map(|l| l.at).collect::<Vec<_>>(), [1, 2, 5, 7]);
    two.push(line(8, Event::Quiet));
    let merged = merge(vec![one, two]);
    assert_eq!(merged.last(), Some(&line(8, Event::Quiet)));
}
