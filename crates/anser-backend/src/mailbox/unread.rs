//! How many messages of a conversation a user has not read. Pure: every mailbox counts alike.

use std::collections::VecDeque;

use anser_types::Timestamp;

/// Of how many unread messages the sent times are kept. A read up to a time within them leaves an exact count; one that
/// lies before all of them, with still older messages unread, leaves the count as it is.
pub const UNREAD_EXACT_MAX: usize = 128;

/// The unread messages of one conversation of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unread {
    count: u64,
    read_until: Timestamp,
    /// The sent times of the newest ones, oldest first.
    newest: VecDeque<Timestamp>,
}

impl Unread {
    /// Puts it together from stored parts. `newest` are sent times, oldest first.
    pub fn from_parts(count: u64, read_until: Timestamp, newest: VecDeque<Timestamp>) -> Self {
        let count = count.max(u64::try_from(newest.len()).unwrap_or(u64::MAX));
        Self { count, read_until, newest }
    }

    /// How many are unread.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Up to when the user has read; never moves back.
    pub const fn read_until(&self) -> Timestamp {
        self.read_until
    }

    /// The sent times of the newest unread messages, oldest first; at most [`UNREAD_EXACT_MAX`].
    pub const fn newest(&self) -> &VecDeque<Timestamp> {
        &self.newest
    }

    /// One more message that counts, sent after all before it. What is read already does not count.
    pub fn add(&mut self, sent: Timestamp) {
        if sent <= self.read_until {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.newest.len() == UNREAD_EXACT_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(sent);
    }

    /// The user has read up to a time.
    pub fn read(&mut self, until: Timestamp) {
        if until <= self.read_until {
            return;
        }
        self.read_until = until;
        let kept_before = self.newest.len();
        while self.newest.front().is_some_and(|sent| *sent <= until) {
            self.newest.pop_front();
        }
        let all_known = usize::try_from(self.count).is_ok_and(|count| count == kept_before);
        if all_known || self.newest.len() < kept_before {
            // Whatever is older than the kept times was sent before them, and so is read too.
            self.count = u64::try_from(self.newest.len()).unwrap_or(u64::MAX);
        }
    }

    /// A message was taken back: it no longer counts. One that is older than the times that are kept goes on counting until it
    /// is read.
    pub fn recall(&mut self, sent: Timestamp) {
        if let Some(place) = self.newest.iter().rposition(|kept| *kept == sent) {
            self.newest.remove(place);
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Nothing counts any more: the conversation was removed from the list.
    pub fn clear(&mut self) {
        self.count = 0;
        self.newest.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(times: impl IntoIterator<Item = u64>) -> Unread {
        let mut unread = Unread::default();
        for time in times {
            unread.add(Timestamp(time));
        }
        unread
    }

    #[test]
    fn what_was_sent_later_stays_unread() {
        for (until, count) in [(0, 3), (9, 3), (10, 2), (25, 1), (30, 0), (99, 0)] {
            let mut unread = with([10, 20, 30]);
            unread.read(Timestamp(until));
            assert_eq!(unread.count(), count, "{until}");
        }
    }

    #[test]
    fn a_read_never_moves_back_and_covers_what_comes_late() {
        let mut unread = with([10]);
        unread.read(Timestamp(50));
        unread.read(Timestamp(20));
        assert_eq!(unread.read_until(), Timestamp(50));
        unread.add(Timestamp(40));
        assert_eq!(unread.count(), 0);
        unread.add(Timestamp(60));
        assert_eq!(unread.count(), 1);
    }

    #[test]
    fn what_was_taken_back_counts_no_more_and_only_once() {
        let mut unread = with([10, 20, 30]);
        for (sent, count) in [(20, 2), (20, 2), (25, 2), (30, 1)] {
            unread.recall(Timestamp(sent));
            assert_eq!(unread.count(), count, "{sent}");
        }
        unread.read(Timestamp(10));
        unread.recall(Timestamp(10));
        assert_eq!(unread.count(), 0);
    }

    #[test]
    fn many_unread_cost_a_bounded_amount() {
        let most = UNREAD_EXACT_MAX as u64;
        let mut unread = with(1..=most * 3);
        assert_eq!((unread.count(), unread.newest().len()), (most * 3, UNREAD_EXACT_MAX));
        unread.read(Timestamp(5));
        assert_eq!(unread.count(), most * 3, "which of the older ones are read is not known");
        unread.read(Timestamp(most * 3 - 10));
        assert_eq!(unread.count(), 10);
        unread.clear();
        assert_eq!(unread.count(), 0);
    }

    proptest! {
        /// Exact as long as no more than the kept number are unread.
        #[test]
        fn the_count_is_exact_within_the_window(steps in prop::collection::vec((0..3u8, 0..300u64), 0..UNREAD_EXACT_MAX)) {
            let (mut unread, mut all, mut now, mut read) = (Unread::default(), Vec::new(), 0, 0);
            for (step, number) in steps {
                match step {
                    0 => {
                        now += 1 + number % 3;
                        unread.add(Timestamp(now));
                        all.push(now);
                    }
                    1 => {
                        read = read.max(number);
                        unread.read(Timestamp(number));
                    }
                    _ => {
                        all.retain(|sent| *sent != number);
                        unread.recall(Timestamp(number));
                    }
                }
                let exact = all.iter().filter(|sent| **sent > read).count() as u64;
                prop_assert_eq!(unread.count(), exact);
            }
        }
    }
}
