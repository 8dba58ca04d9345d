//! What becomes of a message: its class, and the flags that its sender set.

use std::fmt;

/// The storage class of a message, from its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageClass {
    /// Topics ending in P: log, timelines, and with the persist flag history, list and unread.
    Persisted = 1,
    /// Topics ending in N: log and timelines.
    NotPersisted = 2,
    /// Topics ending in S (typing and the like): to terminals that are online, nothing is kept.
    Status = 3,
}

impl MessageClass {
    /// The class with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Persisted),
            2 => Some(Self::NotPersisted),
            3 => Some(Self::Status),
            _ => None,
        }
    }

    /// Its number in a record.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The attribute bits of an upstream message, as the protocol numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags(pub u32);

impl MessageFlags {
    /// Keep in history.
    pub const PERSIST: Self = Self(0x01);
    /// Count as unread.
    pub const COUNT: Self = Self(0x02);
    /// Mentions somebody.
    pub const MENTION: Self = Self(0x04);
    /// No notification.
    pub const QUIET: Self = Self(0x20);
    /// May be expanded later.
    pub const EXPANDABLE: Self = Self(0x40);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The status bits that a receiver is shown for these flags.
    pub const fn downstream_status(self) -> u64 {
        let mut status = 0;
        if self.has(Self::PERSIST) {
            status |= 0x10;
        }
        if self.has(Self::COUNT) {
            status |= 0x20;
        }
        if self.has(Self::MENTION) {
            status |= 0x40;
        }
        if self.has(Self::QUIET) {
            status |= 0x200;
        }
        if self.has(Self::EXPANDABLE) {
            status |= 0x400;
        }
        status
    }
}

impl fmt::Debug for MessageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
