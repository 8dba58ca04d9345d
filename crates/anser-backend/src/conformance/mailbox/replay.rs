//! What the cases about lost and rebuilt mailboxes have in common: entries for one user, applied part by part.

use crate::conformance::sample::{batch, received};
use crate::{Mailbox, MailboxRow, PartitionRows, Placed, StoreError};

type Rows = Vec<Vec<Option<Placed>>>;

pub(super) fn at(times: &[u64]) -> Vec<MailboxRow> {
    times.iter().map(|time| received("bob", "alice", *time)).collect()
}

pub(super) async fn try_apply(mailbox: &dyn Mailbox, part: PartitionRows) -> Result<Rows, StoreError> {
    mailbox.apply(batch("bob", vec![part])).await
}

pub(super) async fn apply(mailbox: &dyn Mailbox, part: PartitionRows) -> Rows {
    try_apply(mailbox, part).await.expect("a batch is applied")
}
