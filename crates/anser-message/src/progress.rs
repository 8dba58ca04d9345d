//! How far the log, the applier and the archiver have got in each partition, for whoever waits for one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anser_types::{BucketId, Offset, PartitionCount, PartitionId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::troubles::{Trouble, Troubles};

/// Per partition, the offsets below which everything is accepted, applied and archived.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    partitions: Arc<[Partition]>,
    /// Told when somebody waits for the archiver.
    hurried: Arc<Notify>,
    /// The buckets that cannot be written, and why.
    parked: Arc<Mutex<BTreeMap<BucketId, String>>>,
    pub(crate) troubles: Troubles,
    share: Arc<Mutex<Share>>,
}

/// What is served here of the partitions that are this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Whether it is known which these are.
    pub is_known: bool,
    /// Whether each of those that the node had at a moment was served, or cannot be until a store is mended.
    pub has_come: bool,
    /// How many there are.
    pub own: usize,
    /// How many are served.
    pub served: usize,
    /// How many of those take anything in: neither timelines nor history are too far behind.
    pub open: usize,
}

/// How far a partition that is served here has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionState {
    /// Which.
    pub partition: PartitionId,
    /// Behind the newest record that was accepted.
    pub accepted: Offset,
    /// How many of those are not in timelines yet.
    pub to_apply: u64,
    /// How many of those are not in history yet.
    pub to_archive: u64,
    /// Whether it takes nothing in until history has caught up.
    pub is_stopped: bool,
    /// Whether it takes nothing in until timelines have.
    pub is_held_back: bool,
}

#[derive(Debug)]
struct Partition {
    /// Whether it is served here: otherwise others may accept in it.
    is_served: AtomicBool,
    /// How often it came to be served here.
    term: AtomicU64,
    accepted: AtomicU64,
    applied: AtomicU64,
    archived: AtomicU64,
    /// Below this something was accepted that the archiver was not told.
    missed: AtomicU64,
    /// Somebody waits until everything below this is archived.
    hurry_to: AtomicU64,
    /// Whether it is to take nothing in, because of history and because of timelines.
    is_stopped: AtomicBool,
    is_held_back: AtomicBool,
    changed: Notify,
}

impl Partition {
    fn new() -> Self {
        Self {
            is_served: AtomicBool::new(false),
            term: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            archived: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            hurry_to: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            is_held_back: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    async fn until(&self, is_done: impl Fn(&Self) -> bool) {
        loop {
            // From here on a change wakes this waiter, also one between the look and the wait.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is_done(self) {
                return;
            }
            changed.await;
        }
    }
}

impl Progress {
    /// Nothing is served yet.
    pub(crate) fn new(count: PartitionCount) -> Self {
        Self {
            partitions: count.all().map(|_| Partition::new()).collect(),
            hurried: Arc::default(),
            parked: Arc::default(),
            troubles: Troubles::default(),
            share: Arc::default(),
        }
    }

    /// Notes which partitions are this node's.
    pub(crate) fn note_own(&self, own: impl Iterator<Item = PartitionId>) {
        let mut share = Share { is_known: true, ..self.share() };
        let (mut count, mut waits) = (0, false);
        for partition in own {
            count += 1;
            waits |= self.term(partition).is_none() && !self.troubles.has(Trouble::NotTakenOver, partition);
        }
        share.own = count;
        share.has_come |= !waits;
        *self.share.lock() = share;
    }

    /// What is served here of the partitions that are this node's.
    pub(crate) fn share(&self) -> Share {
        let mut share = Share { served: 0, open: 0, ..*self.share.lock() };
        for partition in self.served() {
            share.served += 1;
            share.open += usize::from(!partition.is_stopped && !partition.is_held_back);
        }
        share
    }

    fn of(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(usize::from(partition.0))
    }

    fn with(&self, partition: PartitionId, work: impl FnOnce(&Partition)) {
        if let Some(known) = self.of(partition) {
            work(known);
        }
    }

