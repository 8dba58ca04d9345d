//! The 12 bits of a UID that make it unique: the partition, and a counter per sent time, type and target hash.
//!
//! No central counter is needed: a partition has one owner, an owner never stamps below its floor, and the floor of a new
//! owner is above everything the log holds. Status messages leave nothing in the log, so they have a counter value of their
//! own: none of them ever has the UID of a message, and however many there are, they move no message's sent time.

use std::collections::HashMap;

use anser_types::{ConversationType, PartitionId, Timestamp};

/// What the 4 bits count for messages; the last value is for status messages.
const COUNTERS: u8 = 15;
/// How many counters are kept at least before old ones are dropped.
const KEPT_MIN: usize = 8_192;

#[derive(Debug)]
pub(super) struct Spin {
    partition: PartitionId,
    used: HashMap<(Timestamp, ConversationType, u32), u8>,
    /// The newest time of a status message, by type and hash.
    statuses: HashMap<(ConversationType, u32), Timestamp>,
    /// When to look for old counters again.
    sweep_at: usize,
}

impl Spin {
    pub(super) fn new(partition: PartitionId) -> Self {
        Self { partition, used: HashMap::new(), statuses: HashMap::new(), sweep_at: KEPT_MIN }
    }

    /// A spin that was not used for this time, type and hash; `None` when all were. `now` is below every time that will
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
        let spin = spin(self.partition, *counter);
        *counter += 1;
        Some(spin)
    }

    /// A time and a spin for a status message; `None` if so many were sent that the time would be above `limit`.
    pub(super) fn take_status(
        &mut self,
        kind: ConversationType,
        hash: u32,
        now: Timestamp,
        limit: Timestamp,
    ) -> Option<(Timestamp, u16)> {
        if self.statuses.len() >= KEPT_MIN {
            self.statuses.retain(|_, newest| *newest >= now);
        }
        let newest = self.statuses.get(&(kind, hash)).copied().unwrap_or_default();
        let sent = now.max(newest.next());
        if sent > limit {
            return None;
        }
        self.statuses.insert((kind, hash), sent);
        Some((sent, spin(self.partition, COUNTERS)))
    }
}

fn spin(partition: PartitionId, counter: u8) -> u16 {
    (u16::from(partition.0) << 4) | u16::from(counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_ids_per_time_and_target_then_the_next_time() {
        let mut spin = Spin::new(PartitionId(3));
        let mut take = |time| spin.take(Timestamp(time), ConversationType::Private, 7, Timestamp(time));
        let taken: Vec<_> = (0..16).map(|_| take(5)).collect();
        assert_eq!(taken[..15], (0x30..0x3f).map(Some).collect::<Vec<_>>());
        assert_eq!(taken[15], None);
        assert_eq!(take(6), Some(0x30));
    }

    #[test]
    fn status_messages_have_a_spin_of_their_own_and_one_time_each() {
        let mut spin = Spin::new(PartitionId(3));
        let mut take = |hash| spin.take_status(ConversationType::Private, hash, Timestamp(5), Timestamp(7));
        let times: Vec<_> = (0..4).map(|_| take(1)).collect();
        assert_eq!(
            times,
            [5, 6, 7].map(|time| Some((Timestamp(time), 0x3f))).into_iter().chain([None]).collect::<Vec<_>>()
        );
        assert_eq!(take(2), Some((Timestamp(5), 0x3f)));
    }
}
