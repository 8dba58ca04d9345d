//! Partitions that come to a node and leave it while it runs.
//!
//! A partition that leaves is not decided any more at once; what is on its way into the log is waited for, so that nothing
//! that the log takes is refused. Whoever takes the partition over does not wait: its claim ends what is still on its way, and
//! whoever reads the log sees what counted before it.

use anser_cluster::{Forward, Forwarded, Owners, Way};
use anser_types::{Claim, NodeId, Offset, PartitionId, Timestamp};
use bytes::Bytes;

use super::{Effect, Node, Owned};
use crate::clock::Moment;
use crate::draft::Draft;
use crate::owner::{Owner, Resolved};

impl Node {
    /// Whether the process stood still since this was asked, on one of several nodes.
    pub fn take_stood_still(&mut self) -> bool {
        std::mem::take(&mut self.stood_still)
    }

    /// Time has come to `now`. A process that stood still may have been taken for dead: what waits in its queues may have gone to
    /// another node meanwhile. So it passes nothing on until all access nodes have sent it what is for it now.
    pub(super) fn advance(&mut self, now: Timestamp) -> Moment {
        let moment = self.clock.advance(now);
        if self.clock.stood_still() && !self.owners.next.is_empty() {
            self.stood_still = true;
            self.queues.pause(moment);
        }
        moment
    }

    /// Says which node this is, and who owns the partitions. Until then, and on a node by itself, nothing is forwarded. What was
    /// given back is passed on again at once: it may have another owner now.
    pub fn set_owners(&mut self, me: NodeId, owners: Owners, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        self.me = me;
        self.owners = owners;
        self.queues.hurry(now, &mut self.queue_effects);
        self.settle_down(now, effects);
    }

    /// The ways from an access node before this one are broken: what came on them and waits here is dropped.
    pub fn access_lost(&mut self, access: NodeId, before: Way, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        self.queues.access_lost(access, before);
        self.forwards.lost_from(access, now);
        for owned in self.owned.values_mut() {
            // Of what goes back, the queue drops what came on them.
            owned.owner.stop_waiting(&mut self.owner_effects);
        }
        self.settle_down(now, effects);
    }

    /// The claims of this node that are in the log and that it holds to, with the partitions in order. Also of a partition that it lets go
    /// of, as long as something of it is on its way into the log.
    pub fn claims(&self) -> impl Iterator<Item = (PartitionId, Claim)> {
        let holding = self.owned.iter().filter(|(_, owned)| owned.owner.has_claim());
        holding.filter_map(|(partition, owned)| Some((*partition, owned.claim?)))
    }

    /// Whether a partition belongs to another node, which will claim it or has done so.
    pub fn is_anothers(&self, partition: PartitionId) -> bool {
        self.owners.next(partition).is_some_and(|node| node != self.me)
    }

    /// Whether a partition belongs to this other node.
    pub fn is_of(&self, partition: PartitionId, node: NodeId) -> bool {
        node != self.me && self.owners.next(partition) == Some(node)
    }

    /// The other node that owns a partition now, as far as is known.
    pub fn owner_elsewhere(&self, partition: PartitionId) -> Option<NodeId> {
        self.owners.present(partition).filter(|node| *node != self.me)
    }

