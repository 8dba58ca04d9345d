//! The message machine of one node: user queues and the owners of its partitions, wired to each other.
//!
//! One value, driven by one loop. Its shell performs the [`Effect`]s and brings the answers back; the simulator does the
//! same with nasty backends.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use anser_cluster::{Forward, Forwarded, Outcome, Owners, Refusal, Settled};
use anser_types::record::Body;
use anser_types::{Claim, Limits, LogId, NodeId, Offset, PartitionCount, PartitionId, Subject, Timestamp, UserKey};

use crate::clock::{Moment, NodeClock};
use crate::draft::{Draft, Ticket};
use crate::horizon::Horizon;
use crate::owner::{self, Committed, Loaded, Owner, Turn};
use crate::user_queue::{self, UserQueues};

mod forwards;
mod handover;
mod takeover;

use forwards::Forwards;
pub use takeover::Replay;

/// What the node wants done. Effects are performed in order; acks come before the commits that show their messages.
#[derive(Debug)]
pub enum Effect {
    /// Append records to a partition; answer with [`Node::appended`] under the same epoch.
    Append(Append),
    /// Load what is known of a conversation; answer with [`Node::loaded`] or [`Node::load_failed`], under the same epoch.
    Load(PartitionId, u64, Subject),
    /// Read one record; answer with [`Node::fetched`].
    Fetch(PartitionId, Subject, Offset),
    /// Tell a connection the outcome of a publish.
    Settle(Settled),
    /// Tell a caller the outcome of its call. A call that changes a roster or a user is answered when the tables have its commit.
    Answer(u64, Outcome),
    /// Derive the tables from this record.
    Commit(Committed),
    /// Pass a status message on.
    Pass(std::sync::Arc<anser_types::Message>, std::sync::Arc<[anser_types::UserId]>),
    /// The partition lost its claim: take it over again; or, if it is leaving, find out what became of its records.
    Reclaim(PartitionId),
    /// Nothing of a partition that was let go is on its way any more.
    Released(PartitionId),
    /// Send messages on to the owner of their partition on another node; answered with [`Node::answered`] or [`Node::lost`].
    Forward(NodeId, Forward),
    /// Answer a message that another node forwarded, by its id.
    AnswerForward(NodeId, u64, Forwarded),
}

/// Records on their way into the log.
#[derive(Debug)]
pub struct Append {
    /// The partition.
    pub partition: PartitionId,
    /// Which attempt to own the partition they belong to. Answers of an older one are ignored.
    pub epoch: u64,
    /// Where the first must land.
    pub expected: Offset,
    /// The records.
    pub records: Vec<Bytes>,
}

#[derive(Debug)]
struct Owned {
    owner: Owner,
    epoch: u64,
    /// The claim with which this attempt began, once it is in the log.
    claim: Option<Claim>,
    /// Whether it is being let go.
    leaving: bool,
    /// Where the first record was to land that did not land where it was to.
    lost_at: Offset,
}

impl Owned {
    const fn new(owner: Owner, epoch: u64) -> Self {
        Self { owner, epoch, claim: None, leaving: false, lost_at: Offset::START }
    }
}

/// The message machine of one node.
#[derive(Debug)]
pub struct Node {
    log: LogId,
    limits: Limits,
    count: PartitionCount,
    /// Which node this is, and who owns which partition.
    me: NodeId,
    owners: Owners,
    forwards: Forwards,
    outgoing_forwards: Vec<(NodeId, Forward)>,
    /// Where the epochs of the next partition begin that comes here.
    epochs: u64,
    clock: NodeClock,
    queues: UserQueues,
    /// The partitions that are here.
    owned: BTreeMap<PartitionId, Owned>,
    horizon: Horizon,
    dirty: BTreeSet<PartitionId>,
    owner_effects: Vec<owner::Effect>,
    queue_effects: Vec<user_queue::Effect>,
    stood_still: bool,
}

impl Node {
    /// A node that owns nothing yet.
    pub fn new(
        log: LogId,
        count: PartitionCount,
        partitions: impl IntoIterator<Item = PartitionId>,
        limits: Limits,
    ) -> Self {
        let owned = partitions.into_iter().map(|p| (p, Owned::new(Owner::new(p, log, limits), 0))).collect();
        Self {
            log,
            limits,
            count,
            me: NodeId::default(),
            owners: Owners::nobody(),
            forwards: Forwards::default(),
            outgoing_forwards: Vec::new(),
            epochs: 1 << 32,
            clock: NodeClock::default(),
            queues: UserQueues::new(limits),
            owned,
            horizon: Horizon::new(limits.fitted_readers_max),
            dirty: BTreeSet::new(),
            owner_effects: Vec::new(),
            queue_effects: Vec::new(),
            stood_still: false,
        }
    }

    /// Whether every partition is served.
    pub fn is_serving(&self) -> bool {
        self.owned.values().all(|owned| owned.owner.is_serving())
    }

