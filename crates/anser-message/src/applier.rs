//! The applier: what the log has made durable, in the order of the log, goes into the mailbox and out to the terminals.
//!
//! It waits for nothing but the mailbox. What it has done it passes on to the archiver, which does not hold it up: if the archiver
//! has no room, it reads the log.

mod parked;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{mpsc, oneshot};

use tokio::time::{MissedTickBehavior, interval};

use anser_backend::{BucketBatch, MailboxRow, PartitionRows, Placed, StoreError};
use anser_cluster::{AccessService, Arrival, Deliver};
use anser_core::applier::{Derived, Placements};
use anser_core::owner::Committed;
use anser_types::record::Body;
use anser_types::{BucketId, Offset, PartitionId, Position, UserKey};

use crate::backlog::{Backlog, bytes_of};
use crate::metrics::MessageMetrics;
use crate::progress::Progress;
use crate::role::{Backends, Clock, RoleError};
use crate::rollback::RolledBack;
use parked::{Parked, TRY_AGAIN, is_of_bucket};
use writes::{Written, until_written, write_bucket};

/// What the applier is told. In the order of the log.
#[derive(Debug)]
pub(crate) enum ToApply {
    /// Records that count.
    Records(Vec<Committed>),
    /// Answer when everything before is applied.
    Barrier(oneshot::Sender<()>),
    /// Write nothing more of these partitions until they are replayed. Answered when nothing is under way.
    Suspend(Vec<PartitionId>, oneshot::Sender<()>),
    /// Write nothing of these partitions but what is replayed. What is new meanwhile will be replayed as well.
    ReplayAlone(Vec<PartitionId>),
    /// What is new from here on of these partitions follows on what is replayed, and is to be kept until that is written.
    KeepNew(Vec<PartitionId>),
    /// All that was new of these partitions was replayed, or is kept.
    EndReplay(Vec<PartitionId>),
    /// From here on the records of these partitions are those of a take-over.
    Resume(Vec<PartitionId>),
    /// Everything of these partitions below the offsets was read in a take-over.
    TakenOver(Vec<(PartitionId, Offset)>),
}

/// Why not everything is written that comes of a partition.
#[derive(Debug)]
enum Withheld {
    /// Nothing is: what comes is in the log, and will be replayed.
    All,
    /// Only what is replayed is.
    New,
    /// Only what is replayed is. This is new, and comes after it.
    Kept(Vec<Committed>),
}

/// Buckets that are written at once.
const BUCKETS_AT_ONCE: usize = 64;
/// Timelines whose heads are read at once.
const HEADS_AT_ONCE: usize = 64;
/// Users who wait to be told that something was replayed.
const UNTOLD_MAX: usize = 16_384;
/// Messages taken from the channel in one go.
const BATCH_MAX: usize = 64;
/// Records that are applied together. More in one bucket would keep the mailbox busy for so long that nobody else is served, or that
/// the answer comes too late and all is done again.
const TOGETHER_MAX: usize = 1_024;
/// Rows that they come to, by and large: a message to a large group is one in each timeline.
const ROWS_TOGETHER_MAX: usize = 64 * 1_024;
/// Bytes of messages in those rows.
const BYTES_TOGETHER_MAX: usize = 16 * 1_024 * 1_024;

/// What the applier is connected to.
pub(crate) struct Wires {
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) inputs: mpsc::UnboundedReceiver<ToApply>,
    pub(crate) backlog: Backlog,
    pub(crate) archiver: mpsc::Sender<Vec<Committed>>,
    pub(crate) progress: Progress,
    pub(crate) metrics: Arc<MessageMetrics>,
}

pub(crate) struct Applier {
    backends: Backends,
    access: Arc<dyn AccessService>,
    clock: Clock,
    inputs: mpsc::UnboundedReceiver<ToApply>,
    backlog: Backlog,
    archiver: mpsc::Sender<Vec<Committed>>,
    progress: Progress,
    metrics: Arc<MessageMetrics>,
    /// Partitions of which not everything is written before they are replayed.
    withheld: BTreeMap<PartitionId, Withheld>,
    rolled_back: Arc<RolledBack>,
    parked: Parked,
    /// Users of replayed messages that were applied before: whoever applied them may have died before telling their terminals.
    untold: BTreeSet<UserKey>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").field("withheld", &self.withheld).finish_non_exhaustive()
    }
}

