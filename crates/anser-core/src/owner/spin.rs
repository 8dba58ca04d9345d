//! The 12 bits of a UID that make it unique: the partition, and a counter per sent time, type and target hash.
//!
//! No central counter is needed: a partition has one owner, an owner never stamps below its floor, and the floor of a new
//! owner is above everything the log holds.

use std::collections::HashMap;

use anser_types::{ConversationType, PartitionId, Timestamp};

const COUNTERS: u8 = 16;
/// How many counters are kept at least before old ones are dropped.
const KEPT_MIN: usize = 8_192;

#[derive(Debug)]
pub(super) struct Spin {
    partition: PartitionId,
    used: HashMap<(Timestamp, ConversationType, u32), u8>,
    /// When to look for old counters again.
    sweep_at: usize,
}

impl Spin {
    pub(super) fn new(partition: PartitionId) -> Self {
        Self { partition, used: HashMap::new(), sweep_at: KEPT_MIN }
    }

    /// A spin that was not used for this time, type and hash; `None` when all 16 were. `now` is below every time that will
    /// still be asked for.
    pub(super) fn take(&mut self, sent: Timestamp, kind: ConversationType, hash: u32, now: Timestamp) -> Option<u16> {
        if self.used.len() >= self.sweep_at {
            self.used.retain(|(time, ..), _| *time >= now);
            self.sweep_at = KEPT_MIN.max(self.used.len() * 2);
        }
        let counter = self.used.entry((sent, kind, hash)).or_insert(0);
        if *counter == COUNTERS {
            return None;
        }
        let spin = (u16::from(self.partition.0) << 4) | u16::from(*counter);
        *counter += 1;
        Some(spin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_ids_per_time_and_target_then_the_next_time() {
        let mut spin = Spin::new(PartitionId(3));
        let mut take = |time| spin.take(Timestamp(time), ConversationType::Private, 7, Timestamp(time));
        let taken: Vec<_> = (0..17).map(|_| take(5)).collect();
        assert_eq!(taken[..16], (0x30..0x40).map(Some).collect::<Vec<_>>());
        assert_eq!(taken[16], None);
        assert_eq!(take(6), Some(0x30));
    }
}
