//! Where the reading of a partition begins that is taken over.

use anser_types::{Limits, Mark, Offset, PartitionId, Timestamp};

use crate::role::{Backends, RoleError};

/// From where a partition is read, and up to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(super) partition: PartitionId,
    /// Our claim, behind which reading ends.
    pub(super) claim: Offset,
    /// Where reading begins.
    pub(super) start: Offset,
    /// From here on some table may not have applied the records.
    pub(super) replay_from: Offset,
}

/// Reading begins at the claim under which the tables go on, and with the window in which resends are recognised.
pub(super) async fn find(
    backends: &Backends,
    limits: &Limits,
    now: Timestamp,
    partition: PartitionId,
    claim: Offset,
) -> Result<Place, RoleError> {
    let mark = replay_from(backends, partition).await?;
    let needed = mark.first_needed();
    let start = backends.log.bounds(partition).await?.start;
    if start > needed {
        return Err(RoleError::Lost { partition, start, applied: needed });
    }
    // Reading has to meet a claim before the window begins. Twice the time between two, because the log's clock is not ours.
    let margin = limits.claim_renew_ms.saturating_mul(2);
    let since = now.minus(limits.duplicate_window_ms.saturating_add(margin));
    let window = backends.log.offset_at(partition, since).await?;
    Ok(Place { partition, claim, start: needed.min(window.max(start)), replay_from: mark.next })
}

/// Below this every table has applied the partition.
async fn replay_from(backends: &Backends, partition: PartitionId) -> Result<Mark, RoleError> {
    let mailbox = backends.mailbox.replay_from(partition).await?;
    let history = backends.history.replay_from(partition).await?;
    let directory = backends.directory.replay_from(partition).await?;
    Ok(mailbox.min(history).min(directory))
}
