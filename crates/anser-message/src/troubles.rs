//! What is wrong with single partitions until somebody mends a store, in words for operators.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use anser_types::PartitionId;
use parking_lot::Mutex;

/// What a partition lacks until a store is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It takes nothing in: from where it goes on cannot be read, or is gone from the log.
    NotTakenOver,
    /// What was said in it is not archived.
    NotArchived,
}

/// The troubles of the partitions that are here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<BTreeMap<(Trouble, PartitionId), String>>>);

impl Troubles {
    /// Notes one. Returns whether it was not known.
    pub(crate) fn note(&self, trouble: Trouble, partition: PartitionId, error: &(dyn Error + 'static)) -> bool {
        self.0.lock().insert((trouble, partition), said(error)).is_none()
    }

    /// Notes that there is none any more.
    pub(crate) fn end(&self, trouble: Trouble, partition: PartitionId) {
        self.0.lock().remove(&(trouble, partition));
    }

    /// Whether there is one.
    pub(crate) fn has(&self, trouble: Trouble, partition: PartitionId) -> bool {
        self.0.lock().contains_key(&(trouble, partition))
    }

    /// All of them, with why.
    pub(crate) fn all(&self) -> Vec<(Trouble, PartitionId, String)> {
        self.0.lock().iter().map(|((trouble, partition), why)| (*trouble, *partition, why.clone())).collect()
    }
}

/// An error with all that it comes from.
fn said(error: &(dyn Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