    /// Gives up the claim of a partition that stays here, so that it is taken over anew and replayed. Whoever waits for an
    /// outcome hears of it when that is done. Returns `false` if the partition is not here, or is on its way out.
    pub fn reclaim(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let now = self.advance(now);
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| !owned.leaving) else {
            return false;
        };
        if owned.owner.is_serving() {
            owned.lost_at = owned.owner.first_on_its_way();
        }
        owned.owner.lose(&mut self.owner_effects);
        owned.epoch += 1;
        self.settle_down(now, effects);
        true
    }

    /// Adds a partition, to be claimed. Returns `false` if it is here already.
    pub fn adopt(&mut self, partition: PartitionId) -> bool {
        if let Some(owned) = self.owned.get_mut(&partition) {
            return std::mem::take(&mut owned.leaving);
        }
        let owner = Owner::new(partition, self.log, self.limits);
        self.owned.insert(partition, Owned::new(owner, self.epochs));
        // An answer to an append of an earlier ownership must not be taken for one of this.
        self.epochs += 1 << 32;
        true
    }

    /// Lets a partition go: nothing is decided in it any more. [`Effect::Released`] tells when nothing of it is on its way.
    pub fn release(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        let Some(owned) = self.owned.get_mut(&partition) else {
            return;
        };
        owned.leaving = true;
        // What was decided in this turn goes to the log; what waits for something goes back.
        self.flush(effects);
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.leave(&mut self.owner_effects);
        }
        self.settle_down(now, effects);
        self.finish_release(partition, effects);
    }

    /// Whether a partition is being let go.
    pub fn is_leaving(&self, partition: PartitionId) -> bool {
        self.owned.get(&partition).is_some_and(|owned| owned.leaving)
    }

    /// Which attempt to own a partition is the present one. An attempt ends when its claim is lost, or the partition leaves.
    pub fn epoch(&self, partition: PartitionId) -> Option<u64> {
        self.owned.get(&partition).map(|owned| owned.epoch)
    }

    /// The partitions that are here, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.owned.keys().copied()
    }

    /// Where to read what became of the records of a partition that was lost on its way out.
    pub fn unresolved_from(&self, partition: PartitionId) -> Option<Offset> {
        let owned = self.owned.get(&partition)?;
        (!owned.owner.has_nothing_on_its_way()).then_some(owned.lost_at)
    }

    /// What the log holds from [`Node::unresolved_from`] to its present end. If another node has claimed, the outcomes of all
    /// that was on its way are known; otherwise the partition has to be claimed once more, to end what is still on its way.
    pub fn resolve(
        &mut self,
        partition: PartitionId,
        entries: &[(Offset, Bytes)],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Resolved {
        let now = self.advance(now);
        let Some(owned) = self.owned.get_mut(&partition) else {
            return Resolved::Known;
        };
        let resolved = owned.owner.resolve(entries, &mut self.owner_effects);
        self.settle_down(now, effects);
        if resolved == Resolved::Known {
            self.finish_release(partition, effects);
        }
        resolved
    }

    /// Gives up a partition of which nothing can be found out now: whoever waits is told to try again, and is recognised then.
    pub fn abandon(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        if let Some(mut owned) = self.owned.remove(&partition) {
            owned.owner.lose_for_sure(&mut self.owner_effects);
            self.settle_down(now, effects);
            effects.push(Effect::Released(partition));
        }
    }

    pub(super) fn finish_release(&mut self, partition: PartitionId, effects: &mut Vec<Effect>) {
        let is_done = |owned: &Owned| owned.leaving && owned.owner.has_nothing_on_its_way();
        if self.owned.get(&partition).is_some_and(is_done) {
            self.owned.remove(&partition);
            self.dirty.remove(&partition);
            effects.push(Effect::Released(partition));
        }
    }

    /// Another node forwards a message to the owner here. Answered with [`Effect::AnswerForward`].
    pub fn forwarded(&mut self, from: NodeId, forward: Forward, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        let may_follow = self.forwards.may_follow(from, &forward);
        let draft = Box::new(Draft::from_peer(from, forward));
        let partition = draft.subject().partition(self.count);
        if may_follow && self.owned.get(&partition).is_some_and(|owned| !owned.leaving) {
            self.pass_on(draft, now);
        } else {
            self.returned(draft, now, effects);
        }
        self.settle_down(now, effects);
    }

    /// The owner of a message that was forwarded has answered.
    pub fn answered(&mut self, from: NodeId, id: u64, answer: Forwarded, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        let Some(draft) = self.forwards.answered(from, id) else {
            return;
        };
        match answer {
            Forwarded::Returned => self.returned(draft, now, effects),
            Forwarded::Settled(outcome) => self.settled(draft.ticket, draft.queue_key(), outcome, now, effects),
        }
        self.settle_down(now, effects);
    }

    /// The way to a node is broken. What was forwarded there and not answered is tried again, in order; the owner recognises
    /// what it has accepted.
    pub fn lost(&mut self, node: NodeId, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        for draft in self.forwards.lost(node) {
            self.returned(draft, now, effects);
        }
        self.settle_down(now, effects);
    }

    /// Whether a draft of a queue here must not be decided yet, wherever its partition is now, because of what left before it: it
    /// may be undecided still at the former owner, come back from there, and has to be first then (**in-order**).
    pub(super) fn must_wait(&self, partition: PartitionId, draft: &Draft) -> bool {
        if draft.queue_key().is_none() || draft.class == anser_types::MessageClass::Status {
            return false;
        }
        let here = self.owned.get(&partition);
        let to = if here.is_some() { None } else { self.owner_elsewhere(partition) };
        here.is_some_and(|owned| owned.leaving) || self.forwards.has_elsewhere(&draft.sender_key(), to)
    }

    /// Sends a draft to the node that owns its partition, if one is known.
    pub(super) fn send_on(&mut self, partition: PartitionId, draft: Box<Draft>) {
        let Some(to) = self.owner_elsewhere(partition) else {
            self.owner_effects.push(crate::owner::Effect::Return(draft));
            return;
        };
        let is_status = draft.class == anser_types::MessageClass::Status;
        let queue = draft.queue_key();
        match self.forwards.send(to, draft) {
            Ok(forward) => self.outgoing_forwards.push((to, forward)),
            Err(draft) => {
                self.owner_effects.push(crate::owner::Effect::Return(draft));
                return;
            }
        }
        if is_status {
            // Nobody waits for it but its user's queue.
            self.owner_effects.push(crate::owner::Effect::Passed { queue });
        }
    }
}
