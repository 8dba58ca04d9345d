//! The message role on backends in memory, with notes of what it says: alone on its node, and as one of several.
//!
//! The time of every test is paused: whatever the role waits for comes as soon as nobody has anything to do.
#![expect(clippy::unwrap_used, reason = "a test says by unwrapping what has to be there")]

use anser_types::{AppKey, Conversation, ConversationType, LogId, Message, PartitionId, TargetId, UserId, UserKey};

mod around;
mod clock;
mod delivery;
mod groups;
mod handover;
mod lagging;
mod log;
mod mending;
mod pages;
mod parked;
mod rebuild;
mod recalls;
mod replay;
mod sign_in;
mod takeover;
mod world;

const ID: LogId = LogId(5);
/// The partition of a log that has but one.
const P: PartitionId = PartitionId(0);
const HOUR_MS: u64 = 3_600_000;
const PRIVATE: ConversationType = ConversationType::Private;
const GROUP: ConversationType = ConversationType::Group;

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn key(name: &str) -> UserKey {
    UserKey::new(app(), UserId::new(name).unwrap())
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| key(name).user).collect()
}

fn target(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

fn private(peer: &str) -> Conversation {
    Conversation::new(PRIVATE, target(peer))
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.content).into_owned()
}

fn numbers(range: impl IntoIterator<Item = i64>) -> Vec<String> {
    range.into_iter().map(|number| number.to_string()).collect()
}
