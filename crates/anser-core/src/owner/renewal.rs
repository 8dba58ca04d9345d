//! Claims that are renewed, so that a reader who begins anywhere in a partition meets one soon.
//!
//! Where a log takes in records that do not count, a reader that begins at an arbitrary offset cannot know which claim is the
//! newest there, and skips everything up to the next claim record. A long-lived owner therefore appends its claim anew now
//! and then, in front of the record that it decides next. What follows counts under the new claim. So no record is much younger than its
//! claim, however long nothing was said: the log does not let go of a claim and keep what counts by it.
//!
//! Only while nothing is on its way into the log: a claim counts wherever it lands, and what follows it would count although a
//! record before it was lost. That record comes again, and would be later than what was sent after it (**in-order**).

use std::sync::Arc;

use anser_types::record::{Body, Header};
use anser_types::{Claim, Offset, Timestamp};

use super::{InFlight, Owner};
use crate::draft::{Check, Ticket};

/// The claim under which records are written, and when it has to be renewed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Writing {
    /// The claim.
    pub(super) claim: Claim,
    /// The sequence of the newest record under it.
    pub(super) sequence: u64,
    /// The owner's clock at the claim.
    since: Timestamp,
}

impl Writing {
    pub(super) const fn under(claim: Claim, since: Timestamp) -> Self {
        Self { claim, sequence: 0, since }
    }
}

impl Owner {
    /// Puts a new claim in front of the next record if the present one is old enough, in time or in records, and nothing is
    /// on its way.
    pub(super) fn renew_claim_when_due(&mut self) {
        let Writing { sequence, since, .. } = self.writing;
        let is_due = self.in_flight.is_empty()
            && (sequence >= self.limits.claim_renew_records || self.now.since(since) >= self.limits.claim_renew_ms);
        if !is_due {
            return;
        }
        let claim = Claim(self.next_offset());
        let body = Body::Claim { node: self.node.clone(), time: self.now };
        let record = body.encode(Header { log: self.log, claim, sequence: 0 });
        self.writing = Writing::under(claim, self.now);
        self.put_in_flight(InFlight {
            body: Arc::new(body),
            record,
            claim,
            recipients: Arc::from([]),
            hash: None,
            ticket: Ticket::None,
            check: Check::Existence,
            submitted_ms: None,
            also: Vec::new(),
        });
    }

    /// Where the record that is decided next will lie.
    pub(super) fn next_offset(&self) -> Offset {
        self.expected.plus(self.outgoing.len() as u64)
    }

    /// Takes a record to the others of this turn.
    pub(super) fn put_in_flight(&mut self, record: InFlight) {
        self.in_flight_bytes += record.record.len();
        self.outgoing.push(record.record.clone());
        self.in_flight.push_back(record);
        self.decided += 1;
    }
}
