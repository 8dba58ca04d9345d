//! Where the reading of some partitions begins, with few questions to the log: a broker answers for many partitions hardly later than
//! for one, and each of them would be asked about some ten times.
//!
//! The tables are asked before the log. The present owner goes on meanwhile, and what the log has not shown yet would be taken for lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_backend::{Bounds, MessageLog, ReadError};
use anser_types::{Limits, Offset, PartitionId, Timestamp};
use futures_util::future::join;
use tokio::sync::Semaphore;

use super::place::{self, Place, ReplayPlace, Search};
use super::{Answers, lost_end, of_each, of_each_bounded};
use crate::role::{Backends, RoleError};

/// A partition, with the attempt to own it.
pub(crate) type Attempt = (PartitionId, u64);

/// What is looked for, by whom and when.
#[derive(Debug, Clone)]
pub(crate) struct Looking {
    pub(crate) backends: Backends,
    pub(crate) limits: Limits,
    /// How many questions there may be at a time.
    pub(crate) asks: Arc<Semaphore>,
    pub(crate) now: Timestamp,
    /// Whether the node is by itself, so that its log loses nothing that its tables have, and asking it costs nothing.
    pub(crate) is_alone: bool,
}

impl Looking {
    /// From where partitions are read to take them over.
    pub(super) async fn places(self, attempts: Vec<Attempt>) -> Vec<(u64, PartitionId, Result<Place, RoleError>)> {
        let partitions: Vec<PartitionId> = attempts.iter().map(|(partition, _)| *partition).collect();
        let written =
            if self.is_alone { None } else { Some(lost_end::written(&self.backends, partitions.clone()).await) };
        let marks = |(partition, epoch): Attempt| {
            let written = written.as_ref().map(|known| known.get(&partition).copied().unwrap_or(Offset::START));
            let backends = self.backends.clone();
            async move { (partition, epoch, place::marks(&backends, partition, written).await) }
        };
        let marks = of_each_bounded(&self.asks, attempts, marks).await;
        let (looked, window) = join(self.look(&partitions), self.window(&partitions)).await;
        let find = |(partition, epoch, marks)| {
            let search = Search::new(&self.backends.log, partition);
            let search = search.with(looked.get(&partition).copied(), window.get(&partition).copied());
            let looking = self.clone();
            async move {
                let place = match marks {
                    Ok(marks) => place::find(&looking.backends, &looking.limits, looking.now, &search, marks).await,
                    Err(error) => Err(error),
                };
                (epoch, partition, place)
            }
        };
        of_each_bounded(&self.asks, marks, find).await
    }

    /// From where partitions are read to apply what the mailbox may lack, and nothing else. From now on it takes their rows again.
    pub(crate) async fn replay_places(
        self,
        attempts: Vec<Attempt>,
    ) -> Vec<(PartitionId, u64, Result<ReplayPlace, RoleError>)> {
        let partitions: Vec<PartitionId> = attempts.iter().map(|(partition, _)| *partition).collect();
        let begin = |(partition, epoch): Attempt| {
            let mailbox = Arc::clone(&self.backends.mailbox);
            async move { (partition, epoch, mailbox.begin_replay(partition).await) }
        };
        let begun = of_each_bounded(&self.asks, attempts, begin).await;
        let looked = self.look(&partitions).await;
        let find = |(partition, epoch, mailbox)| {
            let search = Search::new(&self.backends.log, partition).with(looked.get(&partition).copied(), None);
            let (limits, now) = (self.limits, self.now);
            async move {
                let place = async { search.replay_place(search.bounds().await?, mailbox?, &limits, now).await };
                (partition, epoch, place.await)
            }
        };
        of_each_bounded(&self.asks, begun, find).await
    }

    async fn look(&self, partitions: &[PartitionId]) -> BTreeMap<PartitionId, Bounds> {
        if self.is_alone { BTreeMap::new() } else { bounds_of(&self.backends.log, partitions).await }
    }

    /// Where the window for resends begins.
    async fn window(&self, partitions: &[PartitionId]) -> BTreeMap<PartitionId, Offset> {
        if self.is_alone {
            return BTreeMap::new();
        }
        let from = place::window_from(&self.limits, self.now);
        together(partitions, self.backends.log.offsets_at(partitions, from).await)
    }
}

