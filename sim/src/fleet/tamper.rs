//! What the switches do between nodes: parcels that are not what they should be, and words that are not passed on.

use std::collections::BTreeMap;

use anser_cluster::{Forward, Forwarded, Publish, Settled};
use anser_types::{ConnectionId, MessageClass, NodeId, Timestamp, UserKey};

use crate::switch::Switch;
use crate::wires::{Parcel, Way};
use crate::world::World;

/// A publish, as it is named on its way.
type Name = (ConnectionId, u64);

/// What has to be known to undo what machines do.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// The floors of publishes: those that they came with, or those of publishes that came to an idle queue.
    floors: BTreeMap<Name, Timestamp>,
    /// What the queues of users hold, by node.
    open: BTreeMap<(NodeId, UserKey), Vec<Name>>,
}

impl World {
    /// A parcel as it leaves; `None` if it does not.
    pub(super) fn tamper_with_parcel(&mut self, way: Way, parcel: Parcel) -> Option<Parcel> {
        let switch = self.switch?;
        let undone = &mut self.fleet.as_mut()?.undone;
        Some(match (switch, parcel) {
            (Switch::ForwardsUnlinked, Parcel::Forwards(forwards)) => Parcel::Forwards(unlinked(forwards)),
            (Switch::ToldForgotten, Parcel::Publishes(publishes)) => {
                Parcel::Publishes(undone.with_own_floors(publishes))
            }
            (Switch::QueueForgets, Parcel::Forwards(forwards)) => Parcel::Forwards(undone.without_memory(forwards)),
            (Switch::QueueForgets, Parcel::Settled(settled)) => Parcel::Settled(undone.note_settled(way.1, settled)),
            (Switch::ReturnedUntold, Parcel::Answers(mut answers)) => {
                answers.retain(|(_, answer)| *answer != Forwarded::Returned);
                Parcel::Answers(answers)
            }
            (_, parcel) => parcel,
        })
    }

    /// The access node is to send publishes.
    pub(super) fn note_published(&mut self, publishes: &[Publish]) {
        if self.switch == Some(Switch::ToldForgotten)
            && let Some(fleet) = &mut self.fleet
        {
            fleet.undone.note_floors(publishes);
        }
    }

    /// Publishes have come to the node of their users.
    pub(super) fn note_queued(&mut self, node: NodeId, publishes: &[Publish]) {
        if self.switch == Some(Switch::QueueForgets)
            && let Some(fleet) = &mut self.fleet
        {
            fleet.undone.note_queued(node, publishes);
        }
    }
}

/// Forwards that follow nothing.
fn unlinked(mut forwards: Vec<Forward>) -> Vec<Forward> {
    forwards.iter_mut().for_each(|forward| forward.after = None);
    forwards
}

const fn name_of(publish: &Publish) -> Name {
    (publish.origin.connection, publish.origin.publish)
}

impl Undone {
    fn note_floors(&mut self, publishes: &[Publish]) {
        self.floors.extend(publishes.iter().map(|publish| (name_of(publish), publish.floor)));
    }

    /// Publishes with the floors that they came with from their connections.
    fn with_own_floors(&self, mut publishes: Vec<Publish>) -> Vec<Publish> {
        for publish in &mut publishes {
            publish.floor = self.floors.get(&name_of(publish)).copied().unwrap_or(publish.floor);
        }
        publishes
    }

    fn note_queued(&mut self, node: NodeId, publishes: &[Publish]) {
        for publish in publishes.iter().filter(|publish| publish.class != MessageClass::Status) {
            let open = self.open.entry((node, publish.sender.clone())).or_default();
            if open.is_empty() {
                self.floors.insert(name_of(publish), publish.floor);
            }
            open.push(name_of(publish));
        }
    }

    fn note_settled(&mut self, node: NodeId, settled: Vec<Settled>) -> Vec<Settled> {
        let of_node = self.open.iter_mut().filter(|((of, _), _)| *of == node);
        for (_, open) in of_node {
            open.retain(|name| !settled.iter().any(|one| (one.connection, one.publish) == *name));
        }
        settled
    }

    /// Forwards of what came to an idle queue, as if that knew nothing of what it had told before.
    fn without_memory(&self, mut forwards: Vec<Forward>) -> Vec<Forward> {
        for forward in &mut forwards {
            let name = (forward.origin.connection, forward.origin.publish);
            forward.floor = self.floors.get(&name).copied().unwrap_or(forward.floor);
        }
        forwards
    }
}
