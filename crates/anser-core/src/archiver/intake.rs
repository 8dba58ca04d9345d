//! Stopping what comes in before the log lets go of what is not archived.

use anser_types::{PartitionId, Timestamp};

use super::{Archiver, Effect, Partition};

/// How often it is said again that a partition takes nothing in, in milliseconds.
const AGAIN_MS: u64 = 60_000;

impl Archiver {
    /// Compares how old what is not archived is with how old it may become.
    pub(super) fn watch_lag(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(lag_ms_max) = self.config.lag_ms_max else {
            return;
        };
        for (partition, known) in &mut self.partitions {
            watch(*partition, known, lag_ms_max, now, effects);
        }
    }
}

fn watch(partition: PartitionId, known: &mut Partition, lag_ms_max: u64, now: Timestamp, effects: &mut Vec<Effect>) {
    let lag_ms = known.oldest().map_or(0, |oldest| now.since(oldest));
    match known.stopped {
        None if lag_ms < lag_ms_max => {}
        Some(_) if lag_ms < lag_ms_max => {
            known.stopped = None;
            effects.push(Effect::Resume(partition));
        }
        Some(said) if now.since(said) < AGAIN_MS => {}
        _ => {
            known.stopped = Some(now);
            effects.push(Effect::Stop(partition, lag_ms));
        }
    }
}
