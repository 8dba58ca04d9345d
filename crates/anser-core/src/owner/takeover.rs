//! Becoming the owner: read what there is, claim, read up to the claim, serve. Every start is a take-over, and so is every
//! recovery from an append that failed.

use std::sync::Arc;

use bytes::Bytes;

use anser_cluster::Accepted;
use anser_types::record::{Body, Header, Record};
use anser_types::{Claim, LogId, Offset, Status, Subject, Timestamp, UserId};

use super::conversation::named_recipients;
use super::{Committed, Effect, Owner, Phase, Writing};
use crate::clock::Moment;
use crate::draft::{Draft, Ticket, duplicate_hash_of};

/// What a replayed record needs before it can be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// Nothing: it was taken in.
    Done,
    /// Its conversation first: load it, call [`Owner::loaded`], and replay it again.
    Needs(Subject),
}

/// The record of a claim that is to land at `offset`.
pub fn claim_record(log: LogId, offset: Offset, node: &str, time: Timestamp) -> Bytes {
    Body::Claim { node: node.to_owned(), time }.encode(Header { log, claim: Claim(offset), sequence: 0 })
}

impl Owner {
    /// Begins to take over. Whatever was known before is forgotten: the log is read anew, into [`Owner::remember`]; as far as one
    /// likes before the claim.
    pub fn prepare(&mut self, now: Moment) {
        self.advance(now);
        self.phase = Phase::Claiming;
        self.duplicates.clear();
        self.conversations.clear();
        self.changes.clear();
    }

    /// Makes a claim: appends it at the end of the partition. Returns the effect to perform; answer with
    /// [`Owner::claimed`], or [`Owner::claim_failed`].
    pub fn claim(&mut self, node: &str, end: Offset, now: Moment) -> Effect {
        let time = self.advance(now);
        self.expected = end.next();
        node.clone_into(&mut self.node);
        Effect::Append { expected: end, records: vec![claim_record(self.log, end, node, time)] }
    }

    /// The claim is in the log at `offset`. From now on records up to there are replayed into [`Owner::remember`] and
    /// [`Owner::replay`], then [`Owner::serve`] ends the take-over.
    pub fn claimed(&mut self, offset: Offset) {
        self.phase = Phase::Reading { claim: Claim(offset) };
        self.writing = Writing::under(Claim(offset), self.now);
        self.expected = offset.next();
    }

