//! Up to where conversations are known to be archived, so that a write need not ask.

use std::collections::HashMap;

use anser_types::Offset;

/// The newest known heads by row key, a bounded number of them. What is too old is forgotten: HBase knows it.
///
/// A head that another owner has moved on meanwhile makes this one too low, never too high; then a message is written that is there
/// already, and nothing changes.
#[derive(Debug, Default)]
pub(crate) struct KnownHeads {
    newer: HashMap<Vec<u8>, Offset>,
    older: HashMap<Vec<u8>, Offset>,
    half: usize,
}

impl KnownHeads {
    pub(crate) fn new(most: usize) -> Self {
        Self { half: most / 2, ..Self::default() }
    }

    pub(super) fn get(&mut self, row: &[u8]) -> Option<Offset> {
        if let Some(next) = self.newer.get(row) {
            return Some(*next);
        }
        let (row, next) = self.older.remove_entry(row)?;
        self.note(row, next);
        Some(next)
    }

    pub(crate) fn note(&mut self, row: Vec<u8>, next: Offset) {
        if self.newer.len() >= self.half {
            self.older = std::mem::take(&mut self.newer);
        }
        let known = self.newer.entry(row).or_default();
        *known = next.max(*known);
    }

    pub(super) fn forget(&mut self) {
        self.newer.clear();
        self.older.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_known_and_the_rest_is_bounded() {
        let mut known = KnownHeads::new(8);
        for n in 0..100_u8 {
            known.note(vec![n], Offset(u64::from(n)));
            assert!(known.newer.len() + known.older.len() <= 8);
            assert_eq!(known.get(&[0]), Some(Offset(0)), "{n}");
        }
        assert_eq!((known.get(&[99]), known.get(&[50])), (Some(Offset(99)), None));
        known.forget();
        assert_eq!(known.get(&[99]), None);
    }
}
