//! Ids of apps, users, targets, devices and connections.
//!
//! A text id is at most [`ID_BYTES_MAX`] bytes, not empty, and free of control characters; whoever holds one may rely on it.

use std::fmt;
use std::sync::Arc;

/// The longest text id in bytes. The published documentation allows 64 characters; four bytes each hold any of them.
pub const ID_BYTES_MAX: usize = 256;

/// Why a text is no id. Never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("id is empty")]
    Empty,
    /// The text has more than [`ID_BYTES_MAX`] bytes.
    #[error("id is longer than {ID_BYTES_MAX} bytes")]
    TooLong,
    /// The text holds a control character.
    #[error("id holds a control character")]
    Control,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text. Cheap to clone afterwards.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// The public name of an app (a tenant). Every other id is scoped by it.
    AppKey
}
text_id! {
    /// A user account within an app.
    UserId
}
text_id! {
    /// What a conversation is with: a user, a group, a room, or a system account.
    TargetId
}
text_id! {
    /// What a terminal calls itself; stable for one installation.
    DeviceId
}

impl From<UserId> for TargetId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

impl From<TargetId> for UserId {
    fn from(target: TargetId) -> Self {
        Self(target.0)
    }
}

/// A user together with its app: the key of whatever belongs to one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// The app.
    pub app: AppKey,
    /// The user within it.
    pub user: UserId,
}

impl UserKey {
    /// Joins the two.
    pub const fn new(app: AppKey, user: UserId) -> Self {
        Self { app, user }
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.user)
    }
}

/// One accepted connection. Unique over all nodes and restarts of a cluster; 0 stands for "no connection" (server-sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// No connection: what the server API sends.
    pub const NONE: Self = Self(0);

    /// The connection of a node with this number. The numbers of a node rise from 1 while it runs, and so do the ids.
    pub const fn of_node(node: NodeId, number: u32) -> Self {
        Self((node.0 & NodeId::HALF) | number as u64)
    }

    /// Whether the connection is, or was, at this node. Another node answers to it with a chance of one to 2^32.
    pub const fn is_of(self, node: NodeId) -> bool {
        self.0 != 0 && self.0 & NodeId::HALF == node.0 & NodeId::HALF
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One run of a node of a cluster, drawn at random at its start: a node that was restarted is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The half that the ids of its connections begin with.
    const HALF: u64 = 0xffff_ffff_0000_0000;

    /// The id for a run, from a number drawn at random. The upper half is never zero, so that no connection of the node is
    /// [`ConnectionId::NONE`].
    pub const fn drawn(random: u64) -> Self {
        if random & Self::HALF == 0 { Self(random | 1 << 32) } else { Self(random) }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_confuse_a_key_or_a_log_line() {
        assert_eq!(UserId::new(""), Err(IdError::Empty));
        assert_eq!(UserId::new("a\nb"), Err(IdError::Control));
        assert_eq!(UserId::new("a\0b"), Err(IdError::Control));
        assert_eq!(UserId::new(&"x".repeat(257)), Err(IdError::TooLong));
        assert_eq!(UserId::new("张三 😀").map(|u| u.to_string()), Ok("张三 😀".into()));
    }

    #[test]
    fn a_connection_id_names_its_node_and_rises_within_it() {
        let (node, other) = (NodeId::drawn(0x0123_4567_89ab_cdef), NodeId::drawn(0x0123_4568_89ab_cdef));
        let first = ConnectionId::of_node(node, 1);
        assert_eq!(first, ConnectionId(0x0123_4567_0000_0001));
        assert!(first < ConnectionId::of_node(node, u32::MAX));
        assert!(first.is_of(node) && ConnectionId::of_node(node, u32::MAX).is_of(node) && !first.is_of(other));
        assert!(!ConnectionId::NONE.is_of(NodeId(7)), "the server API is at no node");
        assert_ne!(ConnectionId::of_node(NodeId::drawn(7), 0), ConnectionId::NONE);
    }
}
