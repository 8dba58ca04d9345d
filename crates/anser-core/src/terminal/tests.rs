//! The terminal in virtual time, one test per rule, named by the promise that it keeps.

mod direct;
mod model;
mod notice;
mod publish;
mod pull;
mod query;

use std::sync::Arc;

use anser_cluster::{Accepted, PullItem, PullReply, Refusal};
use anser_rmtp::body::{DownStreamMessage, DownStreamMessages, NotifyMsg, SyncRequestMsg, UpStreamMessage};
use anser_rmtp::frame::{PubAck, Publish, Qos, Query, QueryAck, ServerPublish, Target};
use anser_rmtp::{
    ClientFrame, Generation, PublishTopic, PushTopic, QueryTopic, ServerFrame, ServerTopic, TransportKind,
};
use anser_types::{
    AppKey, ConnectionId, ConversationType, DeviceId, Message, MessageClass, MessageFlags, MessageUid, Origin,
    Position, Status, TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use prost::Message as _;

use super::{Arrived, Effect, Event, Identity, Reply, Request, Terminal, TerminalConfig, Ticket};

const START: u64 = 1_800_000_000_000;
const HERE: ConnectionId = ConnectionId(7);
const ELSEWHERE: ConnectionId = ConnectionId(8);

/// A web SDK that shows what is pushed to it, and moves its cursor with it.
pub(super) fn old_web() -> &'static Generation {
    Generation::find(TransportKind::WebSocket, "5.3.4")
}

pub(super) fn new_web() -> &'static Generation {
    Generation::find(TransportKind::WebSocket, "5.38.0")
}

pub(super) fn native() -> &'static Generation {
    Generation::find(TransportKind::Tcp, "5.46.1")
}

pub(super) fn ours() -> &'static Generation {
    Generation::find(TransportKind::WebSocket, "anser/1")
}

pub(super) fn unknown() -> &'static Generation {
    Generation::find(TransportKind::WebSocket, "5.0.0")
}

pub(super) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// A message of bob to alice, sent at `START + at`.
pub(super) fn message(at: u64) -> Message {
    let sent = Timestamp(START + at);
    Message {
        app: AppKey::new("app").unwrap(),
        kind: ConversationType::Private,
        sender: user("bob"),
        target: TargetId::new("alice").unwrap(),
        sent,
        uid: MessageUid::new(sent, 1, ConversationType::Private, 5),
        class: MessageClass::Persisted,
        flags: MessageFlags(3),
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from(format!("text {at}")),
        origin: Origin { connection: ConnectionId(1), publish: 1, client_id: None },
        sender_copy: true,
        extras: None,
    }
}

/// A message of alice to bob.
pub(super) fn own_message(at: u64) -> Message {
    Message { sender: user("alice"), target: TargetId::new("bob").unwrap(), ..message(at) }
}

pub(super) fn at(offset: u64) -> Position {
    Position(START + offset)
}

pub(super) fn item(at_offset: u64) -> PullItem {
    PullItem { position: at(at_offset), sent_on: None, message: message(at_offset) }
}

/// Everything after `after` up to `head`.
pub(super) fn read(after: u64, items: Vec<PullItem>, head: u64) -> PullReply {
    PullReply { items, after: at(after), head: at(head), finished: true }
}

/// A terminal of alice under test, with the time and everything it said since the last look.
pub(super) struct Bench {
    pub(super) terminal: Terminal,
    pub(super) now: Timestamp,
    pub(super) out: Vec<Effect>,
    pub(super) message_id: u16,
}

impl Bench {
    pub(super) fn new(generation: &'static Generation) -> Self {
        Self::with(generation, TerminalConfig::default())
    }

    pub(super) fn with(generation: &'static Generation, config: TerminalConfig) -> Self {
        let identity = Identity {
            user: UserKey::new(AppKey::new("app").unwrap(), user("alice")),
            connection: HERE,
            device: DeviceId::new("d").ok(),
        };
        let terminal = Terminal::new(identity, generation, Arc::new(config));
        Self { terminal, now: Timestamp(START), out: Vec::new(), message_id: 0 }
    }

    /// One that is synced up to `at(10)`.
    pub(super) fn synced(generation: &'static Generation) -> Self {
        let mut bench = Self::new(generation);
        let id = bench.pulls(0, read(0, vec![item(10)], 10));
        bench.frame(ClientFrame::QueryCon { message_id: id });
        bench.out.clear();
        bench
    }

    pub(super) fn event(&mut self, event: Event) {
        self.terminal.handle(event, self.now, &mut self.out);
    }

    pub(super) fn frame(&mut self, frame: ClientFrame) {
        self.event(Event::Frame(frame));
    }

    /// Time passes, with a tick at its end.
    pub(super) fn wait(&mut self, millis: u64) {
        self.now = self.now.plus(millis);
        self.event(Event::Tick);
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.message_id += 1;
        self.message_id
    }

    // What comes in.

    /// A message of bob arrives where its time says.
    pub(super) fn arrives(&mut self, offset: u64, previous: u64) {
        self.arrives_at(message(offset), offset, previous, None);
    }

    pub(super) fn own_arrives(&mut self, offset: u64, previous: u64, on: ConnectionId) {
        self.arrives_at(own_message(offset), offset, previous, Some(on));
    }

    pub(super) fn arrives_at(&mut self, message: Message, position: u64, previous: u64, sent_on: Option<ConnectionId>) {
        self.event(Event::Arrived(Arrived {
            message: Arc::new(message),
            position: Some(at(position)),
            previous: if previous == 0 { Position::START } else { at(previous) },
            sent_on,
        }));
    }

