//! The owner of one log partition: the only one who decides there.
//!
//! It decides duplicate, permission, sent time and UID, puts them in the record, and acks only when the log has taken the
//! record at exactly the offset that was expected. Promises kept here: **acked-is-durable** (an outcome leaves only after
//! the append), **nothing-twice** (the window of accepted client ids, rebuilt from the log with the claim), **in-order** and
//! **one-order** (one sequence per partition), **causal** (a sent time is above its floor), **unique-ids**.
//!
//! A plain value: calls come in, [`Effect`]s go out. It never reads a clock; `now` never moves it backwards.

mod conversation;
mod duplicates;
mod fence;
mod permission;
mod spin;
mod takeover;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use anser_backend::{GroupView, Head, PrivateBlocks};
use anser_cluster::{Accepted, Outcome, Refusal};
use anser_types::record::{Body, Header, Record};
use anser_types::{
    Claim, Limits, LogId, Message, MessageClass, MessageUid, Offset, PartitionId, Status, Subject, Timestamp, UserId,
    UserKey, target_hash,
};

use crate::draft::{Draft, Ticket};
use crate::horizon::Horizon;
use conversation::{Conversation, Held, Hold};
use duplicates::Duplicates;
pub use fence::Fence;
pub use takeover::Replayed;
use spin::Spin;

/// Bytes of records that may be on their way into the log before the partition refuses more.
const IN_FLIGHT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Publishes and commands that may wait for one conversation to be loaded.
const HELD_MAX: usize = 4_096;
/// Conversations that stay in memory when nothing happens in them.
const CONVERSATIONS_MAX: usize = 16_384;

/// What is known of a conversation from the derived tables, complete up to the owner's claim.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Of a group.
    pub group: Option<GroupView>,
    /// Of a private chat.
    pub blocks: PrivateBlocks,
    /// The newest message in history.
    pub head: Head,
}

/// A record that counts, on its way from the log to the derived tables.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its partition.
    pub partition: PartitionId,
    /// The claim that it was written under.
    pub claim: Claim,
    /// Its offset.
    pub offset: Offset,
    /// Its bytes, which the tables share.
    pub record: Bytes,
    /// What it says.
    pub body: Arc<Body>,
    /// Whom a message is for: the members at its offset, without the sender.
    pub recipients: Arc<[UserId]>,
    /// The running number of a message that history keeps; `None` also if history has it already.
    pub number: Option<u64>,
    /// Who waits until it is applied.
    pub ticket: Ticket,
    /// Whether it is read again after a take-over: then nobody is shown a message for it, only told to look.
    pub replayed: bool,
}

/// What the owner wants done.
#[derive(Debug)]
pub enum Effect {
    /// Append these records; the first must land on `expected`. Answer with [`Owner::appended`].
    Append {
        /// The offset at which the first record must land.
        expected: Offset,
        /// The records.
        records: Vec<Bytes>,
    },
    /// Load what is known of a conversation. Answer with [`Owner::loaded`] or [`Owner::load_failed`].
    Load(PartitionId, Subject),
    /// Read the record at an offset. Answer with [`Owner::fetched`].
    Fetch {
        /// In which partition.
        partition: PartitionId,
        /// Where.
        offset: Offset,
        /// Whose answer hangs on it.
        subject: Subject,
    },
    /// The publish or call has this outcome. Acks come before the [`Effect::Commit`] of their message.
    Settle {
        /// Whose.
        ticket: Ticket,
        /// The user whose queue the publish passed, if it passed one.
        queue: Option<UserKey>,
        /// What became of it.
        outcome: Outcome,
    },
    /// The publish could not be decided now; here it is back. Nothing of it is in the log.
    Return(Box<Draft>),
    /// A record counts: derive the tables from it.
    Commit(Committed),
    /// A status message to pass on to terminals that are online; it is kept nowhere.
    Pass {
        /// The message.
        message: Arc<Message>,
        /// Whom it is for.
        recipients: Arc<[UserId]>,
    },
}

/// What the calls of one turn share.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The clock.
    pub now: Timestamp,
    /// The newest sent times on their way to users, as far as this node knows.
    pub horizon: &'a mut Horizon,
    /// What is to be done, in order.
    pub effects: &'a mut Vec<Effect>,
}

/// How the owner stands to its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It owns nothing and has no claim on its way.
    Idle,
    /// Its claim is on its way into the log.
    Claiming,
    /// Its claim is in the log; it reads up to it.
    Reading { claim: Claim },
    /// It decides.
    Serving { claim: Claim },
}

