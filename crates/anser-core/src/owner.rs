//! The owner of one log partition: the only one who decides there.
//!
//! It decides duplicate, permission, sent time and UID, puts them in the record, and acks only when the log has taken the
//! record at exactly the offset that was expected. Promises kept here: **acked-is-durable** (an outcome leaves only after
//! the append), **nothing-twice** (the window of accepted client ids, rebuilt from the log with the claim), **in-order** and
//! **one-order** (one sequence per partition), **causal** (a sent time is above its floor), **unique-ids**.
//!
//! A plain value: calls come in, [`Effect`]s go out. It never reads a clock; a [`Moment`] never moves it backwards.

mod changes;
mod commit;
mod conversation;
mod decide;
mod duplicates;
mod effect;
mod fence;
mod leaving;
mod permission;
mod refused;
mod renewal;
mod spin;
mod takeover;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use anser_cluster::{Outcome, Refusal};
use anser_types::record::Body;
use anser_types::{Claim, Limits, LogId, Offset, PartitionId, Status, Subject, Timestamp, UserId};

use crate::clock::Moment;
use crate::draft::{Check, Draft, Ticket};
use changes::Changes;
use conversation::{Conversation, Held, Hold};
use duplicates::Duplicates;
pub use effect::{Committed, Effect, Loaded, Turn};
pub use fence::Fence;
pub use leaving::Resolved;
use refused::Refused;
use renewal::Writing;
use spin::Spin;
pub use takeover::{Replayed, claim_record};
use waiting::Waiting;

/// With so many records on their way into the log, what else is decided waits. Kafka's library sends no more of a partition meanwhile, and
/// where something waits inside it, its thread takes a whole core for as long.
const ON_ITS_WAY_MAX: usize = 5;
/// Bytes of records that may be on their way into the log before the partition refuses more.
const IN_FLIGHT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Publishes and commands that may wait for one conversation to be loaded.
const HELD_MAX: usize = 4_096;
/// Bytes of what may wait for conversations of one partition.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Conversations that stay in memory when nothing happens in them.
const CONVERSATIONS_MAX: usize = 16_384;

