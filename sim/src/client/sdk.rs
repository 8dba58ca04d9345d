//! Model clients: what published SDKs do, as far as it matters here.
//!
//! | | imlib-v4 4.6.4 | imlib-next 5.38 | native 5.46 |
//! | --- | --- | --- | --- |
//! | client id | none | yes | yes |
//! | direct push | shown, cursor moves; acked and dropped while a pull is open | a notify | shown, cursor stays |
//! | cursor after a pull | the answer's | the answer's | largest time of received items |
//! | notify during a pull | one more pull, and again until the answer reaches it | one more pull | one more pull |
//! | own messages in an answer | dropped once | dropped once, unless older than the newest of its kind | dropped |
//! | repeated items | shown | shown | dropped |

mod pulls;

use std::collections::{BTreeMap, BTreeSet};

use anser_rmtp::body::{DownStreamMessage, NotifyMsg, UpStreamMessage};
use anser_rmtp::frame::{ConnAck, PubAck, Publish, Qos, ServerPublish, Target};
use anser_rmtp::{ClientFrame, PublishTopic, PushTopic, ServerFrame, ServerTopic};
use anser_testkit::trace::Via;
use anser_types::{MessageClass, MessageUid, Status, UserId};
use bytes::Bytes;
use prost::Message as _;

use super::down::seen;
use super::{Event, Letter, Said, Timer};
use crate::plan::Kind;
use crate::rng::Rng;

/// How long published clients wait for an answer.
const ANSWER_MS: u64 = 30_000;
/// How often an application sends something again.
const ATTEMPTS_MAX: u32 = 5;

/// A model client. What belongs to its storage outlives connections.
#[derive(Debug)]
pub(crate) struct SdkClient {
    user: UserId,
    kind: Kind,
    rng: Rng,
    wants_online: bool,
    signed_in: bool,
    /// Counts the dials, to recognise what belongs to an earlier one.
    dial: u64,
    message_id: u16,
    /// What was sent and not answered, by message id; and what was lost with an earlier connection.
    open: BTreeMap<u16, Letter>,
    unsure: Vec<Letter>,
    cursor: u64,
    send_cursor: u64,
    /// Own messages that were acked, with their times.
    sent: BTreeMap<MessageUid, u64>,
    /// Native: everything that it holds.
    known: BTreeSet<MessageUid>,
    pulling: Option<u16>,
    pull_again: bool,
    notified: u64,
    pulled_before: bool,
    /// Whether there are several nodes.
    is_among_several: bool,
}

