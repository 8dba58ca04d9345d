//! Membership: which nodes are alive, what they do, and how loaded they are.
//!
//! A hint, and nothing more: it says who tries. What is true is decided by the log, so two nodes that see different members
//! cost time and never correctness.

use anser_types::{NodeId, Timestamp};

use crate::{BoxFuture, StoreError};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Tells clients where to connect.
    Navi,
    /// Serves app backends.
    Api,
    /// Holds the connections of clients.
    Access,
    /// Decides and stores.
    Message,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Navi, Self::Api, Self::Access, Self::Message];

    /// The name of the role in settings and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Navi => "navi",
            Self::Api => "api",
            Self::Access => "access",
            Self::Message => "message",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Every role.
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    /// Whether a role is in the set.
    pub const fn has(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    const fn bit(role: Role) -> u8 {
        match role {
            Role::Navi => 1,
            Role::Api => 2,
            Role::Access => 4,
            Role::Message => 8,
        }
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | Self::bit(role)))
    }
}

/// Where clients reach an access node, as HOST:PORT; empty: not in this way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientAddresses {
    /// Native clients over TCP.
    pub tcp: String,
    /// Native clients over TLS.
    pub tls_tcp: String,
    /// WebSocket clients.
    pub ws: String,
    /// Secure WebSocket clients.
    pub tls_ws: String,
}

/// The versions of the calls between nodes that a node speaks: all from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// The oldest that it understands.
    pub oldest: u32,
    /// The one that it speaks best.
    pub newest: u32,
}

impl Spoken {
    /// What was spoken before nodes said what they speak.
    pub const FIRST: Self = Self { oldest: 1, newest: 1 };

    /// Whether two nodes understand each other.
    pub const fn fits(self, other: Self) -> bool {
        self.newest >= other.oldest && other.newest >= self.oldest
    }
}

/// A node of the cluster, as it announces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Drawn at random at each start of the node: a node that was restarted is another member.
    pub id: NodeId,
    /// Its name, for people; the same over restarts.
    pub name: String,
    /// What it does.
    pub roles: Roles,
    /// Where other nodes reach it, as HOST:PORT.
    pub address: String,
    /// Where clients reach it, if it has the access role.
    pub clients: ClientAddresses,
    /// Whether it is about to leave: nothing new is given to it.
    pub draining: bool,
    /// Terminals that it holds.
    pub connections: u64,
    /// How many terminals it may hold in proportion to other access nodes.
    pub weight: u32,
    /// The program's version.
    pub version: String,
    /// Where operators ask how it is, as HOST:PORT; empty: nowhere.
    pub admin: String,
    /// The versions of the calls between nodes that it speaks.
    pub speaks: Spoken,
    /// Its clock when it announced itself.
    pub clock: Timestamp,
}

/// A node that was a member until its lease ran out. It may be on its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it said last.
    pub member: Member,
    /// How long ago its lease ran out, in milliseconds.
    pub since_ms: u64,
}

/// The list of members, kept by leases: who does not announce itself for a while is no member any more.
pub trait Membership: Send + Sync + std::fmt::Debug + 'static {
    /// Announces a member, or says anew what has changed in it, and renews its lease.
    fn announce(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the lease of a member at once.
    fn leave(&self, id: NodeId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The members with a running lease, by id.
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, StoreError>>;

    /// Who did not leave, and is no member, by name: for about a day, or until a node of that name is there or it is forgotten.
    fn missing(&self) -> BoxFuture<'_, Result<Vec<Missing>, StoreError>>;

    /// The node of this name is not missed any more. Returns whether one was; a member is not.
    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_names_and_sets() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
        let some: Roles = [Role::Message, Role::Navi].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Role::Navi, Role::Message]);
        assert!(!some.has(Role::Access) && Roles::all().has(Role::Access));
    }
}
