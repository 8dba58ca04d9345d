//! What the log has taken: outcomes first, then the records for the derived tables.

use anser_cluster::{Accepted, Outcome};
use anser_types::record::Body;
use anser_types::{Message, Offset, UserKey};

use super::effect::{Committed, Effect};
use super::{InFlight, Owner, Phase};
use crate::clock::Moment;
use crate::draft::Ticket;

impl Owner {
    /// `count` records are durable from `first` on. Acks go out only if that is where they were expected.
    ///
    /// Returns `false` if it is not: then nothing is acked, and the owner has to claim anew.
    pub fn appended(
        &mut self,
        expected: Offset,
        first: Offset,
        count: usize,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) -> bool {
        self.advance(now);
        if first != expected {
            self.lose(effects);
            return false;
        }
        if !self.is_serving() {
            return true;
        }
        for offset in (first.0..).take(count).map(Offset) {
            let Some(done) = self.in_flight.pop_front() else {
                self.lose(effects);
                return false;
            };
            self.in_flight_bytes -= done.record.len();
            self.commit(done, offset, effects);
        }
        true
    }

    fn commit(&mut self, done: InFlight, offset: Offset, effects: &mut Vec<Effect>) {
        let claim = done.claim;
        if let Some(hash) = done.hash {
            self.duplicates.accept(hash, offset, self.passed_ms);
        }
        let mut waits = done.ticket;
        if let Body::Claim { .. } = &*done.body {
            self.phase = Phase::Serving { claim };
        }
        if let Body::Message(message) = &*done.body {
            let outcome = Ok(Accepted { uid: message.uid, sent: message.sent });
            settle_all(message, done.ticket, done.also, outcome, effects);
            waits = Ticket::None;
        }
        effects.push(Effect::Commit(Committed {
            partition: self.partition,
            claim,
            written: claim,
            offset,
            record: done.record,
            body: done.body,
            recipients: done.recipients,
            ticket: waits,
            replayed: false,
        }));
    }
}

/// The outcome of a message for its first send and for the resends that came meanwhile.
pub(super) fn settle_all(
    message: &Message,
    first: Ticket,
    also: Vec<Ticket>,
    outcome: Outcome,
    effects: &mut Vec<Effect>,
) {
    for ticket in std::iter::once(first).chain(also) {
        let passed = ticket.passes_queue(message.sender_copy);
        let queue = passed.then(|| UserKey::new(message.app.clone(), message.sender.clone()));
        effects.push(Effect::Settle { ticket, queue, outcome });
    }
}