    /// The owner of a partition, to look at.
    pub fn owner(&self, partition: PartitionId) -> Option<&Owner> {
        self.owned.get(&partition).map(|owned| &owned.owner)
    }

    /// How many users' queues hold something.
    pub fn queues(&self) -> usize {
        self.queues.len()
    }

    /// A publish of a terminal: passes its user's queue.
    pub fn publish(&mut self, draft: Draft, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        self.queues.submit(Box::new(draft), now, &mut self.queue_effects);
        self.settle_down(now, effects);
    }

    /// A publish of the server API: goes to the owner at once unless the sender gets a copy, for whose order the queue cares.
    pub fn publish_for_server(&mut self, draft: Draft, now: Timestamp, effects: &mut Vec<Effect>) {
        if draft.sender_copy {
            return self.publish(draft, now, effects);
        }
        let now = self.advance(now);
        self.pass_on(Box::new(draft), now);
        self.settle_down(now, effects);
    }

    /// A change of a roster or a user.
    pub fn command(&mut self, call: u64, body: Body, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        let Some(partition) = body.subject().map(|subject| subject.partition(self.count)) else {
            return;
        };
        let ticket = Ticket::Call(call);
        match self.owned.get_mut(&partition).filter(|owned| !owned.leaving) {
            Some(owned) => {
                let turn = &mut Turn { now, horizon: &mut self.horizon, effects: &mut self.owner_effects };
                owned.owner.command(ticket, body, turn);
                self.dirty.insert(partition);
            }
            None => effects.push(Effect::Answer(call, Err(Refusal::UNAVAILABLE))),
        }
        self.settle_down(now, effects);
    }

