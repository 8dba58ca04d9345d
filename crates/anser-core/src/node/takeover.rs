//! Taking a partition over that is here: what there is is read, a claim is made, what lies before it is read as well, and then the
//! partition is served.

use anser_backend::LogEntry;
use anser_types::record::{Body, Record};
use anser_types::{Claim, Offset, PartitionId, Timestamp};
use bytes::Bytes;

use super::{Append, Effect, Node};
use crate::owner::{self, Owner, Replayed, Turn};

/// A counted record that is read again.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    /// Its partition.
    pub partition: PartitionId,
    /// Its claim.
    pub claim: Claim,
    /// Its offset.
    pub offset: Offset,
    /// Its bytes.
    pub bytes: &'a Bytes,
    /// The same, decoded.
    pub record: &'a Record,
}

impl Node {
    /// Begins a take-over of a partition that is here and not owned. Returns which attempt to own it this is.
    pub fn prepare(&mut self, partition: PartitionId, now: Timestamp) -> Option<u64> {
        let now = self.advance(now);
        let owned = self.owned.get_mut(&partition).filter(|owned| owned.owner.is_idle())?;
        owned.epoch += 1;
        owned.owner.prepare(now);
        Some(owned.epoch)
    }

    /// The claim to append at the end of the partition, which is at `end`.
    pub fn claim(&mut self, partition: PartitionId, node: &str, end: Offset, now: Timestamp) -> Option<Append> {
        let now = self.advance(now);
        let owned = self.owned.get_mut(&partition)?;
        let epoch = owned.epoch;
        match owned.owner.claim(node, end, now) {
            owner::Effect::Append { expected, records } => Some(Append { partition, epoch, expected, records }),
            _ => None,
        }
    }

    /// The claim is in the log.
    pub fn claimed(&mut self, partition: PartitionId, offset: Offset) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.claimed(offset);
            owned.claim = Some(Claim(offset));
        }
    }

    /// The claim did not get into the log.
    pub fn claim_failed(&mut self, partition: PartitionId) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.claim_failed();
        }
    }

    /// Nobody can say when the partition is served. What was on its way into the log when its claim was lost goes back to where it came
    /// from: what is there after all is recognised when it comes again.
    pub fn give_back(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) {
        let now = self.advance(now);
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.lose_for_sure(&mut self.owner_effects);
        }
        self.settle_down(now, effects);
        // It may have been kept only for what is given back now.
        self.finish_release(partition, effects);
    }

    /// Takes in a counted record, applied or not: for resends, and for the partition's floor.
    pub fn remember(&mut self, partition: PartitionId, offset: Offset, body: &Body) {
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.remember(offset, body);
        }
    }

    /// Takes in a counted record that may not have been applied everywhere.
    pub fn replay(&mut self, replay: Replay<'_>, now: Timestamp, effects: &mut Vec<Effect>) -> Replayed {
        let now = self.advance(now);
        let Replay { partition, claim, offset, bytes, record } = replay;
        let Some(owned) = self.owned.get_mut(&partition) else {
            return Replayed::Done;
        };
        let replayed = owned.owner.replay(claim, offset, bytes, record, &mut self.owner_effects);
        self.settle_down(now, effects);
        replayed
    }

    /// Takes in a counted record once more while its partition is served: the mailbox may have forgotten it. Records
    /// come in order, each of them below [`Node::committed_to`].
    pub fn replay_served(
        &mut self,
        entry: &LogEntry,
        record: &Record,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Replayed {
        let now = self.advance(now);
        let Some(owned) = self.owned.get_mut(&entry.partition) else {
            return Replayed::Done;
        };
        let replayed = owned.owner.replay_served(entry.offset, &entry.bytes, record, &mut self.owner_effects);
        self.settle_down(now, effects);
        replayed
    }

    /// Behind the newest record of a partition that was committed; while it is served here.
    pub fn committed_to(&self, partition: PartitionId) -> Option<Offset> {
        self.owner(partition).filter(|owner| owner.is_serving()).map(Owner::first_on_its_way)
    }

    /// Ends a take-over: the partition is served.
    pub fn serve(&mut self, partition: PartitionId, now: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(owned) = self.owned.get(&partition) {
            // Above all that anybody was acked there: what they send next may go to another partition.
            self.clock.raise(owned.owner.floor().next());
        }
        let now = self.advance(now);
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.owner.serve(now, &mut self.owner_effects);
            let turn = &mut Turn { now, horizon: &mut self.horizon, effects: &mut self.owner_effects };
            owned.owner.decide_waiting(turn);
            self.dirty.insert(partition);
        }
        self.settle_down(now, effects);
        self.finish_release(partition, effects);
    }
}
