//! Where the roles meet: what access, message, navigation and API ask of each other.
//!
//! Each service is a trait. In one process the role itself is behind it and a call is a function call; between nodes a
//! remote client is. No role can tell the difference, and none depends on another. This crate does not know what the
//! calls do.

mod access;
mod apps;
mod connection_ids;
mod directory;
mod message;
mod peers;
mod refusal;

pub use access::{AccessService, Arrival, Deliver, Newcomer, Online, SignOut};
pub use apps::{App, AppOptions, AppRegistry, AppSecret};
pub use connection_ids::ConnectionIds;
pub use directory::{DirectoryService, GroupProfile, SettingItem, SettingsPage, SignInView, UserProfile};
pub use message::{
    Accepted, Command, HistoryItem, HistoryRead, HistoryReply, LIST_BYTES_MAX, ListItem, MessageService, Outcome,
    Publish, PullItem, PullReply, PullRequest, Recall, RecallTarget, ServerPublish, Settled,
};
pub use peers::{Claims, Forward, Forwarded, NodeByPartition, OwnerService, Owners, PeerService, Way};
pub use refusal::Refusal;

/// What the methods of a service return: a future on the heap, so that services can be trait objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
