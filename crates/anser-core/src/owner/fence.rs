//! Which records of a partition count.
//!
//! A record counts only if it was written for this log, its claim is the newest before it, and its sequence is the next
//! one. What a dethroned owner still managed to append is skipped by every reader alike.

use anser_types::record::{Body, Header};
use anser_types::{Claim, LogId, Offset};

/// The state of a reader: which record counts next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    log: LogId,
    /// The newest claim, and the next sequence number under it; `None` before the first claim is seen.
    newest: Option<(Claim, u64)>,
}

impl Fence {
    /// A reader that begins anywhere. Nothing counts for it before it has met a claim, because it cannot know which claim is
    /// the newest there: whoever goes on from a mark begins at the record of the mark's claim.
    pub const fn new(log: LogId) -> Self {
        Self { log, newest: None }
    }

    /// A reader at a place of which it is known which record counts next.
    pub(crate) const fn at(log: LogId, claim: Claim, next: u64) -> Self {
        Self { log, newest: Some((claim, next)) }
    }

    /// Whether the record at this offset counts. Must be asked of every record, in order.
    pub fn admits(&mut self, offset: Offset, header: Header, body: &Body) -> bool {
        self.admits_kind(offset, header, body.is_claim())
    }

    /// The same, from the header alone.
    pub fn admits_kind(&mut self, offset: Offset, header: Header, is_claim: bool) -> bool {
        if header.log != self.log {
            return false;
        }
        if is_claim {
            // Being there is what makes it a claim; its epoch is where it landed.
            self.newest = Some((Claim(offset), 1));
            return true;
        }
        match self.newest {
            Some((claim, next)) if header.claim == claim && header.sequence == next => {
                self.newest = Some((claim, next + 1));
                true
            }
            Some(_) | None => false,
        }
    }

    /// The newest claim seen.
    pub fn claim(&self) -> Option<Claim> {
        self.newest.map(|(claim, _)| claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId(1);

    fn header(claim: u64, sequence: u64) -> Header {
        Header { log: LOG, claim: Claim(Offset(claim)), sequence }
    }

    #[test]
    fn whoever_begins_anywhere_waits_for_a_claim() {
        let mut fence = Fence::new(LOG);
        assert!(!fence.admits_kind(Offset(5), header(0, 4), false), "perhaps a zombie's");
        assert!(!fence.admits_kind(Offset(6), header(3, 2), false), "perhaps not the newest either");
        assert!(fence.admits_kind(Offset(7), header(7, 0), true));
        assert!(fence.admits_kind(Offset(8), header(7, 1), false));
    }

    #[test]
    fn a_zombie_a_gap_and_another_log_do_not_count() {
        let mut fence = Fence::new(LOG);
        assert!(fence.admits_kind(Offset(0), header(0, 0), true));
        assert!(fence.admits_kind(Offset(1), header(0, 1), false));
        assert!(!fence.admits_kind(Offset(2), header(0, 3), false), "a gap");
        assert!(!fence.admits_kind(Offset(3), Header { log: LogId(2), ..header(0, 2) }, false), "another log");
        assert!(fence.admits_kind(Offset(4), header(9, 0), true), "a new claim, wherever it hoped to land");
        assert!(!fence.admits_kind(Offset(5), header(0, 2), false), "a zombie");
        assert!(fence.admits_kind(Offset(6), header(4, 1), false));
        assert_eq!(fence.claim(), Some(Claim(Offset(4))));
    }
}