/// A record on its way into the log.
#[derive(Debug)]
struct InFlight {
    body: Arc<Body>,
    record: Bytes,
    recipients: Arc<[UserId]>,
    hash: Option<u64>,
    ticket: Ticket,
    /// Resends that came before the first send was durable.
    also: Vec<Ticket>,
}

/// The owner of one partition.
#[derive(Debug)]
pub struct Owner {
    partition: PartitionId,
    log: LogId,
    limits: Limits,
    phase: Phase,
    /// The time of the last call, as it was told.
    told: Timestamp,
    /// The owner's own clock, from [`Owner::advance`].
    now: Timestamp,
    /// Above every sent time in the partition at the claim.
    floor: Timestamp,
    sequence: u64,
    /// Where the next record must land.
    expected: Offset,
    outgoing: Vec<Bytes>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    conversations: HashMap<Subject, Conversation>,
    duplicates: Duplicates,
    spin: Spin,
}

impl Owner {
    /// An owner that has not claimed yet.
    pub fn new(partition: PartitionId, log: LogId, limits: Limits) -> Self {
        Self {
            partition,
            log,
            limits,
            phase: Phase::Idle,
            told: Timestamp::ZERO,
            now: Timestamp::ZERO,
            floor: Timestamp::ZERO,
            sequence: 0,
            expected: Offset::START,
            outgoing: Vec::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            conversations: HashMap::new(),
            duplicates: Duplicates::new(limits.duplicate_window_ms, limits.duplicate_entries_max),
            spin: Spin::new(partition),
        }
    }

