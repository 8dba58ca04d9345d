//! Nodes that are in the list of members and do not answer.
//!
//! Pure. The list knows of a death when the lease ends; whoever dials knows it sooner.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anser_backend::Member;
use anser_types::NodeId;
use tokio::time::Instant;

/// Nodes that do not answer, as one node finds.
#[derive(Debug, Default)]
pub struct Suspicions(BTreeMap<NodeId, Suspicion>);

#[derive(Debug, Clone, Copy)]
struct Suspicion {
    since: Instant,
    refused: bool,
}

/// What that means for routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Not to be sent anything new.
    pub(crate) silent: HashSet<NodeId>,
    /// So surely gone that their partitions are others'.
    pub(crate) gone: HashSet<NodeId>,
}

impl Suspicions {
    /// A node does not answer. `refused`: nobody listens there any more.
    pub fn suspect(&mut self, node: NodeId, refused: bool, now: Instant) {
        let suspicion = Suspicion { since: now, refused };
        let known = self.0.entry(node).or_insert(suspicion);
        if refused && !known.refused {
            *known = suspicion;
        }
    }

    /// A node answers. Whether that is something new.
    pub fn trust(&mut self, node: NodeId) -> bool {
        self.0.remove(&node).is_some()
    }

    /// Whether everybody answers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those who are members; the others are forgotten. A refusal counts for so long: whoever announces itself longer than that is
    /// there, and something else refuses for it.
    pub fn among(&mut self, members: &[Member], now: Instant, refusal_counts: Duration) -> Suspects {
        self.0.retain(|node, _| members.iter().any(|member| member.id == *node));
        let is_gone = |one: &Suspicion| one.refused && now.saturating_duration_since(one.since) < refusal_counts;
        Suspects {
            silent: self.0.keys().copied().collect(),
            gone: self.0.iter().filter(|(_, one)| is_gone(one)).map(|(node, _)| *node).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