    /// The claim did not get into the log; the owner is idle again.
    pub fn claim_failed(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Whether the owner has no claim and none on its way.
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Takes in a record that counts: for the floor, and the window of resends.
    ///
    /// The window begins anew when the owner serves. How old a record is only clocks could say: that of the log, which may have
    /// been set since, and ours. Whoever reads chooses how far back a resend is recognised; nothing is forgotten sooner.
    pub fn remember(&mut self, offset: Offset, body: &Body) {
        if body.is_claim() {
            // Its clock may be wrong; nothing was stamped by it that is not seen on its own.
            return;
        }
        self.floor = self.floor.max(body.time());
        if let Body::Message(message) = body
            && let Some(hash) = duplicate_hash_of(message)
        {
            self.duplicates.accept(hash, offset, self.passed_ms);
        }
    }

    /// Takes in a record that some table may not have applied. Its effects happen once, whatever has happened before.
    ///
    /// Records of one partition come in order, each one that counts exactly once.
    pub fn replay(
        &mut self,
        claim: Claim,
        offset: Offset,
        bytes: &Bytes,
        record: &Record,
        effects: &mut Vec<Effect>,
    ) -> Replayed {
        let body = &record.body;
        let recipients = match self.recipients_then(offset, body) {
            Ok(known) => known,
            Err(subject) => return Replayed::Needs(subject),
        };
        if let Some(conversation) = body.subject().and_then(|subject| self.conversations.get_mut(&subject)) {
            conversation.apply(offset, body);
            conversation.note(body.time());
        }
        let ticket = self.settle_found(body, effects);
        effects.push(self.commit_again(claim, (offset, bytes, record), recipients, ticket));
        Replayed::Done
    }

    /// Takes in a record once more that this owner or an earlier one has committed, while it goes on deciding: some table may have
    /// forgotten it. What has to be loaded first is being loaded: replay it again when that has come.
    ///
    /// Records come in order, and none that lies at or behind [`Owner::first_on_its_way`].
    pub fn replay_served(
        &mut self,
        offset: Offset,
        bytes: &Bytes,
        record: &Record,
        effects: &mut Vec<Effect>,
    ) -> Replayed {
        // Not a claim that is on its way into the log: another one may land there.
        let Phase::Serving { claim } = self.phase else {
            return Replayed::Done;
        };
        if let Body::Message(message) = &record.body
            && named_recipients(message).is_none()
        {
            self.load_unless_known(&message.subject(), effects);
        }
        let recipients = match self.recipients_then(offset, &record.body) {
            Ok(known) => known,
            Err(subject) => return Replayed::Needs(subject),
        };
        effects.push(self.commit_again(claim, (offset, bytes, record), recipients, Ticket::None));
        Replayed::Done
    }

    fn commit_again(
        &self,
        claim: Claim,
        (offset, bytes, record): (Offset, &Bytes, &Record),
        recipients: Arc<[UserId]>,
        ticket: Ticket,
    ) -> Effect {
        Effect::Commit(Committed {
            partition: self.partition,
            claim,
            written: record.claim_at(offset),
            offset,
            record: bytes.clone(),
            body: Arc::new(record.body.clone()),
            recipients,
            ticket,
            replayed: true,
        })
    }

    /// Whom a record was for, if it is a message; or the conversation that has to be loaded to know it.
    fn recipients_then(&mut self, offset: Offset, body: &Body) -> Result<Arc<[UserId]>, Subject> {
        let Body::Message(message) = body else {
            return Ok(Arc::from([]));
        };
        if let Some(recipients) = named_recipients(message) {
            return Ok(recipients);
        }
        let subject = message.subject();
        let now = self.now;
        let known = self.conversations.entry(subject.clone()).or_insert_with(|| super::Conversation::new(now));
        known.used = now;
        if known.is_loading() { Err(subject) } else { Ok(known.recipients_at(offset, message)) }
    }

    /// Takes in a record that counts and that the directory may not contain: what is loaded later lacks the change.
    pub fn keep_change(&mut self, offset: Offset, body: &Body) {
        if let Body::Roster(roster) = body {
            self.changes.keep(offset, roster);
        }
    }

    /// If this is a record whose append had an unknown outcome, it is in the log after all. A message is settled; the
    /// ticket of anything else is for whoever applies it.
    pub(super) fn settle_found(&mut self, body: &Body, effects: &mut Vec<Effect>) -> Ticket {
        let place = self.in_flight.iter().position(|waiting| *waiting.body == *body);
        let Some(found) = place.and_then(|place| self.in_flight.remove(place)) else {
            return Ticket::None;
        };
        let Body::Message(message) = body else {
            return found.ticket;
        };
        let outcome = Ok(Accepted { uid: message.uid, sent: message.sent });
        super::commit::settle_all(message, found.ticket, found.also, outcome, effects);
        Ticket::None
    }

    /// Everything up to the claim was replayed: the owner decides from now on. What was on its way when the last claim broke
    /// off and is not in the log goes back to where it came from.
    pub fn serve(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.advance(now);
        self.now = self.now.max(self.floor);
        // What was read may have been taken by the log while this owner waited for its claim.
        self.duplicates.begin_anew(self.passed_ms);
        if let Phase::Reading { claim } = self.phase {
            self.phase = Phase::Serving { claim };
        }
        if !self.in_flight.is_empty() {
            // What has come since may follow what goes back.
            self.stop_waiting(effects);
        }
        self.give_back(effects);
    }

    /// The outcome of an append is not what was expected: nothing more is acked under this claim. What is on its way is
    /// kept until the log has been read. What comes from now on waits for that.
    pub fn lose(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Idle;
        self.outgoing.clear();
        self.duplicates.abandon_pending();
        self.refuse_all_held(effects);
        self.conversations.clear();
    }

    /// Gives back what waits for conversations. Those that are being loaded still are: an answer to what was asked now is taken
    /// for one to what is asked later, so the changes that it may lack are to be kept.
    pub(super) fn refuse_all_held(&mut self, effects: &mut Vec<Effect>) {
        self.held_bytes = 0;
        let waiting = self.conversations.iter_mut().filter_map(|(subject, conversation)| {
            let hold = if conversation.is_loading() {
                std::mem::take(conversation.hold.as_mut()?)
            } else {
                conversation.hold.take()?
            };
            Some((subject.key(), hold))
        });
        let mut holds: Vec<_> = waiting.collect();
        // In the order of their keys: effects must not depend on the order of a hash map.
        holds.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (_, hold) in holds {
            let all = hold.fetching.map(super::Held::Publish).into_iter().chain(hold.queue);
            all.for_each(|held| super::refuse_held(held, effects));
        }
    }

    /// The records of an append are not in the log. Whatever was sent behind them does not count either, wherever it lands:
    /// its sequence has a gap before it. So all of it goes back at once.
    pub fn lose_for_sure(&mut self, effects: &mut Vec<Effect>) {
        self.lose(effects);
        self.give_back(effects);
        self.stop_waiting(effects);
    }

    pub(super) fn give_back(&mut self, effects: &mut Vec<Effect>) {
        self.in_flight_bytes = 0;
        for lost in std::mem::take(&mut self.in_flight) {
            match &*lost.body {
                Body::Message(message) => {
                    for ticket in std::iter::once(lost.ticket).chain(lost.also) {
                        let draft = Draft::from_message(message, lost.check, ticket);
                        effects.push(Effect::Return(Box::new(Draft { submitted_ms: lost.submitted_ms, ..draft })));
                    }
                }
                Body::Claim { .. } => {}
                Body::Roster(_) | Body::User(_) => effects.push(super::refuse_call(lost.ticket, Status::UNAVAILABLE)),
            }
        }
    }
}
