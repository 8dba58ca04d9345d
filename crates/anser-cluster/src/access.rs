//! What the access role does for the others.

use std::sync::Arc;

use anser_types::{AppKey, ConnectionId, Message, Position, Timestamp, UserId, UserKey};

use crate::Settled;

/// One message that arrived in timelines, with all the users of this access node whom it concerns.
///
/// The message is shared: a group of thousands costs one copy of the body.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The app of all of them.
    pub app: AppKey,
    /// The message.
    pub message: Arc<Message>,
    /// What it is to each user.
    pub to: Vec<Deliver>,
}

/// What an arrival is to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// The user.
    pub user: UserId,
    /// Where it went in the user's timeline; `None` for a status message, which is kept nowhere.
    pub position: Option<Position>,
    /// The newest position before it. Whoever has shown everything up to there has missed nothing.
    pub previous: Position,
    /// Whether the user received it (`None`), or sent it on this connection.
    pub sent_on: Option<ConnectionId>,
}

/// Why terminals are signed out by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOut {
    /// The user is blocked.
    Blocked,
    /// Tokens issued before this time are void; terminals with a later one stay.
    TokensVoid {
        /// The time of issue from which tokens count.
        before: Timestamp,
    },
}

/// The access role: it holds the terminals of its users.
///
/// No method waits. What a terminal has no room for is dropped for that terminal alone, which then pulls: the timeline
/// keeps everything.
pub trait AccessService: Send + Sync + std::fmt::Debug + 'static {
    /// Hands outcomes to their connections; those that are gone are forgotten. Called before anything that shows the
    /// messages, and a connection writes the acks first.
    fn settle(&self, settled: Vec<Settled>);

    /// Tells the terminals of the users about a message.
    fn arrive(&self, arrival: Arrival);

    /// Tells all terminals of a user that the settings of some conversation changed; `time` is the version.
    fn settings_changed(&self, user: &UserKey, time: Timestamp, by: ConnectionId);

    /// A replay after a take-over may have moved this user's timeline: terminals are notified, never shown a message.
    fn moved(&self, user: &UserKey, head: Position);

    /// Ends connections of a user.
    fn sign_out(&self, user: &UserKey, why: SignOut);

    /// Whether a terminal of the user is signed in.
    fn is_online(&self, user: &UserKey) -> bool;
}