    /// Whether it decides publishes.
    pub const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving { .. })
    }

    /// How many accepted messages are remembered against resends.
    pub fn duplicate_entries(&self) -> usize {
        self.duplicates.len()
    }

    /// Moves the owner's clock on. It follows `now`, never goes back, and goes on at the same pace where `now` has gone back
    /// or the log is ahead of it: a clock that is set back must not stop a conversation.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let passed_ms = now.since(self.told).min(1_000);
        self.told = now;
        self.now = now.max(self.now.plus(passed_ms));
        self.now
    }

    /// Decides a publish. Its outcome comes as [`Effect::Settle`] or [`Effect::Return`], now or after the log has answered.
    pub fn publish(&mut self, draft: Box<Draft>, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        if !self.is_serving() || self.in_flight_bytes > IN_FLIGHT_BYTES_MAX {
            turn.effects.push(Effect::Return(draft));
            return;
        }
        let subject = draft.subject();
        if let Some(held) = self.hold_back(&subject, Held::Publish(draft), turn) {
            self.proceed(&subject, held, turn);
        }
    }

    /// Decides a change of a roster or a user. Its outcome comes with the [`Effect::Commit`], so that whoever settles it does
    /// so when it is applied; or, when it is refused, as [`Effect::Settle`].
    pub fn command(&mut self, ticket: Ticket, body: Body, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        let Some(subject) = body.subject() else { return };
        if !self.is_serving() || self.in_flight_bytes > IN_FLIGHT_BYTES_MAX {
            turn.effects.push(refuse_call(ticket, Status::UNAVAILABLE));
            return;
        }
        if let Some(held) = self.hold_back(&subject, Held::Command(ticket, body), turn) {
            self.proceed(&subject, held, turn);
        }
    }

    /// Takes what was decided in this turn to the log. Call it once after a batch of calls.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) {
        if self.outgoing.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.outgoing);
        let expected = self.expected;
        self.expected = expected.plus(records.len() as u64);
        effects.push(Effect::Append { expected, records });
    }

    /// Puts something aside if its conversation is not ready; gives it back if it is.
    fn hold_back(&mut self, subject: &Subject, held: Held, turn: &mut Turn<'_>) -> Option<Held> {
        let now = self.now;
        if !self.conversations.contains_key(subject) {
            self.make_room();
            self.conversations.insert(subject.clone(), Conversation::new(now));
            turn.effects.push(Effect::Load(self.partition, subject.clone()));
        }
        let conversation = self.conversations.get_mut(subject)?;
        conversation.used = now;
        match &mut conversation.hold {
            None => Some(held),
            Some(hold) if hold.queue.len() >= HELD_MAX => {
                refuse_held(held, turn.effects);
                None
            }
            Some(hold) => {
                hold.queue.push_back(held);
                None
            }
        }
    }

    /// Decides what is ready.
    fn proceed(&mut self, subject: &Subject, held: Held, turn: &mut Turn<'_>) {
        match held {
            Held::Publish(draft) => self.decide(subject, draft, turn),
            Held::Command(ticket, body) => self.decide_command(subject, ticket, body, turn),
        }
    }

    fn decide(&mut self, subject: &Subject, draft: Box<Draft>, turn: &mut Turn<'_>) {
        let hash = (draft.class != MessageClass::Status).then(|| draft.duplicate_hash()).flatten();
        if let Some(hash) = hash {
            if let Some(place) = self.duplicates.pending(hash) {
                // The first send is on its way into the log: the resend shares its outcome.
                if let Some(first) = self.in_flight.get_mut(self.in_flight_place(place)) {
                    first.also.push(draft.ticket);
                    return;
                }
            }
            if let Some(offset) = self.duplicates.find(hash, self.now) {
                self.hold_for_fetch(subject, draft, offset, turn);
                return;
            }
        }
        self.decide_new(subject, draft, hash, turn);
    }

    /// Decides a message that is known to be no resend.
    fn decide_new(&mut self, subject: &Subject, draft: Box<Draft>, hash: Option<u64>, turn: &mut Turn<'_>) {
        let Some(conversation) = self.conversations.get(subject) else { return };
        if let Err(status) = permission::check(conversation, &draft, self.now) {
            turn.effects.push(draft_settled(&draft, Err(Refusal::new(status))));
            return;
        }
        let recipients = conversation.recipients(&draft);
        let last = if draft.class == MessageClass::Status { Timestamp::ZERO } else { conversation.last };
        let Some((sent, uid)) = self.stamp(last, &draft, &recipients, turn.horizon) else {
            turn.effects.push(Effect::Return(draft));
            return;
        };
        if draft.class == MessageClass::Status {
            // Nobody waits for it but its user's queue.
            let queue = draft.queue_key();
            turn.effects.push(Effect::Settle { ticket: Ticket::None, queue, outcome: Ok(Accepted { uid, sent }) });
            turn.effects.push(Effect::Pass { message: Arc::new(draft.into_message(sent, uid)), recipients });
            return;
        }
        if let Some(conversation) = self.conversations.get_mut(subject) {
            conversation.last = sent;
        }
        turn.horizon.note(&draft, &recipients, sent);
        let ticket = draft.ticket;
        let body = Body::Message(draft.into_message(sent, uid));
        self.enqueue(body, recipients, hash, ticket);
    }

    /// T = max(now, last of the conversation + 1, floor of the partition + 1, floor of the draft + 1), and a UID for it.
    /// `None` if that is further ahead of the clock than allowed.
    ///
    /// The floor of the draft is raised to what is on its way to its readers already, so that their timelines can place it
    /// at its sent time; that is only a hint, and cut like every floor.
    fn stamp(
        &mut self,
        last: Timestamp,
        draft: &Draft,
        recipients: &[UserId],
        horizon: &Horizon,
    ) -> Option<(Timestamp, MessageUid)> {
        let limit = self.now.plus(self.limits.ahead_ms_max);
        let floor = draft.floor.max(horizon.newest(draft, recipients)).min(limit.minus(1));
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
            let Some(conversation) = self.conversations.get(subject) else { return };
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
        let offset = self.expected.plus(self.outgoing.len() as u64);
        if let Some(conversation) = self.conversations.get_mut(subject) {
            conversation.last = time;
            conversation.apply(offset, &body);
        }
        self.enqueue(body, Arc::from([]), None, ticket);
    }

    fn enqueue(&mut self, body: Body, recipients: Arc<[UserId]>, hash: Option<u64>, ticket: Ticket) {
        let Phase::Serving { claim } = self.phase else { return };
        self.sequence += 1;
        let record = body.encode(Header { log: self.log, claim, sequence: self.sequence });
        if let Some(hash) = hash {
            self.duplicates.begin(hash, self.sequence);
        }
        self.in_flight_bytes += record.len();
        self.outgoing.push(record.clone());
        self.in_flight.push_back(InFlight { body: Arc::new(body), record, recipients, hash, ticket, also: Vec::new() });
    }

    /// Where in the queue the record with this sequence number is.
    fn in_flight_place(&self, sequence: u64) -> usize {
        let first = (self.sequence + 1).saturating_sub(self.in_flight.len() as u64);
        usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX)
    }

    /// `count` records are durable from `first` on. Acks go out only if that is where they were expected.
    ///
    /// Returns `false` if it is not: then nothing is acked, and the owner has to claim anew.
    pub fn appended(&mut self, expected: Offset, first: Offset, count: usize, effects: &mut Vec<Effect>) -> bool {
        if first != expected {
            self.lose(effects);
            return false;
        }
        let Phase::Serving { claim } = self.phase else { return true };
        for offset in (first.0..).take(count).map(Offset) {
            let Some(done) = self.in_flight.pop_front() else { return false };
            self.in_flight_bytes -= done.record.len();
            self.commit(done, claim, offset, effects);
        }
        true
    }

    fn commit(&mut self, done: InFlight, claim: Claim, offset: Offset, effects: &mut Vec<Effect>) {
        if let Some(hash) = done.hash {
            self.duplicates.accept(hash, offset, self.now);
        }
        let mut waits = done.ticket;
        let mut number = None;
        if let Body::Message(message) = &*done.body {
            let outcome = Ok(Accepted { uid: message.uid, sent: message.sent });
            settle_all(message, done.ticket, done.also, outcome, effects);
            waits = Ticket::None;
            number = self.conversations.get_mut(&message.subject()).and_then(|c| c.count(offset, message));
        }
        effects.push(Effect::Commit(Committed {
            partition: self.partition,
            claim,
            offset,
            record: done.record,
            body: done.body,
            recipients: done.recipients,
            number,
            ticket: waits,
            replayed: false,
        }));
    }

    /// What was asked of a conversation is here: decides what waited for it.
    pub fn loaded(&mut self, subject: &Subject, loaded: Loaded, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        let Some(conversation) = self.conversations.get_mut(subject) else { return };
        conversation.load(loaded);
        self.release(subject, turn);
    }

    /// A conversation could not be loaded: what waited for it is refused as retryable.
    pub fn load_failed(&mut self, subject: &Subject, effects: &mut Vec<Effect>) {
        let Some(conversation) = self.conversations.remove(subject) else { return };
        for held in conversation.hold.into_iter().flat_map(|hold| hold.queue) {
            refuse_held(held, effects);
        }
    }

    fn release(&mut self, subject: &Subject, turn: &mut Turn<'_>) {
        let Some(conversation) = self.conversations.get_mut(subject) else { return };
        let Some(hold) = conversation.hold.take() else { return };
        let mut queue = hold.queue;
        while let Some(held) = queue.pop_front() {
            self.proceed(subject, held, turn);
            // Deciding it may hold the conversation again: the rest goes behind it, in order.
            if let Some(hold) = self.conversations.get_mut(subject).and_then(|c| c.hold.as_mut()) {
                hold.queue.extend(queue);
                return;
            }
        }
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
        let Some(hold) = self.conversations.get_mut(subject).and_then(|c| c.hold.as_mut()) else { return };
        let Some(draft) = hold.fetching.take() else { return };
        match record.map(Record::decode) {
            None | Some(Err(_)) => {
                turn.effects.push(Effect::Return(draft));
            }
            Some(Ok(Record { body: Body::Message(first), .. })) if draft.is_resend_of(&first) => {
                let outcome = Ok(Accepted { uid: first.uid, sent: first.sent });
                turn.effects.push(draft_settled(&draft, outcome));
            }
            Some(Ok(_)) => {
                // Another message with the same hash: this one is new.
                let hash = draft.duplicate_hash();
                self.decide_new(subject, draft, hash, turn);
            }
        }
        self.release(subject, turn);
    }

    /// Lets quiet conversations go. Safe: whatever comes later is stamped at `now` or above, and reloaded.
    fn make_room(&mut self) {
        if self.conversations.len() < CONVERSATIONS_MAX {
            return;
        }
        let now = self.now;
        for quiet_ms in [60_000, 5_000] {
            self.conversations.retain(|_, c| c.hold.is_some() || now.since(c.used) < quiet_ms || c.last >= now);
            if self.conversations.len() < CONVERSATIONS_MAX / 2 {
                return;
            }
        }
    }
}

fn refuse_held(held: Held, effects: &mut Vec<Effect>) {
    effects.push(match held {
        Held::Publish(draft) => Effect::Return(draft),
        Held::Command(ticket, _) => refuse_call(ticket, Status::UNAVAILABLE),
    });
}

const fn refuse_call(ticket: Ticket, status: Status) -> Effect {
    Effect::Settle { ticket, queue: None, outcome: Err(Refusal::new(status)) }
}

fn draft_settled(draft: &Draft, outcome: Outcome) -> Effect {
    Effect::Settle { ticket: draft.ticket, queue: draft.queue_key(), outcome }
}

/// The outcome of a message for its first send and for the resends that came meanwhile.
fn settle_all(message: &Message, first: Ticket, also: Vec<Ticket>, outcome: Outcome, effects: &mut Vec<Effect>) {
    for ticket in std::iter::once(first).chain(also) {
        let queue = message.sender_copy.then(|| UserKey::new(message.app.clone(), message.sender.clone()));
        effects.push(Effect::Settle { ticket, queue, outcome });
    }
}
