//! Random numbers from a seed (splitmix64). Each part of a run draws from its own stream, so that one part drawing more
//! does not change all others.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low) + 1)
    }

    /// A place in a list of `count`; 0 if it is empty.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).unwrap_or(1);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    /// Whether something happens that happens so many times out of a thousand.
    pub(crate) const fn chance(&mut self, permille: u64) -> bool {
        self.next() % 1000 < permille
    }

    /// A short time, now and then a long one.
    pub(crate) const fn delay(&mut self, usual: u64, rare: u64, permille: u64) -> u64 {
        if self.chance(permille) { self.between(usual, rare) } else { self.between(0, usual) }
    }
}
