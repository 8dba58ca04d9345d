//! Lets the database drop chunks whose items have all expired, whenever it rewrites them anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};

use anser_types::Timestamp;

use super::disk::CHAIN_PREFIX;
use super::format::chunk;

/// The time before which a table's items have expired. Only ever moves on.
#[derive(Debug, Clone, Default)]
pub(super) struct ExpiredBefore(Arc<AtomicU64>);

impl ExpiredBefore {
    pub(super) fn get(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    /// Moves on. Returns whether that changed anything.
    pub(super) fn raise(&self, time: Timestamp) -> bool {
        self.0.fetch_max(time.0, Ordering::Relaxed) < time.0
    }
}

impl Factory for ExpiredBefore {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter(self.get()))
    }
}

struct Filter(Timestamp);

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let key = item.key();
        let expired = !key.starts_with(&[CHAIN_PREFIX]) && chunk::last_place(key).is_some_and(|last| last < self.0.0);
        // A chunk is written once, so no older version of it can come back.
        Ok(if expired { Verdict::Destroy } else { Verdict::Keep })
    }
}
