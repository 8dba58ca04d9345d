//! The session in virtual time, against a server that is played by hand.

use anser_rmtp::body::{DownStreamMessage, DownStreamMessages, NotifyMsg, UpStreamMessage};
use anser_rmtp::frame::{ConnAck, PubAck, Qos, QueryAck, ServerPublish};
use anser_rmtp::{ClientFrame, PublishTopic, PushTopic, QueryTopic, ServerFrame, ServerTopic, TransportKind};
use anser_types::{Conversation, ConversationType, MessageUid, Status, TargetId, Timestamp, UserId, target_hash};
use prost::Message as _;

use super::{Effect, Event, LinkId, Notice, Outgoing, Received, Session, SessionConfig};

mod connecting;
mod receiving;
mod sending;
mod walk;

/// A session, its time, and what it did since somebody looked.
struct Rig {
    session: Session,
    now: Timestamp,
    effects: Vec<Effect>,
    link: LinkId,
}

const START: Timestamp = Timestamp(1_000_000);

impl Rig {
    fn new(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new("app", "token", TransportKind::Tcp, 7);
        change(&mut config);
        Self { session: Session::new(config), now: START, effects: Vec::new(), link: LinkId(0) }
    }

    /// Signed in, with the first pull answered by nothing.
    fn synced(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut rig = Self::new(change);
        rig.event(Event::Start);
        rig.event(Event::Navigated(vec!["a:1".into(), "b:2".into()]));
        rig.sign_in();
        rig.answer_pull(&[], 0, true);
        rig.take();
        rig
    }

    /// Opens the connection that was asked for, and signs in.
    fn sign_in(&mut self) {
        let opens = |effect: &Effect| match effect {
            Effect::Open { link, .. } => Some(*link),
            _ => None,
        };
        self.link = self.effects.iter().rev().find_map(opens).expect("a connection was asked for");
        self.event(Event::Opened { link: self.link });
        self.frame(connack("me", self.now.plus(500)));
    }

    /// The connection breaks, and the session is signed in again after its pause.
    fn reconnect(&mut self) {
        self.event(Event::Lost { link: self.link });
        self.take();
        self.run_until(|rig| rig.effects.iter().any(|e| matches!(e, Effect::Open { .. })));
        self.sign_in();
    }

    fn event(&mut self, event: Event) {
        self.session.handle(event, self.now, &mut self.effects);
    }

    fn frame(&mut self, frame: ServerFrame) {
        self.event(Event::Frame { link: self.link, frame });
    }

