//! Places in the log: partitions, offsets, claims and marks.

use std::fmt;

/// The identity of one log, drawn at random when it is made. A record of another log never counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LogId(pub u64);

/// One partition of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u8);

/// How many partitions the log was born with: 1 to 256. Never changes afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionCount(u16);

impl PartitionCount {
    /// What the embedded store is born with.
    pub const EMBEDDED: Self = Self(16);
    /// The most that there can be.
    pub const MAX: Self = Self(256);

    /// Checks a count.
    pub const fn new(count: u16) -> Option<Self> {
        if count >= 1 && count <= 256 { Some(Self(count)) } else { None }
    }

    /// The count.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All partitions, in order.
    pub fn all(self) -> impl Iterator<Item = PartitionId> {
        (0..self.0).filter_map(|p| u8::try_from(p).ok()).map(PartitionId)
    }

    /// The partition that a hash falls into.
    pub fn of_hash(self, hash: u64) -> PartitionId {
        // A remainder of at most 256 fits into a byte.
        PartitionId(u8::try_from(hash % u64::from(self.0)).unwrap_or(0))
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in one partition: 0, 1, 2 … without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The first place of a partition.
    pub const START: Self = Self(0);

    /// The place `count` further on.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The next place.
    pub const fn next(self) -> Self {
        self.plus(1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A claim is named by the offset of its record in the partition: the epoch of the owner that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Claim(pub Offset);

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "claim {}", self.0)
    }
}

/// How far a derived table has applied a partition: everything *below* `next`, under `claim`.
///
/// A table refuses a batch of an older claim and skips what is below `next`; so each effect happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    /// The claim of the newest owner that wrote to the table.
    pub claim: Claim,
    /// The first offset that has not been applied.
    pub next: Offset,
}

impl Mark {
    /// The first record that a reader needs who goes on from here: that of the claim, by which it knows what counts.
    pub fn first_needed(self) -> Offset {
        self.claim.0.min(self.next)
    }
}