    /// All partitions, in order.
    fn all(&self) -> impl Iterator<Item = (PartitionId, &Partition)> {
        (0..=u8::MAX).map(PartitionId).zip(self.partitions.iter())
    }

    /// Notes that a partition is served, and that everything below `end` was accepted before.
    pub(crate) fn note_served(&self, partition: PartitionId, end: Offset) {
        self.troubles.end(Trouble::NotTakenOver, partition);
        self.with(partition, |known| {
            known.accepted.fetch_max(end.0, Ordering::Release);
            known.term.fetch_add(1, Ordering::Release);
            known.is_served.store(true, Ordering::Release);
            known.changed.notify_waiters();
        });
    }

    /// Notes that a partition is not served: others may accept in it.
    pub(crate) fn note_not_served(&self, partition: PartitionId) {
        self.troubles.end(Trouble::NotTakenOver, partition);
        self.with(partition, |known| known.is_served.store(false, Ordering::Release));
    }

    /// While a partition is served here: another number than each time before.
    pub(crate) fn term(&self, partition: PartitionId) -> Option<u64> {
        let known = self.of(partition)?;
        known.is_served.load(Ordering::Acquire).then(|| known.term.load(Ordering::Acquire))
    }

    /// Below this everything that was accepted here is.
    pub(crate) fn accepted(&self, partition: PartitionId) -> Offset {
        self.place(partition, |known| &known.accepted)
    }

    /// Below this everything is archived.
    pub(crate) fn archived_in(&self, partition: PartitionId) -> Offset {
        self.place(partition, |known| &known.archived)
    }

    fn place(&self, partition: PartitionId, of: impl Fn(&Partition) -> &AtomicU64) -> Offset {
        Offset(self.of(partition).map_or(0, |known| of(known).load(Ordering::Acquire)))
    }

    /// Notes that everything below `next` is accepted, before anybody is told so.
    pub(crate) fn note_accepted(&self, partition: PartitionId, next: Offset) {
        self.with(partition, |known| {
            known.accepted.fetch_max(next.0, Ordering::Release);
        });
    }

    /// Notes that everything below `next` is applied. Never goes back: a replay repeats what was applied before.
    pub(crate) fn note_applied(&self, partition: PartitionId, next: Offset) {
        self.with(partition, |known| {
            known.applied.fetch_max(next.0, Ordering::Release);
            known.changed.notify_waiters();
        });
    }

    /// Notes that everything below `next` is archived. Never goes back.
    pub(crate) fn note_archived(&self, partition: PartitionId, next: Offset) {
        self.with(partition, |known| {
            known.archived.fetch_max(next.0, Ordering::Release);
            known.changed.notify_waiters();
        });
    }

    /// Notes that the archiver was not told of something below `next`.
    pub(crate) fn note_missed(&self, partition: PartitionId, next: Offset) {
        self.with(partition, |known| {
            known.missed.fetch_max(next.0, Ordering::Release);
        });
    }

    /// Takes out where the archiver was not told of something, if anywhere.
    pub(crate) fn take_missed(&self) -> impl Iterator<Item = (PartitionId, Offset)> {
        let missed = self.all().map(|(partition, known)| {
            let next = match known.missed.load(Ordering::Acquire) {
                0 => 0,
                _ => known.missed.swap(0, Ordering::AcqRel),
            };
            (partition, Offset(next))
        });
        missed.filter(|(_, next)| *next > Offset::START)
    }

    /// Notes whether a partition takes nothing in because timelines are behind.
    pub(crate) fn note_held_back(&self, partition: PartitionId, is_held_back: bool) {
        self.with(partition, |known| known.is_held_back.store(is_held_back, Ordering::Release));
    }

    /// Notes whether a partition is to take nothing in because history is behind.
    pub(crate) fn note_stopped(&self, partition: PartitionId, is_stopped: bool) {
        self.with(partition, |known| known.is_stopped.store(is_stopped, Ordering::Release));
    }

