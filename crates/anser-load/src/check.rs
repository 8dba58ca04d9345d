//! The checker: of the messages of one sender to one receiver, which were acked, which came, how often, in which order.
//!
//! Two bits per message, so that it runs on every run, however long.

/// Numbers from 0, as bits.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit. Whether it was clear.
    fn set(&mut self, number: u64) -> bool {
        let Ok(word) = usize::try_from(number / 64) else {
            return false;
        };
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        let Some(word) = self.0.get_mut(word) else {
            return false;
        };
        let was_clear = *word & bit == 0;
        *word |= bit;
        was_clear
    }

    /// How many of these are not in `others`.
    fn count_without(&self, others: &Self) -> u64 {
        let missing = |(place, word): (usize, &u64)| word & !others.0.get(place).copied().unwrap_or(0);
        self.0.iter().enumerate().map(|word| u64::from(missing(word).count_ones())).sum()
    }
}

/// What broke a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Breaches {
    /// Acked, and never came.
    pub(crate) lost: u64,
    /// Came more than once.
    pub(crate) twice: u64,
    /// Came after a later one.
    pub(crate) disordered: u64,
}

impl std::ops::AddAssign for Breaches {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.twice += other.twice;
        self.disordered += other.disordered;
    }
}

/// The messages that one sender was told to be durable.
#[derive(Debug, Default)]
pub(crate) struct Acked {
    bits: Bits,
    count: u64,
}

impl Acked {
    pub(crate) fn add(&mut self, number: u64) {
        if self.bits.set(number) {
            self.count += 1;
        }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}

/// The messages of one sender that came to one receiver.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    bits: Bits,
    /// One above the highest that came.
    next: u64,
    breaches: Breaches,
}

impl Arrived {
    /// Notes one that came. Whether it is the first time.
    pub(crate) fn add(&mut self, number: u64) -> bool {
        if !self.bits.set(number) {
            self.breaches.twice += 1;
            return false;
        }
        if number < self.next {
            self.breaches.disordered += 1;
        }
        self.next = self.next.max(number + 1);
        true
    }

    /// The verdict on what was acked.
    pub(crate) fn judge(&self, acked: &Acked) -> Breaches {
        Breaches { lost: acked.bits.count_without(&self.bits), ..self.breaches }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(acked: &[u64], arrived: &[u64]) -> Breaches {
        let (mut a, mut b) = (Acked::default(), Arrived::default());
        acked.iter().for_each(|&number| a.add(number));
        arrived.iter().for_each(|&number| {
            b.add(number);
        });
        b.judge(&a)
    }

    #[test]
    fn nothing_lost_nothing_twice_and_in_order_are_told_apart() {
        let none = Breaches::default();
        assert_eq!(judge(&[0, 1, 2], &[0, 1, 2]), none);
        assert_eq!(judge(&[], &[0, 5, 200]), none, "what was not acked may come, and may be missing");
        assert_eq!(judge(&[0, 1, 130], &[0]), Breaches { lost: 2, ..none });
        assert_eq!(judge(&[0], &[0, 0, 0]), Breaches { twice: 2, ..none });
        assert_eq!(judge(&[0, 1], &[1, 0]), Breaches { disordered: 1, ..none });
        assert_eq!(judge(&[0, 1], &[1, 1]), Breaches { lost: 1, twice: 1, ..none });
    }
}
