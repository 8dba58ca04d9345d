//! Random numbers from a seed (splitmix64): jitter and message ids, the same for the same seed.

use anser_types::{ClientMessageId, Timestamp};

const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;
/// The random bits of a message id; the bits above them are milliseconds.
const ID_RANDOM_BITS: u32 = 20;
const ID_TIME_MASK: u64 = (1 << 43) - 1;

#[derive(Debug)]
pub(super) struct Random {
    state: u64,
    last_id: i64,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed, last_id: 0 }
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(INCREMENT);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included; `low` if the range is empty.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.next() % span)
    }

    /// A pause of `full` milliseconds, half of it random: callers that fail together do not come back together.
    pub(super) const fn pause(&mut self, full: u64) -> u64 {
        let half = full / 2;
        half + self.between(0, full - half)
    }

    /// A message id: the time, then random bits, above all ids that this session made before. Two terminals of one user
    /// make the same one only if both send in the same millisecond and one of a million draws coincides.
    pub(super) fn message_id(&mut self, now: Timestamp) -> ClientMessageId {
        let bits = (now.0 & ID_TIME_MASK) << ID_RANDOM_BITS | self.next() >> (64 - ID_RANDOM_BITS);
        let fresh = i64::try_from(bits).unwrap_or(i64::MAX);
        self.last_id = fresh.max(self.last_id.saturating_add(1));
        ClientMessageId(self.last_id)
    }
}