/// What partitions hold, if one question is answered soon; otherwise nothing, and each is to be asked about alone.
pub(super) async fn bounds_of(log: &Arc<dyn MessageLog>, partitions: &[PartitionId]) -> BTreeMap<PartitionId, Bounds> {
    together(partitions, log.bounds_of(partitions).await)
}

fn together<T>(partitions: &[PartitionId], answers: Result<Vec<T>, ReadError>) -> BTreeMap<PartitionId, T> {
    match answers {
        Ok(answers) => partitions.iter().copied().zip(answers).collect(),
        Err(error) => {
            tracing::debug!(%error, "each partition is asked about alone");
            BTreeMap::new()
        }
    }
}

/// Where partitions end.
pub(crate) async fn ends_of(log: &Arc<dyn MessageLog>, partitions: Vec<PartitionId>) -> Answers<Offset> {
    let looked = bounds_of(log, &partitions).await;
    let end = |partition| {
        let search = Search::new(log, partition).with(looked.get(&partition).copied(), None);
        async move { (partition, search.bounds().await.map(|bounds| bounds.end)) }
    };
    of_each(partitions, end).await
}

#[cfg(test)]
mod tests {
    use anser_backend::memory::{MemoryLog, MemoryMailbox};
    use anser_backend::{
        BoxFuture, Head, Hidden, History, HistoryPage, HistoryQuery, HistoryWrite, StoreError, StoredRow,
    };
    use anser_core::owner::claim_record;
    use anser_types::{Claim, LogId, Mark, MessageUid, PartitionCount, Subject, UserKey};

    use super::*;
    use crate::fakes::in_memory;

    const P: PartitionId = PartitionId(7);

    /// A history whose owner goes on while others look: it has archived one record more whenever it is asked.
    #[derive(Debug)]
    struct GoesOn(Arc<dyn MessageLog>);

    impl GoesOn {
        async fn decide(&self) -> Mark {
            let at = self.0.bounds(P).await.unwrap().end;
            self.0.append(P, vec![claim_record(self.0.id(), at, "the owner", Timestamp(1))]).await.unwrap();
            Mark { claim: Claim(at), next: at.next() }
        }
    }

    impl History for GoesOn {
        fn write(&self, _: PartitionId, _: Mark, _: Vec<HistoryWrite>) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(std::future::pending())
        }

        fn replay_from(&self, _: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
            Box::pin(async { Ok(self.decide().await) })
        }

        fn head(&self, _: &Subject) -> BoxFuture<'_, Result<Head, StoreError>> {
            Box::pin(std::future::pending())
        }

        fn page(&self, _: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
            Box::pin(std::future::pending())
        }

        fn find(
            &self,
            _: &Subject,
            _: Timestamp,
            _: MessageUid,
        ) -> BoxFuture<'_, Result<Option<StoredRow>, StoreError>> {
            Box::pin(std::future::pending())
        }

        fn hidden(&self, _: &UserKey, _: &Subject) -> BoxFuture<'_, Result<Hidden, StoreError>> {
            Box::pin(std::future::pending())
        }

        fn expire(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn what_the_present_owner_decides_meanwhile_is_not_taken_for_lost_by_the_log() {
        let log: Arc<dyn MessageLog> = Arc::new(MemoryLog::new(LogId(5), PartitionCount::EMBEDDED, || Timestamp(1)));
        let history = Arc::new(GoesOn(Arc::clone(&log)));
        let backends = Backends { log: Arc::clone(&log), history, ..in_memory(MemoryMailbox::default()) };
        let asks = Arc::new(Semaphore::new(1));
        let looking = Looking { backends, limits: Limits::default(), asks, now: Timestamp(1), is_alone: false };
        let places = looking.places(vec![(P, 3)]).await;
        let [(3, P, Ok(place))] = &places[..] else { panic!("{places:?}") };
        assert_eq!(place.end, Offset(1));
        assert_eq!(log.bounds(P).await.unwrap().end, Offset(1), "nothing is passed over");
    }
}
