//! Times and positions. Both count milliseconds since 1970, and they must not be mixed: a message has a sent time, a
//! timeline has positions.

use std::fmt;

/// Milliseconds since 1970-01-01 UTC. A *sent time* (T) is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The beginning of time; smaller than every sent time.
    pub const ZERO: Self = Self(0);

    /// This time moved on by `millis`, at most to the end of time.
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This time moved back by `millis`, at most to zero.
    pub const fn minus(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// The next later time.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// Milliseconds from `earlier` to this time; 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in one user's timeline (P). Strictly rising within a timeline, never below the sent time of its entry.
/// Clients see positions only as sync time and notify time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before every entry.
    pub const START: Self = Self(0);

    /// Where an entry with sent time `sent` goes in a timeline whose newest position is `last`: max(T, last + 1).
    pub fn after(last: Self, sent: Timestamp) -> Self {
        Self(sent.0.max(last.0.saturating_add(1)))
    }

    /// Whether an entry at this position may be shown directly: only where the position is the sent time itself.
    pub const fn is(self, sent: Timestamp) -> bool {
        self.0 == sent.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_the_sent_time_unless_the_timeline_is_already_there() {
        assert_eq!(Position::after(Position(5), Timestamp(9)), Position(9));
        assert_eq!(Position::after(Position(9), Timestamp(9)), Position(10));
        assert_eq!(Position::after(Position(12), Timestamp(9)), Position(13));
        assert!(Position(9).is(Timestamp(9)));
    }
}
