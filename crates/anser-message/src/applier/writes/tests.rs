//! What goes to the mailbox, and what does not any more.

use std::collections::VecDeque;

use anser_backend::{ListQuery, ListRow, Page, PartitionRows, RangeQuery};
use anser_types::{BucketId, Claim, DeviceId, Mark, Offset, Position, Timestamp, UserKey};
use parking_lot::Mutex;

use super::*;
use crate::progress::Progress;

type Answer = Result<(), StoreError>;

/// A mailbox that answers to batches as it is told, and keeps what came.
#[derive(Debug, Default)]
struct Told {
    answers: Mutex<VecDeque<Answer>>,
    /// Partition and next offset of each part of each batch.
    came: Mutex<Vec<Vec<(u8, u64)>>>,
}

impl Mailbox for Told {
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Vec<Vec<Option<Placed>>>, StoreError>> {
        self.came.lock().push(batch.parts.iter().map(|part| (part.partition.0, part.next.0)).collect());
        let answer = self.answers.lock().pop_front().unwrap_or(Ok(()));
        Box::pin(std::future::ready(answer.map(|()| vec![Vec::new(); batch.parts.len()])))
    }

    fn range(&self, _: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn head(&self, _: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn lift(&self, _: &UserKey, _: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }

    fn list(&self, _: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn set_cursor(&self, _: &UserKey, _: &DeviceId, _: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }

    fn cursor(&self, _: &UserKey, _: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn replay_from(&self, _: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn applied(&self, _: PartitionId, _: Mark) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }

    fn expire(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }
}

fn batch(parts: &[(u8, u64)]) -> BucketBatch {
    let part = |&(partition, next): &(u8, u64)| PartitionRows {
        partition: PartitionId(partition),
        claim: Claim(Offset(1)),
        next: Offset(next),
        rows: Vec::new(),
    };
    BucketBatch { bucket: BucketId(7), parts: parts.iter().map(part).collect() }
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_follows_a_refused_part_does_not_go_though_the_mailbox_may_forget_why_it_refused() {
    for refusal in [|| StoreError::StaleClaim, || StoreError::RolledBack] {
        let away = || Err(StoreError::Unavailable("away".into()));
        let mailbox = Told::default();
        // As a whole; the first part; the other partition, which is tried again.
        mailbox.answers.lock().extend([Err(refusal()), Err(refusal()), away(), Ok(()), Ok(())]);
        let metrics = MessageMetrics::new(Progress::new(anser_types::PartitionCount::EMBEDDED));
        let batch = batch(&[(1, 65), (2, 173), (1, 70), (2, 180)]);
        let written = write_bucket(&mailbox, &metrics, &batch).await.unwrap();
        let whole = vec![(1, 65), (2, 173), (1, 70), (2, 180)];
        assert_eq!(*mailbox.came.lock(), [whole, vec![(1, 65)], vec![(2, 173)], vec![(2, 173)], vec![(2, 180)]]);
        let refused: Vec<_> = written.stale.union(&written.rolled_back).copied().collect();
        assert_eq!((refused, written.placed.len()), (vec![PartitionId(1)], 4));
    }
}
