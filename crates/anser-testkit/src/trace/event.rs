//! The events of a trace.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use anser_types::MessageUid;

/// A user, a group or an account by its id. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

/// One installation of a client on one device of one user. A new install is a new terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Terminal(pub u64);

/// One connection of a terminal. Never used twice in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientConnection(pub u64);

/// One attempt to send. Never used twice in a trace; a resend is another attempt with the same body key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

/// The kind of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Two users.
    Private,
    /// A group.
    Group,
    /// What a system account tells one user.
    System,
}

/// A conversation as the user of the event sees it: in a private chat the target is the peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conversation {
    /// Its kind.
    pub kind: Kind,
    /// Whom it is with.
    pub target: Name,
}

/// What is kept of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Timelines and history.
    History,
    /// Timelines alone.
    Timeline,
    /// Nothing: it goes to whoever is online, and need not be acked.
    Nothing,
}

/// Whether a terminal's user received a message or sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received.
    Received,
    /// Sent by the same user, here or elsewhere.
    Sent,
}

/// How a message came to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Pushed as itself.
    Direct,
    /// In the answer of a pull.
    Pull,
    /// As a copy of what another terminal of the user sent.
    Copy,
}

/// A message as a terminal shows it to its user, after whatever the client filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its UID.
    #[serde(with = "uid_text")]
    pub uid: MessageUid,
    /// Its sent time in milliseconds.
    pub sent: u64,
    /// Who sent it.
    pub sender: Name,
    /// Its conversation, as this user sees it.
    pub conversation: Conversation,
    /// Received or sent.
    pub direction: Direction,
    /// The key of its body.
    pub body: u64,
}

/// One message of a history page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageItem {
    /// Its UID.
    #[serde(with = "uid_text")]
    pub uid: MessageUid,
    /// Its sent time in milliseconds.
    pub sent: u64,
    /// Its running number, where the reader is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The key of its body.
    pub body: u64,
}

/// How far a change of a roster has got. Between the two nobody outside can say whether it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RosterStep {
    /// Somebody asks the users to be members.
    Joining,
    /// They are.
    Joined,
    /// Somebody asks that the users leave.
    Leaving,
    /// They have left.
    Left,
}

/// One event of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A terminal has signed in.
    Connected {
        /// The new connection.
        connection: ClientConnection,
        /// The terminal.
        terminal: Terminal,
        /// Its user.
        user: Name,
        /// The cursor that the terminal holds; 0 for a new install, which is to be shown everything.
        cursor: u64,
    },
    /// A connection is over, for the client.
    Disconnected {
        /// The connection.
        connection: ClientConnection,
    },
    /// A change of a group's roster, by whoever may.
    Roster {
        /// The group.
        group: Name,
        /// Whom it concerns.
        users: Vec<Name>,
        /// How far it has got.
        step: RosterStep,
    },
    /// A user sends a message.
    Invoked {
        /// The attempt.
        call: CallId,
        /// The sender.
        user: Name,
        /// On this connection; `None`: through the server API, which need not answer if it breaks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ClientConnection>,
        /// To this conversation.
        conversation: Conversation,
        /// The client's id of the message, where it gives one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<i64>,
        /// The key of its body. One key is one message: a resend that must be recognised has the same, and what may become
        /// a second message (a resend without an id) has another one.
        body: u64,
        /// What is to be kept of it.
        keep: Keep,
        /// The members that a directional message is for; empty: for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<Name>,
    },
    /// The attempt was accepted.
    Acked {
        /// The attempt.
        call: CallId,
        /// The message's UID.
        #[serde(with = "uid_text")]
        uid: MessageUid,
        /// Its sent time in milliseconds.
        sent: u64,
    },
    /// The attempt was refused.
    Refused {
        /// The attempt.
        call: CallId,
        /// The status.
        status: u16,
    },
    /// The client waits no longer for the outcome of an attempt. One that comes later is an answer, but the terminal does not know it.
    GaveUp {
        /// The attempt.
        call: CallId,
    },
    /// A terminal is told that there is something up to a time.
    Notified {
        /// On this connection.
        connection: ClientConnection,
        /// The time in milliseconds.
        time: u64,
    },
    /// A terminal asks for what is after its cursor.
    Pulling {
        /// On this connection.
        connection: ClientConnection,
        /// Counts the pulls of the connection.
        pull: u64,
        /// The cursor.
        cursor: u64,
    },
    /// A pull was answered; what was in the answer follows as `Shown`.
    Pulled {
        /// On this connection.
        connection: ClientConnection,
        /// Which pull.
        pull: u64,
        /// The sync time of the answer.
        synced: u64,
        /// Whether that was all.
        finished: bool,
    },
    /// A pull was refused.
    PullRefused {
        /// On this connection.
        connection: ClientConnection,
        /// Which pull.
        pull: u64,
        /// The status.
        status: u16,
    },
    /// A terminal shows a message to its user.
    Shown {
        /// On this connection.
        connection: ClientConnection,
        /// How it came.
        via: Via,
        /// The message.
        message: Seen,
    },
    /// A terminal was sent a message and does not show it, because it knows it already.
    Withheld {
        /// On this connection.
        connection: ClientConnection,
        /// The message's UID.
        #[serde(with = "uid_text")]
        uid: MessageUid,
        /// The key of its body.
        body: u64,
    },
    /// A user reads a page of history, newest first.
    Paged {
        /// Who reads.
        user: Name,
        /// Which conversation.
        conversation: Conversation,
        /// Only what was sent before this; `None`: from the newest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// The page.
        items: Vec<PageItem>,
        /// Whether there is more.
        more: bool,
    },
    /// A fact from the server: a message went into a user's timeline and can be pulled from now on.
    Placed {
        /// Whose timeline.
        user: Name,
        /// The message.
        #[serde(with = "uid_text")]
        uid: MessageUid,
        /// Where.
        position: u64,
    },
    /// A fact from the server: a terminal of the user is being told this cursor, and may hold it from now on.
    Held {
        /// Whose timeline.
        user: Name,
        /// The cursor.
        cursor: u64,
    },
    /// A fact from the server, read from the log: a message that counts.
    Logged {
        /// Its UID.
        #[serde(with = "uid_text")]
        uid: MessageUid,
        /// Its sent time in milliseconds.
        sent: u64,
        /// Its sender.
        sender: Name,
        /// Its conversation as the sender sees it.
        conversation: Conversation,
        /// Whom it is for, without the sender: the members at its place in the log.
        recipients: Vec<Name>,
        /// What is kept of it.
        keep: Keep,
        /// The key of its body.
        body: u64,
        /// When the log took it, in microseconds as the lines of the trace count them, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<u64>,
    },
    /// A fact from the server: what the store of the timelines has now it will not forget.
    StoreSaved,
    /// A fact from the server: the store of the timelines came back without its newest writes: any since it was saved last. From here
    /// on a message that was placed again may be shown again.
    StoreForgot,
    /// All faults are over and everything has settled: whoever is connected has pulled to the end. What was promised must
    /// be there now.
    Quiet,
}

/// One event with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in microseconds of the writer's clock. Traces of several writers are merged by it.
    pub at: u64,
    /// What.
    pub event: Event,
}

mod uid_text {
    use anser_types::MessageUid;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(uid: &MessageUid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageUid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
