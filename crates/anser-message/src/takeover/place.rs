//! Where the reading of a partition begins that is taken over.

use anser_types::codec::Reader;
use anser_types::record::Header;
use anser_types::{Limits, Mark, Offset, PartitionId, Timestamp};

use crate::role::{Backends, RoleError};

/// From where a partition is read, and up to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
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
    let since = now.minus(limits.duplicate_window_ms);
    let window = backends.log.offset_at(partition, since).await?;
    let window = claim_before(backends, partition, window).await?;
    Ok(Place { claim, start: needed.min(window.max(start)), replay_from: mark.next })
}

/// A claim at or before an offset, from which everything is met that decides whether the record there counts: the claim under
/// which that record was written. It may be the newest there; if the record is a zombie's, it is an older one.
async fn claim_before(backends: &Backends, partition: PartitionId, offset: Offset) -> Result<Offset, RoleError> {
    let Some(bytes) = backends.log.read_at(partition, offset).await? else {
        return Ok(offset);
    };
    let bad = |source| RoleError::Record { partition, offset, source };
    let (header, _) = Header::decode(&mut Reader(bytes)).map_err(bad)?;
    // A claim's own header says only where it was expected to land.
    let is_claim = header.sequence == 0;
    Ok(if is_claim { offset } else { header.claim.0.min(offset) })
}

/// Below this every table has applied the partition.
async fn replay_from(backends: &Backends, partition: PartitionId) -> Result<Mark, RoleError> {
    let mailbox = backends.mailbox.replay_from(partition).await?;
    let history = backends.history.replay_from(partition).await?;
    let directory = backends.directory.replay_from(partition).await?;
    Ok(mailbox.min(history).min(directory))
}
