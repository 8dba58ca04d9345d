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
    /// The floors of publishes that came to an idle queue.
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
            (Switch::QueueForgets, Parcel::Forwards(forwards)) => Parcel::Forwards(undone.without_memory(forwards)),
            (Switch::QueueForgets, Parcel::Settled(settled)) => Parcel::Settled(undone.note_settled(way.1, settled)),
            (Switch::ReturnedUntold, Parcel::Answers(mut answers)) => {
                answers.retain(|(_, answer)| *answer != Forwarded::Returned);
                Parcel::Answers(answers)
            }
            (_, parcel) => parcel,
        })
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
