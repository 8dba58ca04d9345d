//! What a log record is about, and where that puts it: partition and bucket.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::{AppKey, Conversation, ConversationType, PartitionCount, PartitionId, TargetId, UserId, UserKey};

/// How many buckets users live in. Fixed at birth.
pub const BUCKETS: u16 = 256;

/// One of the [`BUCKETS`] groups of users whose rows are written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u8);

/// What a record is about. All records of one subject are in one partition, in one order, under one owner.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A private chat: one conversation for both, whoever writes. `low` sorts before `high`; they are equal in a chat with oneself.
    Private {
        /// The app.
        app: AppKey,
        /// The smaller user id.
        low: UserId,
        /// The larger one.
        high: UserId,
    },
    /// A conversation with a target that is the same for all: a group, a chatroom.
    Shared {
        /// The app.
        app: AppKey,
        /// Its type and target.
        conversation: Conversation,
    },
    /// What a system account tells one user.
    System {
        /// The app.
        app: AppKey,
        /// The account.
        account: TargetId,
        /// The user.
        user: UserId,
    },
    /// A user: settings, blocks, revocations.
    User(UserKey),
}

impl Subject {
    /// The private chat of two users, in either order.
    pub fn private(app: AppKey, one: UserId, other: UserId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        Self::Private { app, low, high }
    }

    /// The group with this id.
    pub const fn group(app: AppKey, group: TargetId) -> Self {
        Self::Shared { app, conversation: Conversation::new(ConversationType::Group, group) }
    }

    /// The subject of a message from `sender` to `target`.
    pub fn of_message(app: &AppKey, kind: ConversationType, sender: &UserId, target: &TargetId) -> Self {
        let app = app.clone();
        match kind {
            ConversationType::Private => Self::private(app, sender.clone(), UserId::from(target.clone())),
            ConversationType::System => {
                Self::System { app, account: sender.clone().into(), user: UserId::from(target.clone()) }
            }
            _ => Self::Shared { app, conversation: Conversation::new(kind, target.clone()) },
        }
    }

    /// The subject of a conversation as `user` sees it.
    pub fn of_conversation(user: &UserKey, conversation: &Conversation) -> Self {
        match conversation.kind {
            ConversationType::System => {
                Self::System { app: user.app.clone(), account: conversation.target.clone(), user: user.user.clone() }
            }
            kind => Self::of_message(&user.app, kind, &user.user, &conversation.target),
        }
    }

    /// The app that the subject belongs to.
    pub const fn app(&self) -> &AppKey {
        match self {
            Self::Private { app, .. } | Self::Shared { app, .. } | Self::System { app, .. } => app,
            Self::User(key) => &key.app,
        }
    }

    /// Appends the key bytes: app first, then the kind, then the ids, each with its length. Stored and hashed: never changes.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        push_text(key, self.app().as_str());
        match self {
            Self::Private { low, high, .. } => {
                key.push(ConversationType::Private.number());
                push_text(key, low.as_str());
                push_text(key, high.as_str());
            }
            Self::Shared { conversation, .. } => {
                key.push(conversation.kind.number());
                push_text(key, conversation.target.as_str());
            }
            Self::System { account, user, .. } => {
                key.push(ConversationType::System.number());
                push_text(key, account.as_str());
                push_text(key, user.as_str());
            }
            Self::User(user) => {
                key.push(0);
                push_text(key, user.user.as_str());
            }
        }
    }

    /// The key bytes on their own.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(64);
        self.write_key(&mut key);
        key
    }

    /// The partition of this subject in a log of `count` partitions.
    pub fn partition(&self, count: PartitionCount) -> PartitionId {
        count.of_hash(xxh3_64(&self.key()))
    }
}

impl UserKey {
    /// The bucket of this user.
    pub fn bucket(&self) -> BucketId {
        let mut key = Vec::with_capacity(48);
        push_text(&mut key, self.app.as_str());
        push_text(&mut key, self.user.as_str());
        // The low byte of a hash is one of the 256 buckets.
        let [.., low] = xxh3_64(&key).to_be_bytes();
        BucketId(low)
    }
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    // An id has at most 256 bytes, so its length fits.
    key.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(text.as_bytes());
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private { app, low, high } => write!(f, "{app}/private/{low}/{high}"),
            Self::Shared { app, conversation } => {
                write!(f, "{app}/{:?}/{}", conversation.kind, conversation.target)
            }
            Self::System { app, account, user } => write!(f, "{app}/system/{account}/{user}"),
            Self::User(key) => write!(f, "{}/user/{}", key.app, key.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppKey {
        AppKey::new("app").unwrap()
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn a_private_chat_is_one_subject_whoever_writes() {
        let there = Subject::of_message(&app(), ConversationType::Private, &user("bob"), &user("alice").into());
        let back = Subject::of_message(&app(), ConversationType::Private, &user("alice"), &user("bob").into());
        assert_eq!(there, back);
        assert_eq!(there.key(), back.key());
    }

    #[test]
    fn golden_keys_and_places() {
        let private = Subject::private(app(), user("bob"), user("alice"));
        assert_eq!(private.key(), b"\0\x03app\x01\0\x05alice\0\x03bob");
        let group = Subject::group(app(), TargetId::new("g1").unwrap());
        assert_eq!(group.key(), b"\0\x03app\x03\0\x02g1");
        let own = Subject::User(UserKey::new(app(), user("bob")));
        assert_eq!(own.key(), b"\0\x03app\0\0\x03bob");
        assert_eq!(
            [private, group, own].map(|s| s.partition(PartitionCount::EMBEDDED).0),
            [3, 15, 15],
            "a change of key or hash moves every stored record"
        );
        assert_eq!(UserKey::new(app(), user("bob")).bucket(), BucketId(150));
    }
}