/// How the owner stands to its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It owns nothing and has no claim on its way.
    Idle,
    /// It prepares its claim, or that is on its way into the log.
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
    /// The claim under which it counts.
    claim: Claim,
    recipients: Arc<[UserId]>,
    hash: Option<u64>,
    ticket: Ticket,
    /// What had to be allowed, and since when it is tried, should it have to be decided again.
    check: Check,
    submitted_ms: Option<u64>,
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
    /// The newest moment that it was told, and never below the floor.
    now: Timestamp,
    passed_ms: u64,
    /// Above every sent time in the partition at the claim.
    floor: Timestamp,
    /// The name that goes into claims.
    node: String,
    writing: Writing,
    /// How many records were decided: the number of the newest in flight.
    decided: u64,
    /// Where the next record must land.
    expected: Offset,
    /// Below this the directory contains everything.
    archived: Offset,
    /// Changes of rosters from before the claim that the directory may lack.
    changes: Changes,
    /// Whether anything is taken in; not while the log is about to lose what is not archived.
    is_open: bool,
    outgoing: Vec<Bytes>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    conversations: HashMap<Subject, Conversation>,
    /// Bytes of what waits for conversations.
    held_bytes: usize,
    /// With how many conversations in memory to look for quiet ones again.
    make_room_at: usize,
    /// What waits for the partition to be served.
    waiting: Waiting,
    duplicates: Duplicates,
    refused: Refused,
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
            now: Timestamp::ZERO,
            passed_ms: 0,
            floor: Timestamp::ZERO,
            node: String::new(),
            writing: Writing::default(),
            decided: 0,
            expected: Offset::START,
            archived: Offset::START,
            changes: Changes::default(),
            is_open: true,
            outgoing: Vec::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            conversations: HashMap::new(),
            held_bytes: 0,
            make_room_at: CONVERSATIONS_MAX,
            waiting: Waiting::default(),
            duplicates: Duplicates::new(limits.duplicate_window_ms, limits.duplicate_entries_max),
            refused: Refused::default(),
            spin: Spin::new(partition),
        }
    }

    /// Whether it decides publishes.
    pub const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving { .. })
    }

    /// Whether it has a claim in the log and holds to it.
    pub(crate) const fn has_claim(&self) -> bool {
        matches!(self.phase, Phase::Reading { .. } | Phase::Serving { .. })
    }

    /// The directory contains everything below `next`.
    pub fn archived(&mut self, next: Offset) {
        self.archived = self.archived.max(next);
        // What is being loaded may have been read before the directory had the change.
        let conversations = &self.conversations;
        self.changes.forget(self.archived, |subject| conversations.get(subject).is_some_and(Conversation::is_loading));
    }

    /// Whether anything is taken in from now on. What is not goes back, to be tried again.
    pub const fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
    }

    /// Whether something new can be decided now.
    const fn takes_in(&self) -> bool {
        self.is_open && self.in_flight_bytes <= IN_FLIGHT_BYTES_MAX
    }

    /// Above every sent time that the partition had when it was taken over.
    pub(crate) const fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Moves the owner's clock on.
    fn advance(&mut self, now: Moment) -> Timestamp {
        self.now = now.now.max(self.now);
        self.passed_ms = now.passed_ms.max(self.passed_ms);
        self.now
    }

    /// Decides a publish; before the partition is served, it waits. Its outcome comes as [`Effect::Settle`] or [`Effect::Return`],
    /// now or after the log has answered.
    pub fn publish(&mut self, draft: Box<Draft>, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        if !self.is_serving() {
            return self.wait_for_service(draft, turn.effects);
        }
        if !self.takes_in() {
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
        let Some(subject) = body.subject() else {
            return;
        };
        if !self.is_serving() || !self.takes_in() {
            turn.effects.push(refuse_call(ticket, Status::UNAVAILABLE));
            return;
        }
        if let Some(held) = self.hold_back(&subject, Held::Command(ticket, Box::new(body)), turn) {
            self.proceed(&subject, held, turn);
        }
    }

    /// Takes what was decided to the log. Call it once after a batch of calls, and again when the log has answered. While much is on
    /// its way there, the rest waits, and then goes together: a log that is slow is asked less often.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) {
        let on_its_way = self.in_flight.len().saturating_sub(self.outgoing.len());
        if self.outgoing.is_empty() || on_its_way >= ON_ITS_WAY_MAX {
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
        self.load_unless_known(subject, turn.effects);
        let conversation = self.conversations.get_mut(subject)?;
        conversation.used = now;
        match &mut conversation.hold {
            None => Some(held),
            Some(hold) if hold.queue.len() >= HELD_MAX || self.held_bytes >= HELD_BYTES_MAX => {
                refuse_held(held, turn.effects);
                None
            }
            Some(hold) => {
                self.held_bytes += held.bytes();
                hold.queue.push_back(held);
                None
            }
        }
    }

    /// Has a conversation loaded, unless it is known or on its way.
    fn load_unless_known(&mut self, subject: &Subject, effects: &mut Vec<Effect>) {
        if !self.conversations.contains_key(subject) {
            self.make_room();
            self.conversations.insert(subject.clone(), Conversation::new(self.now));
            effects.push(Effect::Load(self.partition, subject.clone()));
        }
    }

    /// What was asked of a conversation is here: decides what waited for it.
    pub fn loaded(&mut self, subject: &Subject, loaded: Loaded, turn: &mut Turn<'_>) {
        self.advance(turn.now);
        let Some(conversation) = self.conversations.get_mut(subject) else {
            return;
        };
        if !conversation.is_loading() {
            // Asked for under an earlier claim. What is here is newer.
            return;
        }
        conversation.load(loaded, self.changes.of(subject));
        self.release(subject, turn);
    }

    /// A conversation could not be loaded: what waited for it is refused as retryable.
    pub fn load_failed(&mut self, subject: &Subject, effects: &mut Vec<Effect>) {
        let loading = self.conversations.get(subject);
        if !loading.is_some_and(Conversation::is_loading) {
            return;
        }
        let hold = self.conversations.remove(subject).and_then(|c| c.hold);
        self.refuse_waiting(hold, effects);
    }

    /// Refuses what waits for a conversation: it goes back.
    fn refuse_waiting(&mut self, hold: Option<Hold>, effects: &mut Vec<Effect>) {
        for held in hold.into_iter().flat_map(|hold| hold.queue) {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes());
            refuse_held(held, effects);
        }
    }

    /// The conversation is ready: decides what waits for it.
    fn release(&mut self, subject: &Subject, turn: &mut Turn<'_>) {
        let Some(conversation) = self.conversations.get_mut(subject) else {
            return;
        };
        let Some(hold) = conversation.hold.take() else {
            return;
        };
        let mut queue = hold.queue;
        while let Some(held) = queue.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes());
            self.proceed(subject, held, turn);
            // Deciding it may hold the conversation again: the rest goes behind it, in order.
            if let Some(hold) = self.conversations.get_mut(subject).and_then(|c| c.hold.as_mut()) {
                hold.queue.extend(queue);
                return;
            }
        }
    }

    /// Lets quiet conversations go. Safe: whatever comes later is stamped at `now` or above, and what is loaded then is
    /// complete, because only those go whose roster the directory knows.
    fn make_room(&mut self) {
        if self.conversations.len() < self.make_room_at {
            return;
        }
        let (now, archived) = (self.now, self.archived);
        for quiet_ms in [60_000, 5_000] {
            self.conversations.retain(|_, c| {
                let is_needed = c.hold.is_some() || c.changed > archived || c.last >= now;
                is_needed || now.since(c.used) < quiet_ms
            });
            if self.conversations.len() < CONVERSATIONS_MAX / 2 {
                break;
            }
        }
        // Looking again at once would cost each new conversation a pass over all.
        self.make_room_at = CONVERSATIONS_MAX.max(self.conversations.len() * 2);
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