/// How many of these records, the first ones, are applied together: at least one.
fn how_many_together(records: &[Committed]) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let fits = |record: &&Committed| {
        let timelines = 1 + record.recipients.len();
        rows += timelines;
        bytes += timelines * record.record.len();
        rows <= ROWS_TOGETHER_MAX && bytes <= BYTES_TOGETHER_MAX
    };
    records.iter().take(TOGETHER_MAX).take_while(fits).count().max(1)
}

impl Applier {
    pub(crate) fn new(wires: Wires, rolled_back: Arc<RolledBack>) -> Self {
        let Wires { backends, access, clock, inputs, backlog, archiver, progress, metrics } = wires;
        Self {
            backends,
            access,
            clock,
            inputs,
            backlog,
            archiver,
            progress,
            metrics,
            withheld: BTreeMap::new(),
            rolled_back,
            parked: Parked::default(),
            untold: BTreeSet::new(),
        }
    }

    /// Runs until the loop has gone and everything is applied.
    pub(crate) async fn run(mut self) -> Result<(), RoleError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut tries = interval(TRY_AGAIN);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                _ = tries.tick(), if !self.parked.is_empty() => {
                    self.try_parked().await;
                    continue;
                }
                taken = self.inputs.recv_many(&mut batch, BATCH_MAX) => {
                    if taken == 0 {
                        return Ok(());
                    }
                }
            }
            let mut records = Vec::new();
            for input in batch.drain(..) {
                self.take(input, &mut records).await?;
            }
            self.apply(records).await?;
            if self.untold.len() >= UNTOLD_MAX {
                self.tell_untold().await?;
            }
        }
    }

    /// Does what it is told, but for the records that come last: those are put together.
    async fn take(&mut self, input: ToApply, records: &mut Vec<Committed>) -> Result<(), RoleError> {
        match input {
            ToApply::Records(more) => records.extend(more),
            ToApply::Barrier(done) => {
                self.apply(std::mem::take(records)).await?;
                // Whoever waited may have gone.
                done.send(()).ok();
                self.backlog.told();
                self.tell_untold().await?;
            }
            ToApply::Suspend(partitions, done) => {
                self.apply(std::mem::take(records)).await?;
                for partition in &partitions {
                    self.suspend(*partition);
                }
                for (bucket, partitions) in self.parked.begin_replay(&partitions) {
                    self.unpark(bucket, partitions);
                }
                done.send(()).ok();
            }
            ToApply::ReplayAlone(partitions) => {
                self.apply(std::mem::take(records)).await?;
                self.withheld.extend(partitions.into_iter().map(|partition| (partition, Withheld::New)));
            }
            ToApply::KeepNew(partitions) => {
                self.apply(std::mem::take(records)).await?;
                for partition in partitions {
                    // Not if it was refused meanwhile: then it is replayed once more.
                    if let Some(withheld @ Withheld::New) = self.withheld.get_mut(&partition) {
                        *withheld = Withheld::Kept(Vec::new());
                    }
                }
            }
            ToApply::EndReplay(partitions) => {
                self.apply(std::mem::take(records)).await?;
                for partition in partitions {
                    records.extend(self.release(partition));
                }
            }
            ToApply::Resume(partitions) => {
                self.apply(std::mem::take(records)).await?;
                self.withheld.retain(|partition, _| !partitions.contains(partition));
            }
            ToApply::TakenOver(ends) => {
                self.apply(std::mem::take(records)).await?;
                // What was refused is replayed once more.
                let is_applied = |(partition, _): &(PartitionId, Offset)| !self.withheld.contains_key(partition);
                ends.into_iter()
                    .filter(is_applied)
                    .for_each(|(partition, end)| self.progress.note_applied(partition, end));
            }
        }
        Ok(())
    }

    async fn apply(&mut self, mut records: Vec<Committed>) -> Result<(), StoreError> {
        while !records.is_empty() {
            let rest = records.split_off(how_many_together(&records));
            self.apply_together(std::mem::replace(&mut records, rest)).await?;
        }
        Ok(())
    }

    async fn apply_together(&mut self, mut records: Vec<Committed>) -> Result<(), StoreError> {
        self.keep_new(&mut records);
        if records.is_empty() {
            return Ok(());
        }
        let mut derived = Derived::default();
        for record in records.iter().filter(|record| self.writes(record)) {
            derived.add(record);
        }
        let mut placements = Placements::default();
        let mut batches = derived.take_mailbox();
        batches.retain(|batch| !self.parked.has(batch));
        // Each bucket is in one batch only, so their order does not matter.
        let write = |batch| write_bucket(&*self.backends.mailbox, &self.metrics, batch);
        let writes: Vec<_> = batches.iter().map(write).collect();
        let all_written: Vec<Written> = stream::iter(writes).buffered(BUCKETS_AT_ONCE).try_collect().await?;
        let replayed = records.iter().filter(|record| record.replayed);
        let replayed: HashSet<_> = replayed.map(|record| (record.partition, record.offset)).collect();
        let mut untold = BTreeSet::new();
        for (batch, written) in batches.iter().zip(&all_written) {
            self.suspend_refused(written);
            if let Some(error) = &written.damaged {
                self.park(batch, error);
            }
            for (part, placed) in batch.parts.iter().zip(&written.placed) {
                placements.note(part, placed);
                self.note_untold(part, placed, &replayed, &mut untold);
            }
        }
        self.have_look(untold).await?;
        let mailbox = Arc::clone(&self.backends.mailbox);
        for (partition, mark) in derived.into_marks() {
            // Of a partition that was rolled back meanwhile, not everything is applied.
            if !self.is_suspended(partition) && !self.parked.holds(partition) {
                until_written("mailbox", &self.metrics, || mailbox.applied(partition, mark)).await?;
            }
            if !self.is_suspended(partition) {
                self.progress.note_applied(partition, mark.next);
            }
        }
        for record in &records {
            let deliver = placements.take(record);
            self.tell(record, deliver);
        }
        self.backlog.applied(&records);
        self.pass_on(records);
        Ok(())
    }

    /// Puts aside what follows on a replay. The archiver need not wait for that.
    fn keep_new(&mut self, records: &mut Vec<Committed>) {
        if self.withheld.is_empty() {
            return;
        }
        let withheld = &self.withheld;
        let is_kept = |record: &mut Committed| {
            !record.replayed && matches!(withheld.get(&record.partition), Some(Withheld::Kept(_)))
        };
        let kept: Vec<Committed> = records.extract_if(.., is_kept).collect();
        if kept.is_empty() {
            return;
        }
        self.backlog.keep(&kept);
        self.pass_on(kept.clone());
        for record in kept {
            if let Some(Withheld::Kept(kept)) = self.withheld.get_mut(&record.partition) {
                kept.push(record);
            }
        }
        if self.backlog.keeps_too_much() {
            self.let_go_of_most();
        }
    }

    /// Of one partition what is kept is let go of, and is replayed once more.
    fn let_go_of_most(&mut self) {
        let bytes = |withheld: &Withheld| if let Withheld::Kept(kept) = withheld { bytes_of(kept) } else { 0 };
        let most = self.withheld.iter().max_by_key(|(_, withheld)| bytes(withheld)).map(|(partition, _)| *partition);
        if let Some(partition) = most {
            tracing::warn!(%partition, "too much comes in while the partition is replayed, which begins anew");
            self.suspend(partition);
            self.rolled_back.note(partition);
        }
    }

    /// Whether a record is to be written.
    fn writes(&self, record: &Committed) -> bool {
        match self.withheld.get(&record.partition) {
            None => true,
            Some(Withheld::New | Withheld::Kept(_)) => record.replayed,
            Some(Withheld::All) => false,
        }
    }

    fn is_suspended(&self, partition: PartitionId) -> bool {
        matches!(self.withheld.get(&partition), Some(Withheld::All))
    }

    /// Writes nothing more of a partition. Returns whether something was written of it until now.
    fn suspend(&mut self, partition: PartitionId) -> bool {
        let before = self.withheld.insert(partition, Withheld::All);
        if let Some(Withheld::Kept(kept)) = &before {
            self.backlog.let_go(kept);
        }
        !matches!(before, Some(Withheld::All))
    }

    /// A partition is replayed: everything is written again, unless something was refused, which has it replayed once more. Returns
    /// what was kept.
    fn release(&mut self, partition: PartitionId) -> Vec<Committed> {
        if self.is_suspended(partition) {
            return Vec::new();
        }
        let Some(Withheld::Kept(mut kept)) = self.withheld.remove(&partition) else {
            return Vec::new();
        };
        self.backlog.wait_again(&kept);
        // What was replayed may lie under the newest claim already.
        let claim = kept.last().map(|newest| newest.claim).unwrap_or_default();
        kept.iter_mut().for_each(|record| record.claim = claim);
        kept
    }

    /// Lets go of what a newer owner applies, or has to be replayed.
    fn suspend_refused(&mut self, written: &Written) {
        for partition in &written.stale {
            // Nor is it noted as applied: that owner may die before it has come to them.
            if self.suspend(*partition) {
                tracing::info!(%partition, "a newer owner applies these records");
            }
        }
        for partition in &written.rolled_back {
            if self.suspend(*partition) {
                self.rolled_back.note(*partition);
            }
        }
    }

    /// A bucket cannot be written, whoever tries: it waits by itself.
    fn park(&mut self, batch: &BucketBatch, error: &StoreError) {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let users: BTreeSet<&str> =
            batch.parts.iter().flat_map(|part| &part.rows).map(|(_, row)| row.user().user.as_str()).collect();
        let bucket = batch.bucket.0;
        tracing::error!(
            bucket, ?users, %error, source,
            "a bucket of the mailbox cannot be written: what comes for its users waits in the log until that is mended"
        );
        self.progress.note_parked(batch.bucket, source);
        self.parked.park(batch.clone());
    }

    /// Has what came for buckets meanwhile replayed, where they can be written again.
    async fn try_parked(&mut self) {
        for (bucket, partitions) in self.parked.try_again(&*self.backends.mailbox).await {
            tracing::info!(
                bucket = bucket.0,
                "the bucket can be written again; what came for it meanwhile is replayed from the log"
            );
            self.unpark(bucket, partitions);
        }
    }

    /// A bucket waits no more. What it lacks of these partitions is replayed.
    fn unpark(&mut self, bucket: BucketId, partitions: BTreeSet<PartitionId>) {
        self.progress.note_not_parked(bucket);
        for partition in partitions {
            if self.suspend(partition) {
                self.rolled_back.note(partition);
            }
        }
    }

    /// The newest position of a user; `None` where it cannot be read.
    async fn head_of(&self, user: &UserKey) -> Result<Option<Position>, StoreError> {
        match until_written("mailbox", &self.metrics, || self.backends.mailbox.head(user)).await {
            Err(error) if is_of_bucket(&error) => Ok(None),
            head => head.map(Some),
        }
    }

    /// Notes whose entries were there already, so that it is not known where they went: a replay meets many such, who may wait until it
    /// ends; a call that was repeated because its answer was lost meets some.
    fn note_untold(
        &mut self,
        part: &PartitionRows,
        placed: &[Option<Placed>],
        replayed: &HashSet<(PartitionId, Offset)>,
        now: &mut BTreeSet<UserKey>,
    ) {
        for ((offset, row), placed) in part.rows.iter().zip(placed) {
            if let (MailboxRow::Entry(entry), None) = (row, placed) {
                let untold = if replayed.contains(&(part.partition, *offset)) { &mut self.untold } else { &mut *now };
                untold.insert(entry.user.clone());
            }
        }
    }

    async fn tell_untold(&mut self) -> Result<(), StoreError> {
        let users = std::mem::take(&mut self.untold);
        self.have_look(users).await
    }

    /// Tells the terminals of users to look, each once.
    async fn have_look(&self, users: BTreeSet<UserKey>) -> Result<(), StoreError> {
        let this = self;
        let heads = stream::iter(users).map(|user| async move {
            let head = this.head_of(&user).await;
            head.map(|head| (user, head))
        });
        let mut heads = heads.buffered(HEADS_AT_ONCE);
        while let Some(told) = heads.next().await {
            let (user, Some(head)) = told? else { continue };
            self.metrics.notices.inc();
            self.access.moved(&user, head, None);
        }
        Ok(())
    }

    /// To the archiver, if it has room.
    fn pass_on(&self, records: Vec<Committed>) {
        let Err(mpsc::error::TrySendError::Full(records)) = self.archiver.try_send(records) else {
            return;
        };
        for record in records {
            self.progress.note_missed(record.partition, record.offset.next());
        }
    }

    fn tell(&self, committed: &Committed, deliver: Vec<Deliver>) {
        match &*committed.body {
            Body::Message(message) if committed.replayed => {
                tracing::debug!(uid = %message.uid, users = deliver.len(), "message replayed");
                for to in deliver {
                    if let Some(position) = to.position {
                        let user = UserKey::new(message.app.clone(), to.user);
                        self.access.moved(&user, position, to.online.as_deref());
                    }
                }
            }
            Body::Message(message) if !deliver.is_empty() => {
                self.metrics.delivers(message, deliver.len(), (self.clock)());
                let message = Arc::new(message.clone());
                self.access.arrive(Arrival { app: message.app.clone(), message, to: deliver });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