    /// The client sends a pull; its message id and the ticket and start of the question that follows.
    pub(super) fn asks(&mut self, cursor: Position, qos: Qos, sent_until: u64) -> (u16, Ticket, Position) {
        let message_id = self.next_id();
        let body = SyncRequestMsg {
            sync_time: i64::try_from(cursor.0).unwrap(),
            send_box_sync_time: Some(i64::try_from(sent_until).unwrap()),
            ..SyncRequestMsg::default()
        };
        self.frame(query(QueryTopic::Pull, Target::Myself, message_id, qos, &body));
        let (ticket, after) = self.pull_request();
        (message_id, ticket, after)
    }

    /// The newest question is a pull from there.
    pub(super) fn pull_request(&mut self) -> (Ticket, Position) {
        match self.out.pop() {
            Some(Effect::Ask(ticket, Request::Pull(request))) => (ticket, request.after),
            other => panic!("instead of a pull: {other:?}"),
        }
    }

    pub(super) fn answers(&mut self, ticket: Ticket, reply: Result<PullReply, Refusal>) {
        self.event(Event::Answered { ticket, result: Box::new(reply.map(Reply::Pull)) });
    }

    /// The client pulls and is answered; the message id of the pull.
    pub(super) fn pulls(&mut self, cursor: u64, reply: PullReply) -> u16 {
        let cursor = if cursor == 0 { Position::START } else { at(cursor) };
        let (id, ticket, _) = self.asks(cursor, Qos::AtMostOnce, 0);
        self.answers(ticket, Ok(reply));
        id
    }

    // What goes out.

    pub(super) fn frames(&mut self) -> Vec<ServerFrame> {
        let sent = self.out.drain(..).filter_map(|effect| match effect {
            Effect::Send(frame) => Some(frame),
            _ => None,
        });
        sent.collect()
    }

    /// The pushes that went out, in words.
    pub(super) fn pushes(&mut self) -> Vec<Pushed> {
        self.frames().into_iter().filter_map(pushed).collect()
    }

    /// The answer to a pull that went out, as the client reads it.
    pub(super) fn answer(&mut self) -> (QueryAck, DownStreamMessages) {
        let frames = self.frames();
        let answer = frames.into_iter().find_map(|frame| match frame {
            ServerFrame::QueryAck(answer) => Some(answer),
            _ => None,
        });
        let answer = answer.expect("an answer went out");
        let body = DownStreamMessages::decode(answer.body.clone()).unwrap();
        (answer, body)
    }

    /// The one ack that went out.
    pub(super) fn ack(&mut self) -> PubAck {
        match self.frames().as_slice() {
            [ServerFrame::PubAck(ack)] => *ack,
            other => panic!("instead of an ack: {other:?}"),
        }
    }

    pub(super) fn publishes(&mut self) -> Vec<anser_cluster::Publish> {
        let all = self.out.drain(..).filter_map(|effect| match effect {
            Effect::Publish(publish) => Some(publish),
            _ => None,
        });
        all.collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Up to `START +`.
    Notice(u64),
    /// The message sent at `START +`, and the id to confirm.
    Message(u64, Qos, u16),
    Copy(String, u16),
    Settings(u64),
}

fn pushed(frame: ServerFrame) -> Option<Pushed> {
    let ServerFrame::Publish(ServerPublish { topic, body, message_id, qos, target, .. }) = frame else { return None };
    let notify = |body: Bytes| {
        let notify = NotifyMsg::decode(body).unwrap();
        u64::try_from(notify.time.unwrap()).unwrap()
    };
    Some(match topic {
        ServerTopic::Push(PushTopic::Notify) => Pushed::Notice(notify(body) - START),
        ServerTopic::Push(PushTopic::Command) => Pushed::Settings(notify(body)),
        ServerTopic::Push(PushTopic::Message) => {
            let message = DownStreamMessage::decode(body).unwrap();
            Pushed::Message(u64::try_from(message.data_time).unwrap() - START, qos, message_id)
        }
        ServerTopic::Copy(_) => Pushed::Copy(target, message_id),
        other => panic!("unexpected push {other:?}"),
    })
}

pub(super) fn query(
    topic: QueryTopic,
    target: Target,
    message_id: u16,
    qos: Qos,
    body: &impl prost::Message,
) -> ClientFrame {
    ClientFrame::Query(Query { qos, topic, target, message_id, body: Bytes::from(body.encode_to_vec()) })
}

pub(super) fn publish(topic: PublishTopic, to: &str, message_id: u16, body: &UpStreamMessage) -> ClientFrame {
    ClientFrame::Publish(Publish {
        dup: false,
        qos: Qos::AtLeastOnce,
        topic,
        target: TargetId::new(to).map_or(Target::Myself, Target::Id),
        message_id,
        body: Bytes::from(body.encode_to_vec()),
    })
}

pub(super) fn text(content: &str) -> UpStreamMessage {
    UpStreamMessage {
        session_id: 3,
        classname: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::copy_from_slice(content.as_bytes()),
        ..UpStreamMessage::default()
    }
}

pub(super) fn accepted(at: u64) -> anser_cluster::Outcome {
    let sent = Timestamp(START + at);
    Ok(Accepted { uid: MessageUid::new(sent, 1, ConversationType::Private, 5), sent })
}

pub(super) const fn refusal(status: Status) -> Refusal {
    Refusal::new(status)
}
