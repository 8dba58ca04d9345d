//! The newest items of a timeline or a history, as memory holds them: some not yet on disk, some still kept from there.
//!
//! What is in memory is contiguous: every item after [`Window::after`] is here, every one up to it is on disk.

use std::collections::VecDeque;

use super::format::chunk::Item;

/// Roughly what an item takes beside its own weight.
pub(super) const ITEM_OVERHEAD: usize = 96;

/// A run of items up to the newest one.
#[derive(Debug)]
pub(super) struct Window<T> {
    items: VecDeque<T>,
    after: u64,
    flushed: u64,
    /// How many of the newest items are not on disk.
    unflushed: usize,
}

fn cost<T: Item>(item: &T) -> usize {
    item.weight() + ITEM_OVERHEAD
}

impl<T: Item> Window<T> {
    /// The window of an owner whose items up to `last` are all on disk.
    pub(super) const fn at(last: u64) -> Self {
        Self { items: VecDeque::new(), after: last, flushed: last, unflushed: 0 }
    }

    /// Adds an item after all others. Returns what it takes in memory.
    pub(super) fn push(&mut self, item: T) -> usize {
        let cost = cost(&item);
        self.items.push_back(item);
        self.unflushed += 1;
        cost
    }

    /// Every item after this place is in the window.
    pub(super) const fn after(&self) -> u64 {
        self.after
    }

    /// The items after a place, in order.
    pub(super) fn later_than(&self, place: u64) -> impl DoubleEndedIterator<Item = &T> {
        // Mostly the newest few are asked for: look there first, and touch no others.
        let is_later = |at: usize| self.items.get(at).is_some_and(|item| item.place() > place);
        let (mut low, mut high, mut step) = (self.items.len(), self.items.len(), 1);
        while high > 0 {
            low = high.saturating_sub(step);
            if !is_later(low) {
                break;
            }
            high = low;
            step *= 2;
        }
        // Everything from `high` on is later; nothing up to `low` is, unless they met.
        while low < high {
            let middle = low.midpoint(high);
            if is_later(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.items.range(high..)
    }

    /// The items before a place, in order.
    pub(super) fn earlier_than(&self, place: u64) -> impl DoubleEndedIterator<Item = &T> {
        self.items.range(..self.items.partition_point(|item| item.place() < place))
    }

    /// The items that are not on disk yet.
    pub(super) fn unflushed(&self) -> Vec<T> {
        self.items.range(self.items.len().saturating_sub(self.unflushed)..).cloned().collect()
    }

    /// Everything up to `place` is on disk now.
    pub(super) fn note_flushed(&mut self, place: u64) {
        self.flushed = self.flushed.max(place);
        let newest = self.items.range(self.items.len().saturating_sub(self.unflushed)..);
        self.unflushed = newest.rev().take_while(|item| item.place() > place).count();
    }

    /// Lets go of the oldest items that are on disk, until `keep` of all items are left. Returns the memory that is free now.
    pub(super) fn evict(&mut self, keep: usize) -> usize {
        let mut freed = 0;
        while self.items.len() > keep {
            let Some(item) = self.items.pop_front_if(|item| item.place() <= self.flushed) else {
                break;
            };
            self.after = item.place();
            freed += cost(&item);
        }
        if self.items.capacity() > 4 * (self.items.len() + 8) {
            self.items.shrink_to(2 * self.items.len());
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use anser_types::codec::{DecodeError, Reader, Writer};

    use super::*;

    impl Item for u64 {
        fn place(&self) -> u64 {
            *self
        }

        fn weight(&self) -> usize {
            4
        }

        fn write(&self, writer: &mut Writer<'_>) {
            writer.u64(*self);
        }

        fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
            reader.u64()
        }
    }

    fn window(last: u64, items: &[u64]) -> Window<u64> {
        let mut window = Window::at(last);
        for item in items {
            assert_eq!(window.push(*item), 4 + ITEM_OVERHEAD);
        }
        window
    }

    #[test]
    fn only_what_is_on_disk_is_let_go() {
        let mut window = window(10, &[11, 15, 20, 21]);
        assert_eq!(window.evict(0), 0);
        assert_eq!((window.unflushed(), window.after()), (vec![11, 15, 20, 21], 10));
        window.note_flushed(20);
        assert_eq!(window.unflushed(), [21]);
        assert_eq!(window.evict(2), 2 * (4 + ITEM_OVERHEAD));
        assert_eq!((window.items.len(), window.after()), (2, 15));
        window.evict(0);
        assert_eq!((window.items.len(), window.after()), (1, 20));
    }

    #[test]
    fn items_are_found_by_place() {
        let window = window(0, &[11, 15, 20]);
        let later = |place| window.later_than(place).copied().collect::<Vec<_>>();
        let earlier = |place| window.earlier_than(place).copied().collect::<Vec<_>>();
        assert_eq!((later(10), later(11), later(20)), (vec![11, 15, 20], vec![15, 20], vec![]));
        assert_eq!((earlier(11), earlier(20), earlier(99)), (vec![], vec![11, 15], vec![11, 15, 20]));
    }
}
