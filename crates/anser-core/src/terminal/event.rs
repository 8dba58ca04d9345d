//! What happens to a terminal, and what it says should be done.

use std::sync::Arc;

use anser_cluster::{
    Accepted, Command, HistoryRead, HistoryReply, ListItem, Outcome, Publish, PullReply, PullRequest, Recall, Refusal,
    SettingsPage,
};
use anser_rmtp::frame::{Body, ConnAck, ConnAckRef, QueryAck, ServerPublish};
use anser_rmtp::{ClientFrame, DisconnectStatus, ServerFrame, ServerFrameRef};
use anser_types::{ConnectionId, ConversationType, Message, Position, Timestamp, UserKey};
use bytes::Bytes;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The client sent a frame.
    Frame(ClientFrame),
    /// A publish of this connection was decided.
    Settled {
        /// Its number on this connection.
        publish: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// A message went into the user's timeline, or is a status message for who is online.
    Arrived(Arrived),
    /// The timeline may hold more than this terminal was told of, up to `head`: a replay touched it, or arrivals found no
    /// room on their way here.
    Behind {
        /// The newest position that is known. Must be in the timeline already.
        head: Position,
    },
    /// For a while others may not have known that the terminal is here. They do now; what came meanwhile was told to nobody.
    Overlooked,
    /// Settings of some conversation of the user changed.
    SettingsChanged {
        /// Their version.
        time: Timestamp,
        /// The connection that changed them.
        by: ConnectionId,
    },
    /// A question was answered.
    Answered {
        /// Which one.
        ticket: Ticket,
        /// What was said. Boxed: most events are far smaller.
        result: Box<Result<Reply, Refusal>>,
    },
    /// Time passed.
    Tick,
}

/// A message that arrived, as it concerns one user.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The message.
    pub message: Arc<Message>,
    /// Where it went in the timeline; `None` for a status message.
    pub position: Option<Position>,
    /// The newest position before it.
    pub previous: Position,
    /// `None`: received. Otherwise the connection on which this user sent it.
    pub sent_on: Option<ConnectionId>,
}

/// Names a question until it is answered. Unique on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u32);

/// A question to the message role or the directory.
#[derive(Debug, Clone)]
pub enum Request {
    /// [`anser_cluster::MessageService::pull`] → [`Reply::Pull`].
    Pull(PullRequest),
    /// [`anser_cluster::MessageService::history`] → [`Reply::History`].
    History(HistoryRead),
    /// [`anser_cluster::MessageService::conversations`] → [`Reply::Conversations`].
    Conversations {
        /// Whose.
        user: UserKey,
        /// Only conversations of this type.
        kind: Option<ConversationType>,
        /// Only those whose last message was sent before; zero for all.
        before: Timestamp,
        /// At most so many.
        count: usize,
    },
    /// [`anser_cluster::DirectoryService::settings`] → [`Reply::Settings`].
    Settings {
        /// Whose.
        user: UserKey,
        /// Those set after this.
        version: Timestamp,
    },
    /// [`anser_cluster::MessageService::command`], one after the other, until one fails → [`Reply::Done`] with the last time.
    Commands(Vec<Command>),
    /// [`anser_cluster::MessageService::recall`] → [`Reply::Recalled`].
    Recall(Box<Recall>),
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// To [`Request::Pull`].
    Pull(PullReply),
    /// To [`Request::History`].
    History(HistoryReply),
    /// To [`Request::Conversations`].
    Conversations(Vec<ListItem>),
    /// To [`Request::Settings`].
    Settings(SettingsPage),
    /// To [`Request::Commands`].
    Done(Timestamp),
    /// To [`Request::Recall`].
    Recalled(Accepted),
}

/// How a connection ends. What was written before still goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client went by itself: nothing is said.
    Quiet,
    /// With a DISCONNECT that says why.
    Told(DisconnectStatus),
}

/// Carries out what a terminal says, in the order in which it says it.
pub trait Output {
    /// Writes a frame.
    fn send(&mut self, frame: ServerFrameRef<'_>);
    /// Hands a publish to the message role. All publishes of one read may go together, in order.
    fn publish(&mut self, publish: Publish);
    /// Asks, and brings the answer as [`Event::Answered`].
    fn ask(&mut self, ticket: Ticket, request: Request);
    /// Tells all terminals of the user that this one changed settings: [`anser_cluster::AccessService::settings_changed`].
    fn announce_settings(&mut self, time: Timestamp);
    /// Ends the connection. Nothing follows.
    fn close(&mut self, how: Close);

    /// An empty buffer to build a body in. A shell may keep one for all its connections.
    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }
    /// Takes the buffer back.
    fn reuse(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }
}

/// What a terminal said, kept: for tests and simulations. `Vec<Effect>` is an [`Output`].
#[derive(Debug, Clone)]
pub enum Effect {
    /// [`Output::send`], as the client reads it.
    Send(ServerFrame),
    /// [`Output::publish`].
    Publish(Publish),
    /// [`Output::ask`].
    Ask(Ticket, Request),
    /// [`Output::announce_settings`].
    AnnounceSettings(Timestamp),
    /// [`Output::close`].
    Close(Close),
}

impl Output for Vec<Effect> {
    fn send(&mut self, frame: ServerFrameRef<'_>) {
        self.push(Effect::Send(owned(frame)));
    }

    fn publish(&mut self, publish: Publish) {
        self.push(Effect::Publish(publish));
    }

    fn ask(&mut self, ticket: Ticket, request: Request) {
        self.push(Effect::Ask(ticket, request));
    }

    fn announce_settings(&mut self, time: Timestamp) {
        self.push(Effect::AnnounceSettings(time));
    }

    fn close(&mut self, how: Close) {
        self.push(Effect::Close(how));
    }
}

fn owned(frame: ServerFrameRef<'_>) -> ServerFrame {
    match frame {
        ServerFrameRef::ConnAck(ConnAckRef::Refused(status)) => {
            ServerFrame::ConnAck(ConnAck::Refused { code: status.code() })
        }
        ServerFrameRef::ConnAck(ConnAckRef::Accepted { user_id, session_id, time, first_message_id, .. }) => {
            let (user_id, session_id) = (user_id.to_owned(), session_id.to_owned());
            ServerFrame::ConnAck(ConnAck::Accepted { user_id, session_id, time, first_message_id })
        }
        ServerFrameRef::Publish(p) => ServerFrame::Publish(ServerPublish {
            qos: p.qos,
            dup: p.dup,
            seconds: p.seconds,
            topic: p.topic,
            target: p.target.to_owned(),
            message_id: p.message_id,
            body: owned_body(p.body),
        }),
        ServerFrameRef::PubAck(ack) => ServerFrame::PubAck(ack),
        ServerFrameRef::QueryAck(a) => ServerFrame::QueryAck(QueryAck {
            qos: a.qos,
            message_id: a.message_id,
            seconds: a.seconds,
            status: a.status,
            body: owned_body(a.body),
        }),
        ServerFrameRef::PingResp => ServerFrame::PingResp,
        ServerFrameRef::Disconnect(status) => ServerFrame::Disconnect { code: status.code() },
    }
}

fn owned_body(body: Body<'_>) -> Bytes {
    match body {
        Body::One(piece) => Bytes::copy_from_slice(piece),
        Body::Parts(pieces) => Bytes::from(pieces.concat()),
    }
}
