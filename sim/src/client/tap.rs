//! Reads what goes over a client's connection, and tells the trace what it means.

use std::collections::BTreeMap;

use anser_rmtp::body::{DownStreamMessages, NotifyMsg, SyncRequestMsg, UpStreamMessage};
use anser_rmtp::frame::{Publish, Query};
use anser_rmtp::{ClientFrame, PublishKind, PushTopic, QueryTopic, ServerFrame, ServerTopic};
use anser_testkit::trace::{CallId, ClientConnection, Event, Keep, Name};
use anser_types::{MessageClass, MessageFlags};
use prost::Message as _;

use crate::oracle::{body_key, conversation};

/// Listens to one connection.
#[derive(Debug)]
pub(crate) struct Tap {
    connection: ClientConnection,
    user: Name,
    publishes: BTreeMap<u16, CallId>,
    pulls: BTreeMap<u16, u64>,
    pulled: u64,
}

impl Tap {
    pub(crate) const fn new(connection: ClientConnection, user: Name) -> Self {
        Self { connection, user, publishes: BTreeMap::new(), pulls: BTreeMap::new(), pulled: 0 }
    }

    /// What a frame means that the client writes. `call` is the next free name of an attempt.
    pub(crate) fn wrote(&mut self, frame: &ClientFrame, call: &mut u64) -> Option<Event> {
        match frame {
            ClientFrame::Publish(publish) => {
                *call += 1;
                self.publishes.insert(publish.message_id, CallId(*call));
                self.invoked(publish, CallId(*call))
            }
            ClientFrame::Query(query) if query.topic == QueryTopic::Pull => self.pulling(query),
            _ => None,
        }
    }

    fn invoked(&self, publish: &Publish, call: CallId) -> Option<Event> {
        let up = UpStreamMessage::decode(publish.body.clone()).ok()?;
        let PublishKind::Message { conversation: kind, class } = publish.topic.kind() else {
            return None;
        };
        let persist = up.session_id.cast_unsigned() & MessageFlags::PERSIST.0 != 0;
        let keep = match class {
            MessageClass::Status => Keep::Nothing,
            MessageClass::Persisted if persist => Keep::History,
            _ => Keep::Timeline,
        };
        Some(Event::Invoked {
            call,
            user: self.user.clone(),
            connection: Some(self.connection),
            conversation: conversation(kind, publish.target.id()?.as_str()),
            client_id: up.client_unique_id,
            body: body_key(&up.content),
            keep,
            to: Vec::new(),
        })
    }

    fn pulling(&mut self, query: &Query) -> Option<Event> {
        let asked = SyncRequestMsg::decode(query.body.clone()).ok()?;
        self.pulled += 1;
        self.pulls.insert(query.message_id, self.pulled);
        let cursor = u64::try_from(asked.sync_time).unwrap_or(0);
        Some(Event::Pulling { connection: self.connection, pull: self.pulled, cursor })
    }

    /// The client takes no ack of this publish any more.
    pub(crate) fn gave_up(&self, message_id: u16) -> Option<Event> {
        self.publishes.get(&message_id).map(|call| Event::GaveUp { call: *call })
    }

    /// What a frame means that reaches the client.
    pub(crate) fn read(&mut self, frame: &ServerFrame) -> Option<Event> {
        let connection = self.connection;
        match frame {
            ServerFrame::PubAck(ack) => {
                let call = self.publishes.remove(&ack.message_id)?;
                Some(match ack.uid.filter(|_| ack.status.is_ok()) {
                    Some(uid) => Event::Acked { call, uid, sent: ack.sent.0 },
                    None => Event::Refused { call, status: ack.status.0 },
                })
            }
            ServerFrame::QueryAck(answer) => {
                let pull = self.pulls.remove(&answer.message_id)?;
                if !answer.status.is_ok() {
                    return Some(Event::PullRefused { connection, pull, status: answer.status.0 });
                }
                let page = DownStreamMessages::decode(answer.body.clone()).ok()?;
                let synced = u64::try_from(page.sync_time).unwrap_or(0);
                Some(Event::Pulled { connection, pull, synced, finished: page.finished })
            }
            ServerFrame::Publish(push) if push.topic == ServerTopic::Push(PushTopic::Notify) => {
                let notify = NotifyMsg::decode(push.body.clone()).ok()?;
                let time = u64::try_from(notify.time?).unwrap_or(0);
                Some(Event::Notified { connection, time })
            }
            _ => None,
        }
    }
}