impl SdkClient {
    pub(crate) const fn new(user: UserId, kind: Kind, is_among_several: bool, rng: Rng) -> Self {
        Self {
            user,
            kind,
            is_among_several,
            rng,
            wants_online: false,
            signed_in: false,
            dial: 0,
            message_id: 0,
            open: BTreeMap::new(),
            unsure: Vec::new(),
            cursor: 0,
            send_cursor: 0,
            sent: BTreeMap::new(),
            known: BTreeSet::new(),
            pulling: None,
            pull_again: false,
            notified: 0,
            pulled_before: false,
        }
    }

    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) const fn is_pulling(&self) -> bool {
        self.pulling.is_some()
    }

    pub(crate) fn is_sending(&self) -> bool {
        !self.open.is_empty()
    }

    pub(crate) const fn user(&self) -> &UserId {
        &self.user
    }

    pub(crate) fn handle(&mut self, event: Event) -> Vec<Said> {
        let mut said = Vec::new();
        match event {
            Event::GoOnline if !self.wants_online => {
                self.wants_online = true;
                self.dial(&mut said);
            }
            Event::GoOffline if self.wants_online => {
                self.wants_online = false;
                self.drop_connection();
                said.push(Said::HangUp);
            }
            Event::Lost => self.on_lost(&mut said),
            Event::Frame(frame) => self.on_frame(frame, &mut said),
            Event::Send(letter) => self.send(letter, &mut said),
            Event::Timer(timer) => self.on_timer(timer, &mut said),
            Event::GoOnline | Event::GoOffline | Event::Opened => {}
        }
        said
    }

    fn dial(&mut self, said: &mut Vec<Said>) {
        self.dial += 1;
        said.push(Said::Dial);
    }

    fn drop_connection(&mut self) {
        self.signed_in = false;
        self.pulling = None;
        self.pull_again = false;
        let lost = std::mem::take(&mut self.open);
        self.unsure.extend(lost.into_values());
    }

    fn on_lost(&mut self, said: &mut Vec<Said>) {
        self.drop_connection();
        if self.wants_online {
            let pause = self.rng.between(100, 3_000);
            said.push(Said::After(pause, Timer::Dial));
        }
    }

    fn on_timer(&mut self, timer: Timer, said: &mut Vec<Said>) {
        match timer {
            Timer::Dial if self.wants_online && !self.signed_in => self.dial(said),
            Timer::Overdue { dial, message_id } if dial == self.dial => {
                // An open pull is given up, and what was noticed meanwhile is forgotten with it.
                if self.pulling == Some(message_id) {
                    self.pulling = None;
                    self.pull_again = false;
                }
                if let Some(letter) = self.open.remove(&message_id) {
                    said.push(Said::GiveUp(message_id));
                    self.resend(letter, said);
                }
            }
            Timer::Resend(letter) => self.resend(letter, said),
            _ => {}
        }
    }

    fn on_frame(&mut self, frame: ServerFrame, said: &mut Vec<Said>) {
        match frame {
            ServerFrame::ConnAck(ConnAck::Accepted { .. }) => self.on_signed_in(said),
            ServerFrame::PubAck(ack) => self.on_ack(ack, said),
            ServerFrame::QueryAck(answer) => self.on_answer(&answer, said),
            ServerFrame::Publish(push) => self.on_push(&push, said),
            ServerFrame::ConnAck(ConnAck::Refused { .. }) | ServerFrame::Disconnect { .. } => {
                said.push(Said::HangUp);
                self.on_lost(said);
            }
            ServerFrame::PingResp => {}
        }
    }

    fn on_signed_in(&mut self, said: &mut Vec<Said>) {
        self.signed_in = true;
        self.pulled_before = false;
        self.message_id = 0;
        self.pull(said);
        for letter in std::mem::take(&mut self.unsure) {
            if self.rng.chance(700) {
                self.resend(letter, said);
            }
        }
    }

    /// The application sends something again: the same message where the client names it, else another one.
    fn resend(&mut self, mut letter: Letter, said: &mut Vec<Said>) {
        letter.attempts += 1;
        // Without an id a second attempt would be a second message, with a body key of its own.
        if letter.attempts > ATTEMPTS_MAX || letter.client_id.is_none() {
            return;
        }
        self.send(letter, said);
    }

    fn send(&mut self, letter: Letter, said: &mut Vec<Said>) {
        if !self.signed_in {
            if letter.client_id.is_some() {
                self.unsure.push(letter);
            }
            return;
        }
        let message_id = self.next_message_id();
        let up = UpStreamMessage {
            session_id: if letter.persist { 3 } else { 0 },
            classname: Bytes::from_static(if letter.class == MessageClass::Status {
                b"RC:TypSts"
            } else {
                b"RC:TxtMsg"
            }),
            content: letter.body.to_string().into(),
            client_unique_id: letter.client_id,
            ..UpStreamMessage::default()
        };
        said.push(Said::Write(ClientFrame::Publish(Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            topic: PublishTopic::for_message(letter.conversation.kind, letter.class),
            target: Target::Id(letter.conversation.target.clone()),
            message_id,
            body: up.encode_to_vec().into(),
        })));
        if letter.class != MessageClass::Status {
            self.open.insert(message_id, letter);
            said.push(Said::After(ANSWER_MS, Timer::Overdue { dial: self.dial, message_id }));
        }
    }

    fn on_ack(&mut self, ack: PubAck, said: &mut Vec<Said>) {
        let Some(letter) = self.open.remove(&ack.message_id) else {
            return;
        };
        if let Some(uid) = ack.uid.filter(|_| ack.status.is_ok()) {
            self.sent.insert(uid, ack.sent.0);
            self.known.insert(uid);
            if self.kind == Kind::Native {
                self.send_cursor = self.send_cursor.max(ack.sent.0);
            }
        } else if ack.status.is_retryable() || ack.status == Status::NOT_IN_GROUP && self.rng.chance(200) {
            let pause = self.rng.between(300, 3_000);
            said.push(Said::After(pause, Timer::Resend(letter)));
        }
    }

    fn on_push(&mut self, push: &ServerPublish, said: &mut Vec<Said>) {
        if push.qos.is_confirmed() && !push.dup {
            said.push(Said::Write(ClientFrame::PubAck { message_id: push.message_id }));
        }
        match push.topic {
            ServerTopic::Push(PushTopic::Notify) => {
                let notify = NotifyMsg::decode(push.body.clone()).unwrap_or_default();
                self.on_notify(u64::try_from(notify.time.unwrap_or(0)).unwrap_or(0), said);
            }
            ServerTopic::Push(PushTopic::Message) => {
                if let Ok(down) = DownStreamMessage::decode(push.body.clone()) {
                    self.on_direct(&down, push.qos.is_confirmed(), said);
                }
            }
            _ => {}
        }
    }

    fn on_notify(&mut self, time: u64, said: &mut Vec<Said>) {
        if time <= self.cursor {
            return;
        }
        self.notified = self.notified.max(time);
        if self.pulling.is_some() {
            self.pull_again = true;
        } else {
            self.pull(said);
        }
    }

    fn on_direct(&mut self, down: &DownStreamMessage, is_kept: bool, said: &mut Vec<Said>) {
        let Some(seen) = seen(&self.user, down) else {
            return;
        };
        if !is_kept {
            said.push(Said::Show(seen, Via::Direct));
            return;
        }
        match self.kind {
            Kind::V4 if self.pulling.is_some() => {}
            Kind::V4 => {
                if down.direction != Some(1) {
                    self.cursor = self.cursor.max(seen.sent);
                }
                said.push(Said::Show(seen, Via::Direct));
            }
            Kind::Next => self.on_notify(seen.sent, said),
            Kind::Native | Kind::Own => {
                if self.known.insert(seen.uid) {
                    said.push(Said::Show(seen, Via::Direct));
                } else {
                    said.push(Said::Withhold(seen.uid, seen.body));
                }
            }
        }
    }

    fn next_message_id(&mut self) -> u16 {
        self.message_id = self.message_id.wrapping_add(1).max(1);
        self.message_id
    }
}
