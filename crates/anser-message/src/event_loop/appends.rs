//! Appends on their way into the log: their outcomes come in order for each partition, and none waits for those of another.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;

use anser_backend::AppendError;
use anser_core::node::AppendOutcome;
use anser_types::PartitionId;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

/// What became of an append, and why, if it is not known to be in the log.
pub(super) type Outcome = (AppendOutcome, Option<AppendError>);
pub(super) type Appending = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// See the module.
pub(super) struct Appends {
    /// Whether all partitions are one: what is read again after a crash comes in the one order of the log, and finds the places that it
    /// had before only if it came so the first time.
    in_one_order: bool,
    /// The oldest of each partition.
    oldest: FuturesUnordered<Appending>,
    /// Those behind it.
    behind: BTreeMap<PartitionId, VecDeque<Appending>>,
}

impl Appends {
    pub(super) fn new(in_one_order: bool) -> Self {
        Self { in_one_order, oldest: FuturesUnordered::new(), behind: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_empty()
    }

    /// One more, which was made already: it is waited for behind those before it.
    pub(super) fn push(&mut self, partition: PartitionId, append: Appending) {
        let line = self.line_of(partition);
        match self.behind.get_mut(&line) {
            Some(behind) => behind.push_back(append),
            None => {
                self.behind.insert(line, VecDeque::new());
                self.oldest.push(append);
            }
        }
    }

    /// The next outcome; `None` if nothing is on its way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        let outcome = self.oldest.next().await?;
        let line = self.line_of(outcome.0.partition);
        match self.behind.get_mut(&line).and_then(VecDeque::pop_front) {
            Some(next) => self.oldest.push(next),
            None => drop(self.behind.remove(&line)),
        }
        Some(outcome)
    }

    fn line_of(&self, partition: PartitionId) -> PartitionId {
        if self.in_one_order { PartitionId(0) } else { partition }
    }
}

#[cfg(test)]
mod tests {
    use anser_core::node::Landed;
    use anser_types::Offset;
    use futures_util::future::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    fn append(partition: u8, expected: u64) -> (oneshot::Sender<()>, Appending) {
        let (done, answered) = oneshot::channel();
        let (partition, expected) = (PartitionId(partition), Offset(expected));
        let append = async move {
            answered.await.unwrap();
            (AppendOutcome { partition, epoch: 1, expected, landed: Landed::At(expected), count: 1 }, None)
        };
        (done, Box::pin(append))
    }

    fn next(appends: &mut Appends) -> Option<(u8, u64)> {
        let (outcome, _) = appends.next().now_or_never()??;
        Some((outcome.partition.0, outcome.expected.0))
    }

    /// One partition with two appends and another with one; only the oldest is not answered.
    fn with_one_late(in_one_order: bool) -> (Appends, oneshot::Sender<()>) {
        let mut appends = Appends::new(in_one_order);
        let (late, first) = append(1, 7);
        appends.push(PartitionId(1), first);
        for (partition, expected) in [(1, 8), (2, 3)] {
            let (done, append) = append(partition, expected);
            appends.push(PartitionId(partition), append);
            done.send(()).unwrap();
        }
        (appends, late)
    }

    #[test]
    fn slow_is_alone_an_append_that_is_late_holds_up_its_partition_and_no_other() {
        let (mut appends, late) = with_one_late(false);
        assert_eq!((next(&mut appends), next(&mut appends)), (Some((2, 3)), None));
        late.send(()).unwrap();
        assert_eq!((next(&mut appends), next(&mut appends)), (Some((1, 7)), Some((1, 8))));
        assert!(appends.is_empty() && appends.behind.is_empty());
    }

    #[test]
    fn one_order_on_a_node_by_itself_outcomes_come_in_the_order_of_the_log() {
        let (mut appends, late) = with_one_late(true);
        assert_eq!(next(&mut appends), None);
        late.send(()).unwrap();
        assert_eq!(
            [next(&mut appends), next(&mut appends), next(&mut appends)],
            [Some((1, 7)), Some((1, 8)), Some((2, 3))]
        );
        assert!(appends.is_empty() && appends.behind.is_empty());
    }
}