    /// Ends a turn: what was decided in it goes to the log.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) {
        for partition in std::mem::take(&mut self.dirty) {
            let Some(owned) = self.owned.get_mut(&partition) else {
                continue;
            };
            owned.owner.flush(&mut self.owner_effects);
            let epoch = owned.epoch;
            for effect in self.owner_effects.drain(..) {
                if let owner::Effect::Append { expected, records } = effect {
                    effects.push(Effect::Append(Append { partition, epoch, expected, records }));
                }
            }
        }
    }

    /// The log has answered an append.
    pub fn appended(&mut self, append: AppendOutcome, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        let AppendOutcome { partition, epoch, expected, landed, count } = append;
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) else {
            return;
        };
        let kept = match landed {
            Landed::At(first) => owned.owner.appended(expected, first, count, now, &mut self.owner_effects),
            Landed::Nowhere => {
                owned.owner.lose_for_sure(&mut self.owner_effects);
                false
            }
            Landed::Unknown => {
                owned.owner.lose(&mut self.owner_effects);
                false
            }
        };
        if !kept {
            owned.lost_at = expected;
            owned.epoch += 1;
            effects.push(Effect::Reclaim(partition));
        }
        // What waited for this may go now.
        self.dirty.insert(partition);
        self.settle_down(now, effects);
        self.finish_release(partition, effects);
    }

    /// What is known of a conversation. What was asked for under an earlier epoch may be older than what has been read since,
    /// and is ignored.
    pub fn loaded(
        &mut self,
        (partition, epoch): (PartitionId, u64),
        subject: &Subject,
        loaded: Loaded,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.advance(now);
        if let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) {
            let turn = &mut Turn { now, horizon: &mut self.horizon, effects: &mut self.owner_effects };
            owned.owner.loaded(subject, loaded, turn);
            self.dirty.insert(partition);
        }
        self.settle_down(now, effects);
    }

    /// A conversation could not be loaded.
    pub fn load_failed(
        &mut self,
        (partition, epoch): (PartitionId, u64),
        subject: &Subject,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.advance(now);
        if let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) {
            owned.owner.load_failed(subject, &mut self.owner_effects);
        }
        self.settle_down(now, effects);
    }

    /// The record that was asked for, or `None` if it cannot be read now.
    pub fn fetched(
        &mut self,
        partition: PartitionId,
        subject: &Subject,
        record: Option<Bytes>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.advance(now);
        if let Some(owned) = self.owned.get_mut(&partition) {
            let turn = &mut Turn { now, horizon: &mut self.horizon, effects: &mut self.owner_effects };
            owned.owner.fetched(subject, record, turn);
            self.dirty.insert(partition);
        }
        self.settle_down(now, effects);
    }

    /// The directory contains everything of a partition below `next`. Call it now and then: a roster that the directory does
    /// not know yet cannot be let go of in memory.
    pub fn archived(&mut self, partition: PartitionId, next: Offset) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.archived(next);
        }
    }

    /// Whether a partition takes anything in. What it does not is tried again for a while, and then refused as retryable.
    pub fn set_open(&mut self, partition: PartitionId, is_open: bool) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.set_open(is_open);
        }
    }

    /// Takes in a counted record that the directory may not contain, before it is replayed.
    pub fn keep_change(&mut self, partition: PartitionId, offset: Offset, body: &Body) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.keep_change(offset, body);
        }
    }

    /// Time passes. Call it a few times a second.
    pub fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        self.horizon.forget(now.now);
        self.forwards.forget(now);
        for owned in self.owned.values_mut() {
            owned.owner.look_at_waiting(now, &mut self.owner_effects);
        }
        self.queues.tick(now, &mut self.queue_effects);
        self.settle_down(now, effects);
    }

    /// Works off what owners and queues want of each other; the rest is for the shell.
    fn settle_down(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while !self.queue_effects.is_empty() || !self.owner_effects.is_empty() {
            for effect in std::mem::take(&mut self.queue_effects) {
                match effect {
                    user_queue::Effect::PassOn(draft) => self.pass_on(draft, now),
                    user_queue::Effect::GiveUp(draft) => settle(draft.ticket, Err(Refusal::UNAVAILABLE), effects),
                }
            }
            for effect in std::mem::take(&mut self.owner_effects) {
                self.take(effect, now, effects);
            }
        }
        effects.extend(self.outgoing_forwards.drain(..).map(|(to, forward)| Effect::Forward(to, forward)));
    }

    /// Passes a draft on to the owner of its partition, here or on another node.
    fn pass_on(&mut self, draft: Box<Draft>, now: Moment) {
        let partition = draft.subject().partition(self.count);
        if self.must_wait(partition, &draft) {
            self.owner_effects.push(owner::Effect::Return(draft));
            return;
        }
        match self.owned.get_mut(&partition).filter(|owned| !owned.leaving) {
            Some(owned) => {
                let turn = &mut Turn { now, horizon: &mut self.horizon, effects: &mut self.owner_effects };
                owned.owner.publish(draft, turn);
                self.dirty.insert(partition);
            }
            None => self.send_on(partition, draft),
        }
    }

    fn take(&mut self, effect: owner::Effect, now: Moment, effects: &mut Vec<Effect>) {
        match effect {
            owner::Effect::Settle { ticket, queue, outcome } => self.settled(ticket, queue, outcome, now, effects),
            owner::Effect::Passed { queue } => {
                if let Some(user) = queue {
                    self.queues.settled(&user, None, now, &mut self.queue_effects);
                }
            }
            owner::Effect::Return(draft) => self.returned(draft, now, effects),
            owner::Effect::Load(partition, subject) => {
                let epoch = self.epoch(partition).unwrap_or_default();
                effects.push(Effect::Load(partition, epoch, subject));
            }
            owner::Effect::Fetch { partition, offset, subject } => {
                effects.push(Effect::Fetch(partition, subject, offset))
            }
            owner::Effect::Commit(committed) => effects.push(Effect::Commit(committed)),
            owner::Effect::Pass { message, recipients } => effects.push(Effect::Pass(message, recipients)),
            owner::Effect::Append { .. } => {}
        }
    }

    /// Tells whoever waits for an outcome, and the queue that the message passed, if it passed one.
    fn settled(
        &mut self,
        ticket: Ticket,
        queue: Option<UserKey>,
        outcome: Outcome,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        settle(ticket, outcome, effects);
        if let Some(user) = queue {
            let sent = outcome.ok().map(|accepted| accepted.sent);
            self.queues.settled(&user, sent, now, &mut self.queue_effects);
        }
    }

    /// What passed a queue goes back to it, to be tried again in order; the rest is refused as retryable.
    fn returned(&mut self, draft: Box<Draft>, now: Moment, effects: &mut Vec<Effect>) {
        if let Ticket::Forward { node, id } = draft.ticket {
            self.forwards.gave_back(node, id);
            effects.push(Effect::AnswerForward(node, id, Forwarded::Returned));
        } else if draft.queue_key().is_some() {
            self.queues.returned(draft, now, &mut self.queue_effects);
        } else {
            settle(draft.ticket, Err(Refusal::UNAVAILABLE), effects);
        }
    }
}

/// Where the records of an append are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// From this offset on.
    At(Offset),
    /// Not in the log, and they never will be.
    Nowhere,
    /// Nobody knows before the log is read.
    Unknown,
}

/// What became of an append.
#[derive(Debug, Clone, Copy)]
pub struct AppendOutcome {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that the append was made under.
    pub epoch: u64,
    /// Where the first record was to land.
    pub expected: Offset,
    /// Where it landed.
    pub landed: Landed,
    /// How many records there were.
    pub count: usize,
}

fn settle(ticket: Ticket, outcome: Outcome, effects: &mut Vec<Effect>) {
    match ticket {
        Ticket::Publish { connection, number, .. } => {
            effects.push(Effect::Settle(Settled { connection, publish: number, outcome }))
        }
        Ticket::Call(call) => effects.push(Effect::Answer(call, outcome)),
        Ticket::Forward { node, id } => effects.push(Effect::AnswerForward(node, id, Forwarded::Settled(outcome))),
        Ticket::None => {}
    }
}

#[cfg(test)]
mod tests;
