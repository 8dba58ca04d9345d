//! What a session is told, and what it wants done.

use anser_rmtp::{ClientFrame, QueryTopic, ServerFrame};
use anser_types::{ClientMessageId, MessageUid, Status, TargetId, Timestamp, UserId};
use bytes::Bytes;

use super::{Outgoing, Received};

/// One attempt to connect. A session has one at a time; what comes from an earlier one is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

/// What happens to a session.
#[derive(Debug)]
pub enum Event {
    /// Be connected from now on.
    Start,
    /// Navigation answered: the addresses to try, in this order.
    Navigated(Vec<String>),
    /// Navigation did not answer, or refused.
    NavigationFailed(NavigationFailure),
    /// The connection that was asked for carries frames now; over WebSocket after the upgrade.
    Opened {
        /// Which one.
        link: LinkId,
    },
    /// The connection could not be opened, or is gone.
    Lost {
        /// Which one.
        link: LinkId,
    },
    /// A frame came.
    Frame {
        /// Over which connection.
        link: LinkId,
        /// What it says.
        frame: ServerFrame,
    },
    /// Send a message. It is answered for once, by [`Notice::Acked`] or [`Notice::Failed`].
    Send(Box<Outgoing>),
    /// Ask the server something. It is answered for once, by [`Notice::Answer`].
    Ask(Question),
    /// Pull now, whether or not anything was announced: the application was told elsewhere, or the user asks for it.
    Refresh,
    /// Time has passed.
    Tick,
    /// Sign out. What is not settled fails.
    Stop,
}

/// Why navigation gave no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NavigationFailure {
    /// Not reachable, busy, or an answer that cannot be read: worth another try.
    #[error("navigation is not available")]
    Unavailable,
    /// The app or the token is refused: not worth another try.
    #[error("navigation refuses with code {0}")]
    Refused(u16),
}

/// A query.
#[derive(Debug, Clone)]
pub struct Question {
    /// What the answer is told with.
    pub ticket: u64,
    /// What is asked.
    pub topic: QueryTopic,
    /// Whom it is about; `None`: the signed-in user.
    pub target: Option<TargetId>,
    /// The message that belongs to the topic.
    pub body: Bytes,
}

/// Why a query has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nobody is signed in. Worth a retry once connected.
    #[error("not connected")]
    NotConnected,
    /// The connection was lost before the answer came. Worth a retry.
    #[error("connection was lost")]
    ConnectionLost,
    /// No answer in time. Worth a retry.
    #[error("no answer in time")]
    TimedOut,
    /// Too many unanswered requests. Worth a retry.
    #[error("too many requests are unanswered")]
    TooMany,
    /// The server refused; [`Status::is_retryable`] tells whether another try makes sense.
    #[error("refused with status {}", .0.0)]
    Refused(Status),
}

impl AnswerError {
    /// Whether the same question may be answered later.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Refused(status) => status.is_retryable(),
            Self::NotConnected | Self::ConnectionLost | Self::TimedOut | Self::TooMany => true,
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Ask navigation, and answer with [`Event::Navigated`] or [`Event::NavigationFailed`].
    Navigate,
    /// Open a connection, and answer with [`Event::Opened`] or [`Event::Lost`].
    Open {
        /// What to call it.
        link: LinkId,
        /// `host:port`.
        address: String,
    },
    /// Write a frame to the open connection.
    Write(ClientFrame),
    /// Close a connection, after what was written to it. No [`Event::Lost`] is needed.
    Close {
        /// Which one.
        link: LinkId,
    },
    /// Tell the application.
    Tell(Notice),
}

/// What the application is told.
#[derive(Debug)]
pub enum Notice {
    /// Signed in.
    Connected {
        /// Who we are.
        user: UserId,
        /// The server's clock at that moment.
        server_time: Timestamp,
    },
    /// The connection is gone; the session reconnects by itself.
    Disconnected(LossReason),
    /// The session has ended and does not reconnect. It may be started again.
    Stopped(StopReason),
    /// A pull has finished: everything that the server had was handed out, up to [`super::Session::synced_cursor`]. Told when
    /// something had been missing, and when the cursor has moved since it was told last.
    Synced,
    /// A message that was sent is durable.
    Acked {
        /// The caller's name for it.
        ticket: u64,
        /// Its client id.
        client_id: ClientMessageId,
        /// Its UID.
        uid: MessageUid,
        /// Its sent time.
        sent: Timestamp,
    },
    /// A status message was written. Nobody knows whether anybody was shown it.
    Written {
        /// The caller's name for it.
        ticket: u64,
    },
    /// A message was not sent, or nobody knows.
    Failed {
        /// The caller's name for it.
        ticket: u64,
        /// Its client id: sending again with it cannot make a second message.
        client_id: ClientMessageId,
        /// Why.
        failure: Failure,
    },
    /// A message to be shown.
    Received(Box<Received>),
    /// The answer to a query.
    Answer {
        /// The caller's name for it.
        ticket: u64,
        /// What the server said.
        answer: Result<Bytes, AnswerError>,
    },
}

/// Where a message is that is neither acked nor failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// It waits to be written: for a connection, for what is before it, or for the end of a pause.
    Queued {
        /// How often it was written already.
        attempts: u8,
    },
    /// It is written, and unanswered.
    Sent {
        /// How often it was written.
        attempts: u8,
    },
}

/// Why a message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server refused it for good: it does not exist.
    #[error("refused with status {}", .0.0)]
    Refused(Status),
    /// No answer through all resends.
    #[error("no answer after {attempts} attempts")]
    Expired {
        /// How often it was written. At 0 it does not exist; otherwise nobody knows.
        attempts: u8,
    },
    /// The server could not take it for the moment, but took a later one of the same conversation: sent again it would come
    /// after that. It does not exist. Happens only with a window above 1.
    #[error("refused for the moment, and a later message was accepted meanwhile")]
    Overtaken,
    /// Too many messages wait already; it was not taken.
    #[error("too many messages wait")]
    TooMany,
    /// The session ended first.
    #[error("session ended after {attempts} attempts")]
    Stopped {
        /// How often it was written. At 0 it does not exist; otherwise nobody knows.
        attempts: u8,
    },
}

impl Failure {
    /// Whether sending it again, with the same client id, may succeed.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Refused(status) => status.is_retryable(),
            Self::Expired { .. } | Self::Overtaken | Self::TooMany | Self::Stopped { .. } => true,
        }
    }
}

/// Why a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReason {
    /// It broke.
    Broken,
    /// The server was silent for too long.
    Silent,
    /// The server closed it with this status.
    Closed(u8),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// The caller asked for it.
    #[error("signed out")]
    Asked,
    /// Another terminal of the same kind signed in.
    #[error("another terminal of the same kind signed in")]
    Kicked,
    /// The user is blocked.
    #[error("user is blocked")]
    Blocked,
    /// The token has expired or was revoked.
    #[error("token has expired")]
    TokenExpired,
    /// The server ended the session with this DISCONNECT status.
    #[error("server ended the session with status {0}")]
    Ended(u8),
    /// The sign-in was refused with this CONNACK status.
    #[error("sign-in refused with status {0}")]
    Refused(u8),
    /// Navigation refused with this code.
    #[error("navigation refused with code {0}")]
    Navigation(u16),
}
