//! What the switches do between the machines: events, replies and frames that are not what they should be.

use std::sync::Arc;

use anser_cluster::{MessageService, Publish, PullReply, Refusal, ServerPublish, Settled};
use anser_core::terminal::{Arrived, Effect, Event};
use anser_rmtp::body::{Direction, DownStreamMessage, DownStreamMessages, DownStreamRef, NotifyMsg};
use anser_rmtp::frame::{Qos, ServerPublish as Push};
use anser_rmtp::{PushTopic, ServerFrame, ServerTopic};
use anser_types::{ConnectionId, ConversationType, Message, MessageUid, Origin, Position, Status, Timestamp};
use prost::Message as _;

use crate::plan::Kind;
use crate::switch::Switch;
use crate::world::{Happening, RoleAnswer, World};

/// How far ahead things run that should not.
const AHEAD_MS: u64 = 400;

/// A message for the user of a connection, as it goes to its terminal.
pub(super) fn arrived(event: &Event) -> Option<Arrived> {
    match event {
        Event::Arrived(arrived) if arrived.position.is_some() && arrived.sent_on.is_none() => Some(arrived.clone()),
        _ => None,
    }
}

/// The arrival as if its sent time were its place.
pub(super) fn in_place(mut arrived: Arrived) -> Arrived {
    if let Some(position) = arrived.position {
        let sent = Timestamp(position.0);
        arrived.message = Arc::new(Message { sent, ..Message::clone(&arrived.message) });
    }
    arrived
}

/// A push with the sent time that the message really has.
fn with_sent_time(frame: ServerFrame) -> ServerFrame {
    match frame {
        ServerFrame::Publish(mut push) if push.topic == ServerTopic::Push(PushTopic::Message) => {
            let mut down = DownStreamMessage::decode(push.body.clone()).unwrap_or_default();
            let uid = down.msg_id.as_deref().and_then(|text| text.parse::<MessageUid>().ok());
            if let Some(sent) = uid.and_then(|uid| i64::try_from(uid.sent_time().0).ok()) {
                down.data_time = sent;
            }
            push.body = down.encode_to_vec().into();
            ServerFrame::Publish(push)
        }
        other => other,
    }
}

/// The answer of a pull as the terminal should not get it.
pub(super) fn pulled(mut reply: PullReply, broken: Option<Switch>, own: ConnectionId) -> PullReply {
    match broken {
        Some(Switch::PullAhead) => reply.head = Position(reply.head.0 + AHEAD_MS),
        Some(Switch::OwnNotLeftOut | Switch::AckAfterCopy) => {
            for item in reply.items.iter_mut().filter(|item| item.sent_on == Some(own)) {
                item.sent_on = Some(ConnectionId(u64::MAX));
            }
        }
        Some(Switch::PullCutShort) if reply.items.len() > 1 => {
            reply.items.remove(0);
        }
        _ => {}
    }
    reply
}

impl World {
    pub(super) fn tampers_with_arrivals(&self) -> bool {
        self.broken(Switch::DirectWhileBehind)
    }

    /// A pull answer with a message that is none of the user's business.
    fn with_foreign(&self, id: ConnectionId, frame: ServerFrame) -> ServerFrame {
        let Some(user) = self.connections.get(&id).map(|c| self.seats[c.seat].client.user().as_str()) else {
            return frame;
        };
        let is_foreign = |m: &&Arc<Message>| {
            m.kind == ConversationType::Private && m.sender.as_str() != user && m.target.as_str() != user
        };
        let Some(foreign) = self.recent.iter().find(is_foreign) else {
            return frame;
        };
        let mut body = Vec::new();
        DownStreamRef::of(foreign, Direction::Received).put(&mut body);
        let foreign = DownStreamMessage::decode(body.as_slice()).unwrap_or_default();
        with_page(frame, |page| page.list.push(foreign))
    }

    /// Remembers a message that somebody may be shown wrongly.
    pub(super) fn remember(&mut self, message: &Arc<Message>) {
        if self.broken(Switch::WrongReader) && self.recent.len() < 50 {
            self.recent.push(message.clone());
        }
    }

