//! A log that has lost its newest records, as Kafka may when all copies lose their power at once: tables contain more than it does.
//!
//! What is gone of it is gone: whoever was to get it may have it from the tables. But were its offsets given again, tables would take
//! new records for what they contain, and skip them. So whoever takes the partition over passes over them first, with claims, which
//! mean nothing to anybody.

use std::collections::BTreeMap;

use anser_core::owner::claim_record;
use anser_types::{Offset, PartitionId, Timestamp};

use crate::role::{Backends, RoleError};

/// How many offsets are passed over at most. With more the log is rather an older copy, which somebody has to look at.
const OFFSETS_MAX: u64 = 1_000_000;
/// How many in one append.
const TOGETHER: u64 = 1_000;
/// What the claims say who has claimed.
const NAME: &str = "nobody: lost records are passed over";

/// Up to where the mailbox contains something of partitions, as far as it tells.
pub(super) async fn written(backends: &Backends, partitions: Vec<PartitionId>) -> BTreeMap<PartitionId, Offset> {
    match backends.mailbox.written(&partitions).await {
        Ok(written) => partitions.into_iter().zip(written).collect(),
        Err(error) => {
            tracing::debug!(%error, "the mailbox does not tell what it contains");
            BTreeMap::new()
        }
    }
}

/// Sees to it that a partition ends no earlier than any table stands, as far as `tables` says. Returns where it ends then, at least.
pub(super) async fn pass_over(
    backends: &Backends,
    partition: PartitionId,
    mut end: Offset,
    tables: Offset,
    now: Timestamp,
) -> Result<Offset, RoleError> {
    if tables <= end {
        return Ok(end);
    }
    if tables.0 - end.0 > OFFSETS_MAX {
        return Err(RoleError::WentBack { partition, end, applied: tables });
    }
    tracing::error!(
        %partition, %end, applied = %tables,
        "the log has lost its newest records, which were acknowledged; it goes on behind them"
    );
    let log = &backends.log;
    while end < tables {
        let next = end.plus((tables.0 - end.0).min(TOGETHER));
        let claims = (end.0..next.0).map(|offset| claim_record(log.id(), Offset(offset), NAME, now));
        log.append_at(partition, end, claims.collect()).await?;
        end = next;
    }
    Ok(end)
}
