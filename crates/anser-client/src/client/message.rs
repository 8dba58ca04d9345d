//! Conversations and messages as applications see them.

use std::fmt;
use std::ops::Deref;

use anser_core::session::Received;
use anser_types::{ConversationType, IdError, TargetId, UserId};

/// Whom a message is for: a user or a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conversation(anser_types::Conversation);

impl Conversation {
    /// A chat with one user.
    pub fn private(user: &str) -> Result<Self, IdError> {
        Ok(Self::new(ConversationType::Private, TargetId::new(user)?))
    }

    /// A group.
    pub fn group(group: &str) -> Result<Self, IdError> {
        Ok(Self::new(ConversationType::Group, TargetId::new(group)?))
    }

    /// A conversation of any type.
    pub const fn new(kind: ConversationType, target: TargetId) -> Self {
        Self(anser_types::Conversation::new(kind, target))
    }

    /// Its type.
    pub const fn kind(&self) -> ConversationType {
        self.0.kind
    }

    /// Whom it is with.
    pub const fn target(&self) -> &TargetId {
        &self.0.target
    }
}

impl From<Conversation> for anser_types::Conversation {
    fn from(outer: Conversation) -> Self {
        outer.0
    }
}

impl From<anser_types::Conversation> for Conversation {
    fn from(inner: anser_types::Conversation) -> Self {
        Self(inner)
    }
}

impl From<UserId> for Conversation {
    fn from(user: UserId) -> Self {
        Self::new(ConversationType::Private, user.into())
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            ConversationType::Private => write!(f, "{}", self.0.target),
            kind => write!(f, "{kind:?} {}", self.0.target),
        }
    }
}

/// A message that came. Its fields are those of [`Received`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Received);

impl Message {
    pub(crate) const fn new(received: Received) -> Self {
        Self(received)
    }

    /// The text of a text message; `None` for every other type.
    pub fn text(&self) -> Option<String> {
        if &*self.0.object_name != b"RC:TxtMsg" {
            return None;
        }
        let content: serde_json::Value = serde_json::from_slice(&self.0.content).ok()?;
        content.get("content")?.as_str().map(str::to_owned)
    }

    /// The name of its content type, such as `RC:TxtMsg`.
    pub fn object_name(&self) -> &str {
        std::str::from_utf8(&self.0.object_name).unwrap_or_default()
    }
}

impl Deref for Message {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.0
    }
}