    /// Lets time pass, waking the session when it asks to be woken.
    fn pass(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        while let Some(at) = self.session.wake_at().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.event(Event::Tick);
            assert!(self.session.wake_at().is_none_or(|next| next > self.now), "a wake-up that asks for itself");
        }
        self.now = end;
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if done(self) {
                return;
            }
            let at = self.session.wake_at().expect("the session waits for something");
            self.now = self.now.max(at);
            self.event(Event::Tick);
        }
        panic!("nothing came of it");
    }

    /// Answers every ping that was written, so that the connection counts as alive.
    fn pass_alive(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        while self.now < end {
            self.pass(10_000.min(end.since(self.now)));
            self.frame(ServerFrame::PingResp);
        }
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.effects.iter().filter_map(|effect| if let Effect::Tell(notice) = effect { Some(notice) } else { None })
    }

    fn written(&self) -> impl Iterator<Item = &ClientFrame> {
        self.effects.iter().filter_map(|effect| if let Effect::Write(frame) = effect { Some(frame) } else { None })
    }

    /// The texts of the publishes written since somebody looked, with their message ids and client ids.
    fn published(&self) -> Vec<(String, u16, i64)> {
        let publish = |frame: &ClientFrame| match frame {
            ClientFrame::Publish(publish) => {
                let up = UpStreamMessage::decode(publish.body.clone()).unwrap();
                let text = String::from_utf8(up.content.to_vec()).unwrap();
                Some((text, publish.message_id, up.client_unique_id.unwrap()))
            }
            _ => None,
        };
        self.written().filter_map(publish).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.published().into_iter().map(|(text, ..)| text).collect()
    }

    /// The message ids of the pulls written since somebody looked, with the cursor that they ask with.
    fn pulls(&self) -> Vec<(u16, i64)> {
        let pull = |frame: &ClientFrame| match frame {
            ClientFrame::Query(query) if query.topic == QueryTopic::Pull => {
                let request = anser_rmtp::body::SyncRequestMsg::decode(query.body.clone()).unwrap();
                Some((query.message_id, request.sync_time))
            }
            _ => None,
        };
        self.written().filter_map(pull).collect()
    }

    fn received(&self) -> impl Iterator<Item = &Received> {
        self.notices().filter_map(
            |notice| {
                if let Notice::Received(received) = notice { Some(&**received) } else { None }
            },
        )
    }

    fn times_shown(&self) -> Vec<u64> {
        self.received().map(|received| received.sent.0).collect()
    }

    /// Sends a text to somebody; the ticket is its number.
    fn send(&mut self, to: &str, number: u64) {
        let mut outgoing = Outgoing::new(private(to), "RC:TxtMsg", number.to_string());
        outgoing.ticket = number;
        self.event(Event::Send(Box::new(outgoing)));
    }

    fn ack(&mut self, message_id: u16, status: Status) {
        let uid = status.is_ok().then(|| uid(self.now.0, message_id));
        self.frame(ServerFrame::PubAck(PubAck { message_id, sent: self.now, status, uid }));
    }

    /// Answers the last pull that was written.
    fn answer_pull(&mut self, list: &[DownStreamMessage], sync_time: i64, finished: bool) {
        let (message_id, _) = *self.pulls().last().expect("a pull was asked");
        let body = DownStreamMessages { list: list.to_vec(), sync_time, finished, broadcast_sync_time: 0 };
        self.answer(message_id, Status::OK, body.encode_to_vec());
    }

    fn answer(&mut self, message_id: u16, status: Status, body: Vec<u8>) {
        let qos = Qos::AtLeastOnce;
        self.frame(ServerFrame::QueryAck(QueryAck { qos, message_id, seconds: 0, status, body: body.into() }));
    }

    fn push(&mut self, topic: PushTopic, body: Vec<u8>) {
        self.frame(ServerFrame::Publish(ServerPublish {
            qos: Qos::AtLeastOnce,
            dup: false,
            seconds: 0,
            topic: ServerTopic::Push(topic),
            target: "me".into(),
            message_id: 77,
            body: body.into(),
        }));
    }

    fn notify(&mut self, time: i64) {
        let body = NotifyMsg { kind: 1, time: Some(time), chrm_id: None, destroy_type: None };
        self.push(PushTopic::Notify, body.encode_to_vec());
    }

    fn direct(&mut self, message: &DownStreamMessage) {
        self.push(PushTopic::Message, message.encode_to_vec());
    }
}

fn connack(user: &str, time: Timestamp) -> ServerFrame {
    ServerFrame::ConnAck(ConnAck::Accepted {
        user_id: user.into(),
        session_id: "s".into(),
        time,
        first_message_id: None,
    })
}

fn private(to: &str) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::new(to).unwrap())
}

fn uid(time: u64, spin: u16) -> MessageUid {
    MessageUid::new(Timestamp(time), spin, ConversationType::Private, target_hash("me"))
}

/// A message from a peer, sent at this time.
fn from_peer(time: u64) -> DownStreamMessage {
    DownStreamMessage {
        from_user_id: "peer".into(),
        kind: 1,
        classname: "RC:TxtMsg".into(),
        content: "{}".into(),
        data_time: i64::try_from(time).unwrap(),
        status: 0x30,
        msg_id: Some(uid(time, 1).to_string()),
        ..DownStreamMessage::default()
    }
}

/// A message of ours to a peer, as a pull brings it.
fn own(time: u64, client_id: i64) -> DownStreamMessage {
    DownStreamMessage { direction: Some(1), client_unique_id: Some(client_id), ..from_peer(time) }
}

fn up(text: &str, client_id: i64) -> UpStreamMessage {
    UpStreamMessage {
        session_id: 3,
        classname: "RC:TxtMsg".into(),
        content: text.to_owned().into(),
        client_unique_id: Some(client_id),
        ..UpStreamMessage::default()
    }
}

fn copy_of(topic: PublishTopic, target: &str, message_id: u16, body: &UpStreamMessage) -> ServerFrame {
    ServerFrame::Publish(ServerPublish {
        qos: Qos::AtLeastOnce,
        dup: true,
        seconds: 0,
        topic: ServerTopic::Copy(topic),
        target: target.into(),
        message_id,
        body: body.encode_to_vec().into(),
    })
}

fn me() -> UserId {
    UserId::new("me").unwrap()
}
