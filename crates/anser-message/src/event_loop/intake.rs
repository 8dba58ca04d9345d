//! Which partitions take nothing in until tables have caught up.

use super::MessageLoop;

impl MessageLoop {
    /// Opens and closes partitions by how far history and timelines are.
    pub(super) fn open_and_close(&mut self) {
        let (is_full, behind) = (self.to_applier.backlog.is_full(), self.replays.behind());
        for (partition, next, is_stopped) in self.progress.archived() {
            let is_held_back = is_full || behind.contains(&partition);
            self.progress.note_held_back(partition, is_held_back);
            self.node.archived(partition, next);
            self.node.set_open(partition, !is_stopped && !is_held_back);
        }
    }
}
