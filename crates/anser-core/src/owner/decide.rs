//! Deciding: is it a resend, is it allowed, when was it sent, what is it called.

use std::sync::Arc;

use anser_cluster::{Accepted, Refusal};
use anser_types::record::{Body, Header, Record};
use anser_types::{MessageClass, MessageUid, Offset, Status, Subject, Timestamp, UserId, target_hash};
use bytes::Bytes;

use super::conversation::{Held, Hold};
use super::effect::{Effect, Turn};
use super::{InFlight, Owner, Writing, draft_settled, permission, refuse_call};
use crate::draft::{Check, Draft, Ticket, duplicate_hash_of};
use crate::horizon::Horizon;

/// A record that is decided, and who waits for it.
struct Decided {
    body: Body,
    recipients: Arc<[UserId]>,
    hash: Option<u64>,
    ticket: Ticket,
    check: Check,
    submitted_ms: Option<u64>,
}

impl Owner {
    /// Decides what is ready.
    pub(super) fn proceed(&mut self, subject: &Subject, held: Held, turn: &mut Turn<'_>) {
        match held {
            Held::Publish(draft) => self.decide(subject, draft, turn),
            Held::Command(ticket, body) => self.decide_command(subject, ticket, *body, turn),
        }
    }

    fn decide(&mut self, subject: &Subject, draft: Box<Draft>, turn: &mut Turn<'_>) {
        if let Some(status) = self.refused.find(draft.origin) {
            turn.effects.push(draft_settled(&draft, Err(Refusal::new(status))));
            return;
        }
        let hash = (draft.class != MessageClass::Status).then(|| draft.duplicate_hash()).flatten();
        if let Some(hash) = hash {
            if let Some(place) = self.duplicates.pending(hash) {
                // The first send is on its way into the log: the resend shares its outcome.
                if let Some(first) = self.in_flight.get_mut(self.in_flight_place(place)) {
                    first.also.push(draft.ticket);
                    return;
                }
            }
            if let Some(offset) = self.duplicates.find(hash, self.passed_ms) {
                self.hold_for_fetch(subject, draft, offset, turn);
                return;
            }
        }
        self.decide_new(subject, draft, hash, turn);
    }

    /// Decides a message that is known to be no resend.
    fn decide_new(&mut self, subject: &Subject, draft: Box<Draft>, hash: Option<u64>, turn: &mut Turn<'_>) {
        let Some(conversation) = self.conversations.get(subject) else {
            return;
        };
        let allowed = if draft.content.len() > self.limits.message_bytes_max {
            Err(Status::TOO_LARGE)
        } else {
            permission::check(conversation, &draft, self.now)
        };
        if let Err(status) = allowed {
            self.refused.note(draft.origin, status, self.passed_ms);
            turn.effects.push(draft_settled(&draft, Err(Refusal::new(status))));
            return;
        }
        let recipients = conversation.recipients(&draft);
        if draft.class == MessageClass::Status {
            self.pass(*draft, recipients, turn.effects);
            return;
        }
        let Some((sent, uid)) = self.stamp(conversation.last, &draft, &recipients, turn.horizon) else {
            turn.effects.push(Effect::Return(draft));
            return;
        };
        self.renew_claim_when_due();
        if let Some(conversation) = self.conversations.get_mut(subject) {
            conversation.note(sent);
        }
        turn.horizon.note(&draft, &recipients, sent);
        let (ticket, check, submitted_ms) = (draft.ticket, draft.check, draft.submitted_ms);
        let body = Body::Message(draft.into_message(sent, uid));
        self.enqueue(Decided { body, recipients, hash, ticket, check, submitted_ms });
    }