    /// The partitions in order, each with the offset below which everything is archived, and whether it is to take nothing in until there
    /// is more.
    pub(crate) fn archived(&self) -> impl Iterator<Item = (PartitionId, Offset, bool)> {
        self.all().map(|(partition, known)| {
            let next = Offset(known.archived.load(Ordering::Acquire));
            (partition, next, known.is_stopped.load(Ordering::Acquire))
        })
    }

    /// Every partition that is served here, with how far it has got.
    pub(crate) fn served(&self) -> impl Iterator<Item = PartitionState> {
        let served = self.all().filter(|(_, known)| known.is_served.load(Ordering::Acquire));
        served.map(|(partition, known)| {
            // The lesser ones first: what is accepted meanwhile is not behind.
            let [archived, applied] = [&known.archived, &known.applied].map(|place| place.load(Ordering::Acquire));
            let accepted = known.accepted.load(Ordering::Acquire);
            PartitionState {
                partition,
                accepted: Offset(accepted),
                to_apply: accepted.saturating_sub(applied),
                to_archive: accepted.saturating_sub(archived),
                is_stopped: known.is_stopped.load(Ordering::Acquire),
                is_held_back: known.is_held_back.load(Ordering::Acquire),
            }
        })
    }

    /// Notes that a bucket cannot be written, and why.
    pub(crate) fn note_parked(&self, bucket: BucketId, why: String) {
        self.parked.lock().insert(bucket, why);
    }

    /// Notes that it can.
    pub(crate) fn note_not_parked(&self, bucket: BucketId) {
        self.parked.lock().remove(&bucket);
    }

    /// The buckets that cannot be written, and why.
    pub(crate) fn parked(&self) -> Vec<(BucketId, String)> {
        self.parked.lock().iter().map(|(bucket, why)| (*bucket, why.clone())).collect()
    }

    /// Has the archiver not gather what somebody waits for.
    fn hurry(&self, known: &Partition, next: u64) {
        if known.archived.load(Ordering::Acquire) < next && known.hurry_to.fetch_max(next, Ordering::AcqRel) < next {
            self.hurried.notify_one();
        }
    }

    /// Returns when somebody waits for the archiver who did not before. Cancel-safe.
    pub(crate) async fn hurried(&self) {
        self.hurried.notified().await;
    }

    /// Up to where somebody waits for the archiver.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (PartitionId, Offset)> {
        let awaited = self.all().map(|(partition, known)| {
            let is_awaited = known.hurry_to.load(Ordering::Acquire) > known.archived.load(Ordering::Acquire);
            is_awaited.then(|| (partition, Offset(known.hurry_to.load(Ordering::Acquire))))
        });
        awaited.flatten()
    }

    /// Waits until everything below `next` is applied and archived. Cancel-safe.
    pub(crate) async fn until_in_tables(&self, partition: PartitionId, next: Offset) {
        if let Some(known) = self.of(partition) {
            self.hurry(known, next.0);
            let has = |place: &AtomicU64| place.load(Ordering::Acquire) >= next.0;
            known.until(|known| has(&known.applied) && has(&known.archived)).await;
        }
    }

    /// Waits until everything is archived that was accepted at the call; where that is not known, until it is. Cancel-safe.
    pub(crate) async fn until_archived(&self, partition: PartitionId) {
        let Some(known) = self.of(partition) else {
            return;
        };
        known.until(|known| known.is_served.load(Ordering::Acquire)).await;
        let accepted = known.accepted.load(Ordering::Acquire);
        self.hurry(known, accepted);
        known.until(|known| known.archived.load(Ordering::Acquire) >= accepted).await;
    }

    /// Waits until everything is archived that was accepted at the call, in all partitions. Cancel-safe.
    pub(crate) async fn until_all_archived(&self) {
        for (partition, _) in self.all() {
            self.until_archived(partition).await;
        }
    }
}