    /// A message that the terminal machine would not have pushed is pushed.
    pub(super) fn push_wrongly(&mut self, id: ConnectionId, arrived: &Arrived, effects: &mut Vec<Effect>) {
        let Some(kind) = self.connections.get(&id).map(|c| self.seats[c.seat].kind) else {
            return;
        };
        let is_pushed = effects.iter().any(|effect| matches!(effect, Effect::Send(frame) if is_direct(frame)));
        if kind == Kind::V4 && !is_pushed {
            effects.clear();
            effects.push(Effect::Send(self.direct(id, arrived)));
        }
    }

    fn direct(&self, id: ConnectionId, arrived: &Arrived) -> ServerFrame {
        let mut body = Vec::new();
        DownStreamRef::of(&arrived.message, Direction::Received).put(&mut body);
        let target =
            self.connections.get(&id).map_or_else(String::new, |c| self.seats[c.seat].client.user().to_string());
        ServerFrame::Publish(Push {
            qos: Qos::AtLeastOnce,
            dup: false,
            seconds: 0,
            topic: ServerTopic::Push(PushTopic::Message),
            target,
            message_id: 0xfff0,
            body: body.into(),
        })
    }

    /// A publish that does not pass its user's queue.
    pub(super) fn bypass(&mut self, publish: Publish) {
        let Some(handle) = self.node.as_ref().map(|node| node.handle.clone()) else {
            return;
        };
        let (connection, number) = (publish.origin.connection, publish.origin.publish);
        let publish = ServerPublish {
            app: publish.sender.app,
            sender: publish.sender.user,
            kind: publish.kind,
            target: publish.target,
            class: publish.class,
            flags: publish.flags,
            object_name: publish.object_name,
            content: publish.content,
            sender_copy: false,
            check_permission: true,
            extras: publish.extras,
        };
        self.answers.push(Box::pin(async move {
            let outcome = handle.publish_for_server(publish, Origin::NONE).await;
            RoleAnswer::Bypassed(Settled { connection, publish: number, outcome })
        }));
    }

    pub(crate) fn on_settled(&mut self, mut settled: Settled) {
        if self.broken(Switch::OutcomeLost) && self.rng.chance(50) {
            return;
        }
        if self.broken(Switch::StatusUnknown) && settled.outcome.is_err() {
            settled.outcome = Err(Refusal::new(Status(499)));
        }
        if self.broken(Switch::AckAfterCopy) {
            let millis = self.rng.between(50, 400);
            self.plan_in(millis, Happening::LateOutcome(settled));
            return;
        }
        self.hand_outcome(settled);
    }

    /// The frame as it should not go out.
    pub(super) fn tamper_with(&mut self, id: ConnectionId, frame: ServerFrame) -> ServerFrame {
        match self.switch {
            Some(Switch::DirectRepeated) if is_direct(&frame) && self.rng.chance(300) => {
                let millis = self.rng.between(1, 1_500);
                self.plan_in(millis, Happening::Wrong(id, Box::new(frame.clone())));
                frame
            }
            Some(Switch::NotifyAhead) => notify_ahead(frame),
            Some(Switch::PlaceIgnored) => with_sent_time(frame),
            Some(Switch::PullShuffled) => shuffled(frame),
            Some(Switch::WrongReader) => self.with_foreign(id, frame),
            _ => frame,
        }
    }
}

fn is_direct(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Publish(push) if push.topic == ServerTopic::Push(PushTopic::Message) && push.qos.is_confirmed())
}

fn notify_ahead(frame: ServerFrame) -> ServerFrame {
    match frame {
        ServerFrame::Publish(mut push) if push.topic == ServerTopic::Push(PushTopic::Notify) => {
            let mut notify = NotifyMsg::decode(push.body.clone()).unwrap_or_default();
            notify.time = notify.time.map(|time| time + 400);
            push.body = notify.encode_to_vec().into();
            ServerFrame::Publish(push)
        }
        other => other,
    }
}

fn shuffled(frame: ServerFrame) -> ServerFrame {
    with_page(frame, |page| page.list.reverse())
}

fn with_page(frame: ServerFrame, change: impl FnOnce(&mut DownStreamMessages)) -> ServerFrame {
    match frame {
        ServerFrame::QueryAck(mut answer) if answer.status.is_ok() => {
            if let Ok(mut page) = DownStreamMessages::decode(answer.body.clone()) {
                change(&mut page);
                answer.body = page.encode_to_vec().into();
            }
            ServerFrame::QueryAck(answer)
        }
        other => other,
    }
}
