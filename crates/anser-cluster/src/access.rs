//! What the access role does for the others.

use std::sync::Arc;

use anser_rmtp::Platform;
use anser_types::{AppKey, ConnectionId, DeviceId, Message, NodeId, Position, Timestamp, UserId, UserKey};
use smallvec::SmallVec;

use crate::{BoxFuture, Refusal, Settled};

/// The access nodes at which a user has terminals, as far as known. Mostly one.
pub type Online = SmallVec<[NodeId; 1]>;

/// One message that arrived in timelines, with all the users of this access node whom it concerns.
///
/// The message is shared: a group of thousands costs one copy of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Where the user is; `None` if that was not looked up. The access role of one node looks for itself.
    pub online: Option<Online>,
}

/// A terminal that has signed in, before which others of the same user give way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Whose terminal.
    pub user: UserKey,
    /// Its connection.
    pub connection: ConnectionId,
    /// When it signed in. Who signed in later does not give way.
    pub time: Timestamp,
    /// The kind of terminal.
    pub platform: Platform,
    /// The installation, where it named one.
    pub device: Option<DeviceId>,
    /// Whether the app wants one terminal for each platform. Otherwise only the same installation gives way.
    pub one_per_platform: bool,
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

    /// Tells all terminals of a user that the settings of some conversation changed; `time` is the version. `online`: where
    /// the user is; `None` if that was not looked up.
    fn settings_changed(&self, user: &UserKey, time: Timestamp, by: ConnectionId, online: Option<&[NodeId]>);

    /// A replay after a take-over may have moved this user's timeline: terminals are notified, never shown a message.
    /// `online`: where the user is; `None` if that was not looked up.
    fn moved(&self, user: &UserKey, head: Position, online: Option<&[NodeId]>);

    /// Ends connections of a user, wherever they are.
    fn sign_out(&self, user: &UserKey, why: SignOut);

    /// A terminal has signed in at another node: at these nodes, those that give way before it are ended. The one node of a
    /// single process has nothing to do.
    fn gives_way(&self, _newcomer: &Newcomer, _online: &[NodeId]) {}

    /// Whether a terminal of the user is signed in.
    fn is_online(&self, user: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>>;
}