    /// Passes a status message on. It has no place in any order, so it takes none: the next message of its sender is stamped as
    /// if it had not been there. Nobody waits for its outcome but its user's queue.
    fn pass(&mut self, draft: Draft, recipients: Arc<[UserId]>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Passed { queue: draft.queue_key() });
        let hash = target_hash(draft.target.as_str());
        let limit = self.now.plus(self.limits.ahead_ms_max);
        // So many at once that one more would be ahead of the clock are too many to be of use.
        if let Some((sent, spin)) = self.spin.take_status(draft.kind, hash, self.now, limit) {
            let uid = MessageUid::new(sent, spin, draft.kind, hash);
            effects.push(Effect::Pass { message: Arc::new(draft.into_message(sent, uid)), recipients });
        }
    }

    /// T = max(now, last of the conversation + 1, floor of the partition + 1, floor of the draft + 1), and a UID for it.
    /// `None` if that is further ahead of the clock than allowed.
    ///
    /// The floor of the draft is raised to what is on its way to its readers already, so that their timelines can place it
    /// at its sent time. That is only a hint, and is cut lower than what a conversation needs for itself: readers that are
    /// far ahead must not stop it.
    fn stamp(
        &mut self,
        last: Timestamp,
        draft: &Draft,
        recipients: &[UserId],
        horizon: &Horizon,
    ) -> Option<(Timestamp, MessageUid)> {
        let limit = self.now.plus(self.limits.ahead_ms_max);
        let hint = horizon.newest(draft, recipients).min(self.now.plus(self.limits.ahead_ms_max / 2));
        let floor = draft.floor.max(hint).min(limit.minus(1));
        let hash = target_hash(draft.target.as_str());
        let mut sent = self.now.max(last.next()).max(self.floor.next()).max(floor.next());
        loop {
            if sent > limit {
                return None;
            }
            if let Some(spin) = self.spin.take(sent, draft.kind, hash, self.now) {
                return Some((sent, MessageUid::new(sent, spin, draft.kind, hash)));
            }
            sent = sent.next();
        }
    }

    fn decide_command(&mut self, subject: &Subject, ticket: Ticket, mut body: Body, turn: &mut Turn<'_>) {
        let time = {
            let Some(conversation) = self.conversations.get(subject) else {
                return;
            };
            if let Err(status) = permission::check_command(conversation, &body, &self.limits) {
                turn.effects.push(refuse_call(ticket, status));
                return;
            }
            self.now.max(conversation.last.next()).max(self.floor.next())
        };
        match &mut body {
            Body::Roster(roster) => roster.time = time,
            Body::User(user) => user.time = time,
            Body::Claim { .. } | Body::Message(_) => return,
        }
        // The roster moves when the record is decided, not when it is durable: what is decided next comes after it in the log.
        self.renew_claim_when_due();
        let offset = self.next_offset();
        if let Some(conversation) = self.conversations.get_mut(subject) {
            conversation.note(time);
            conversation.apply(offset, &body);
        }
        let (recipients, check) = (Arc::from([]), Check::Existence);
        self.enqueue(Decided { body, recipients, hash: None, ticket, check, submitted_ms: None });
    }

    fn enqueue(&mut self, decided: Decided) {
        let Decided { body, recipients, hash, ticket, check, submitted_ms } = decided;
        if !self.is_serving() {
            return;
        }
        self.writing.sequence += 1;
        let Writing { claim, sequence, .. } = self.writing;
        let record = body.encode(Header { log: self.log, claim, sequence });
        let body = Arc::new(body);
        let also = Vec::new();
        self.put_in_flight(InFlight { body, record, claim, recipients, hash, ticket, check, submitted_ms, also });
        if let Some(hash) = hash {
            self.duplicates.begin(hash, self.decided);
        }
    }

    /// Where in the queue the record is that was decided as the `number`th.
    fn in_flight_place(&self, number: u64) -> usize {
        let first = (self.decided + 1).saturating_sub(self.in_flight.len() as u64);
        usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX)
    }

    fn hold_for_fetch(&mut self, subject: &Subject, draft: Box<Draft>, offset: Offset, turn: &mut Turn<'_>) {
        if let Some(conversation) = self.conversations.get_mut(subject) {
            conversation.hold = Some(Hold::fetching(draft));
            turn.effects.push(Effect::Fetch { partition: self.partition, offset, subject: subject.clone() });
        }
    }

    /// The record of a suspected first send, or `None` if it cannot be read now.
    pub fn fetched(&mut self, subject: &Subject, record: Option<Bytes>, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        let Some(hold) = self.conversations.get_mut(subject).and_then(|c| c.hold.as_mut()) else {
            return;
        };
        let Some(draft) = hold.fetching.take() else {
            return;
        };
        match record.map(Record::decode) {
            None | Some(Err(_)) => return self.give_back_behind(subject, draft, turn.effects),
            Some(Ok(Record { body: Body::Message(first), .. })) if draft.is_resend_of(&first) => {
                let outcome = Ok(Accepted { uid: first.uid, sent: first.sent });
                turn.effects.push(draft_settled(&draft, outcome));
            }
            Some(Ok(Record { body: Body::Message(first), .. }))
                if draft.duplicate_hash() == duplicate_hash_of(&first) =>
            {
                // Another message with the same hash: this one is new.
                let hash = draft.duplicate_hash();
                self.decide_new(subject, draft, hash, turn);
            }
            // The answer to a question from before the last claim.
            Some(Ok(_)) => return self.give_back_behind(subject, draft, turn.effects),
        }
        self.release(subject, turn);
    }

    /// A message cannot be decided now: it goes back, and so does all that waits behind it in its conversation. Nothing overtakes
    /// it.
    fn give_back_behind(&mut self, subject: &Subject, draft: Box<Draft>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Return(draft));
        let hold = self.conversations.get_mut(subject).and_then(|conversation| conversation.hold.take());
        self.refuse_waiting(hold, effects);
    }
}
