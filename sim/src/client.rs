//! The clients: model clients of three published generations, and our own session.
//!
//! A client is told what reaches it and says what it does. What goes over its connection is noted for the trace by the
//! [`tap`]; what it shows it says itself.

mod down;
mod own;
mod sdk;
mod tap;

use anser_core::session::LinkId;
use anser_rmtp::{ClientFrame, ServerFrame};
use anser_testkit::trace::{Seen, Via};
use anser_types::{Conversation, MessageClass, MessageUid, Timestamp, UserId};

pub(crate) use own::OwnClient;
pub(crate) use sdk::SdkClient;
pub(crate) use tap::Tap;

/// What a user wants sent. The body key makes its content.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) conversation: Conversation,
    pub(crate) class: MessageClass,
    pub(crate) persist: bool,
    pub(crate) body: u64,
    pub(crate) client_id: Option<i64>,
    pub(crate) attempts: u32,
}

/// What happens to a client.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its user wants to be online, or not.
    GoOnline,
    GoOffline,
    /// The connection that it dialled is open.
    Opened,
    /// The connection that it dialled could not be opened, or is gone.
    Lost,
    Frame(ServerFrame),
    Send(Letter),
    Timer(Timer),
}

/// What a client wants to be reminded of.
#[derive(Debug, Clone)]
pub(crate) enum Timer {
    /// Dial again.
    Dial,
    /// Whatever it waits for under this message id did not come; counted by dial.
    Overdue { dial: u64, message_id: u16 },
    /// Send again.
    Resend(Letter),
    /// Navigation has answered.
    Navigated,
    /// The session wants to be called.
    Wake,
}

/// What a client does.
#[derive(Debug)]
pub(crate) enum Said {
    Dial,
    HangUp,
    Write(ClientFrame),
    Show(Seen, Via),
    Withhold(MessageUid, u64),
    /// It waits no more for the ack of what it sent with this message id, and takes none.
    GiveUp(u16),
    After(u64, Timer),
}

/// A client of any kind.
#[derive(Debug)]
pub(crate) enum Client {
    Sdk(SdkClient),
    Own(Box<OwnClient>),
}

impl Client {
    pub(crate) fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Said> {
        match self {
            Self::Sdk(client) => client.handle(event),
            Self::Own(client) => client.handle(event, now),
        }
    }

    /// The cursor that it would ask with.
    pub(crate) fn cursor(&self) -> u64 {
        match self {
            Self::Sdk(client) => client.cursor(),
            Self::Own(client) => client.cursor(),
        }
    }

    /// Whether it is in the middle of a pull.
    pub(crate) fn is_pulling(&self) -> bool {
        match self {
            Self::Sdk(client) => client.is_pulling(),
            Self::Own(client) => !client.is_synced(),
        }
    }

    /// Whether it waits for the outcome of something that it sent, or has more to send.
    pub(crate) fn is_sending(&self) -> bool {
        match self {
            Self::Sdk(client) => client.is_sending(),
            Self::Own(client) => client.is_sending(),
        }
    }

    pub(crate) fn user(&self) -> &UserId {
        match self {
            Self::Sdk(client) => client.user(),
            Self::Own(client) => client.user(),
        }
    }
}

/// A link before there is one.
const NO_LINK: LinkId = LinkId(0);
