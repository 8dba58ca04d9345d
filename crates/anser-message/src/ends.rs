//! Partitions in which somebody else has written while this node took them for its own.
//!
//! A node that was paused or cut off may have been taken for dead, and its partitions claimed by others. If it is back before it has
//! heard of that, the list shows it in its old place, and those others let go of what they had claimed: what they accepted last is
//! for the next owner to apply. An append of ours would be refused and tell us; where nobody says anything, the end of the
//! log does.

use anser_core::owner::Owner;
use anser_types::{Offset, PartitionId};

use crate::event_loop::MessageLoop;
use crate::takeover::{Answers, Step, ends_of};
use crate::ticks::Every;

/// How often the ends are looked at, in ticks of the loop.
const LOOK_TICKS: u32 = 20;

/// When the log was asked last.
#[derive(Debug, Default)]
pub(crate) struct EndLooks {
    every: Every<LOOK_TICKS>,
    is_asked: bool,
}

impl EndLooks {
    /// The next list of members is not to be waited for longer than it takes to be read.
    pub(crate) const fn hurry(&mut self) {
        self.every.hurry();
    }
}

impl MessageLoop {
    /// Asks the log now and then where the partitions end of which nothing is on its way. Only with a list of members that is new: a
    /// node that cannot read it would claim what others own rightly.
    pub(crate) fn look_at_ends(&mut self) {
        let is_due = self.ends.every.tick();
        if !is_due || self.ends.is_asked || self.is_alone() || !self.peer_inbox.take_listed() {
            return;
        }
        self.ends.every.done();
        let quiet: Vec<PartitionId> =
            self.node.partitions().filter(|partition| self.quiet_end(*partition).is_some()).collect();
        if quiet.is_empty() {
            return;
        }
        self.ends.is_asked = true;
        let log = self.backends.log.clone();
        self.steps.push(Box::pin(async move { Step::Ends(ends_of(&log, quiet).await) }));
    }

    /// Takes over anew where there is more than this node has written.
    pub(crate) fn compare_ends(&mut self, ends: Answers<Offset>) {
        self.ends.is_asked = false;
        let now = (self.clock)();
        let mut reclaimed = Vec::new();
        for (partition, end) in ends {
            // What cannot be read now is looked at again.
            let is_ahead = end.is_ok_and(|end| self.quiet_end(partition).is_some_and(|known| end > known));
            if is_ahead && self.node.is_anothers(partition) {
                self.let_go(partition);
            } else if is_ahead && self.node.reclaim(partition, now, &mut self.effects) {
                tracing::info!(%partition, "somebody else has written to the partition; it is taken over anew");
                reclaimed.push(partition);
            }
        }
        self.take_over_anew(reclaimed);
    }

    /// Where the log ends as this node knows it, if it serves a partition and nothing of it is on its way.
    fn quiet_end(&self, partition: PartitionId) -> Option<Offset> {
        let is_quiet = |owner: &&Owner| owner.is_serving() && owner.has_nothing_on_its_way();
        let owner = self.node.owner(partition).filter(|_| !self.node.is_leaving(partition)).filter(is_quiet)?;
        Some(owner.first_on_its_way())
    }
}
