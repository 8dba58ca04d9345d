//! Taking partitions over: a claim in each, then everything up to the claims is read. Every start is a take-over, and so is
//! every partition that comes to this node while it runs.
//!
//! The loop goes on serving meanwhile: whatever waits for a backend is a [`Step`] that comes back to it, and what was read is
//! taken in piece by piece.

mod place;
mod read;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use anser_backend::{AppendError, BoxFuture, LogEntry, LogReader, MessageLog, ReadError, StoreError};
use anser_core::node::Append;
use anser_core::owner::{Fence, Loaded};
use anser_types::record::Body;
use anser_types::{Offset, PartitionId, Subject};
use futures_util::stream::{self, StreamExt as _};

use crate::applier::ToApply;
use crate::archiver::Order;
use crate::event_loop::MessageLoop;
use crate::role::RoleError;
use crate::rollback::Seen;
use place::Place;
pub(crate) use place::claim_at;

/// Bytes read from the log in one go. What one piece takes to be taken in is what others wait meanwhile.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// How many partitions a backend is asked about at once. A node takes over many partitions together, and none of them is
/// served before all have been asked about.
const ASKED_AT_ONCE: usize = 8;

/// Names a take-over among those of this life of the node.
type Id = u64;
/// What was asked for each of some partitions.
pub(crate) type Answers<T> = Vec<(PartitionId, Result<T, RoleError>)>;
/// A claim on its way into the log.
type Appending = BoxFuture<'static, Result<Offset, AppendError>>;
/// A reader, and what it has read.
type Piece = (Box<dyn LogReader>, Result<Vec<LogEntry>, ReadError>);

/// What comes back of a backend.
pub(crate) enum Step {
    /// Where the partitions end.
    Bounds(Answers<Offset>),
    /// Which claims are in the log, and the attempts to own to which they belong.
    Claims(Answers<(u64, Offset)>),
    /// From where to read.
    Places(Answers<Place>),
    /// The next piece of the log.
    Piece(Id, Piece),
    /// What is known of a conversation of which the log speaks.
    Loaded(Id, PartitionId, Subject, Result<Loaded, StoreError>),
    /// Go on with what was read.
    GoOn(Id),
    /// The newest records of partitions in which nothing was said of late.
    Newest(Id, Answers<Vec<(Offset, Body)>>),
    /// The applier has done everything that was read.
    Applied(Id),
    /// Whoever waited for this node was told that it serves.
    Ready,
    /// What the log holds of a partition that was lost on its way out.
    Found(PartitionId, Result<Vec<(Offset, bytes::Bytes)>, ReadError>),
    /// What the mailbox says of itself.
    Rollbacks(Result<Seen, StoreError>),
    /// Where partitions end of which nothing is on its way.
    Ends(Answers<Offset>),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

/// Where a partition stands while it is read.
#[derive(Debug)]
struct Reading {
    /// The attempt to own it to which this belongs.
    epoch: u64,
    fence: Fence,
    /// From here on the mailbox may not have applied the records.
    replay_from: Offset,
    /// From here on the directory may lack changes of rosters.
    changes_from: Offset,
    /// The claim; reading ends behind it.
    claim: Offset,
    /// Behind the newest entry that was looked at, and whether that one counts.
    seen: Offset,
    counts: bool,
    /// Where reading began, and whether there was nothing with a sent time.
    start: Offset,
    is_quiet: bool,
    done: bool,
}

/// Some partitions on their way to this node.
#[derive(Default)]
pub(crate) struct TakeOver {
    reading: BTreeMap<PartitionId, Reading>,
    /// What was read and is being taken in.
    entries: VecDeque<LogEntry>,
    /// What was read meanwhile, with the reader that goes on from there.
    ahead: Option<(Box<dyn LogReader>, Vec<LogEntry>)>,
    /// Whether a conversation is being loaded.
    is_loading: bool,
}

impl std::fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TakeOver").field("reading", &self.reading).finish_non_exhaustive()
    }
}

/// Asks about each of some partitions, several at once. The answers are in the order of the questions.
async fn of_each<Q, A: Future>(questions: Vec<Q>, ask: impl FnMut(Q) -> A) -> Vec<A::Output> {
    stream::iter(questions.into_iter().map(ask)).buffered(ASKED_AT_ONCE).collect().await
}

/// Where partitions end.
pub(crate) async fn ends_of(log: &Arc<dyn MessageLog>, partitions: Vec<PartitionId>) -> Answers<Offset> {
    let ask = |partition| {
        let log = Arc::clone(log);
        async move { (partition, log.bounds(partition).await.map(|bounds| bounds.end).map_err(RoleError::from)) }
    };
    of_each(partitions, ask).await
}

impl MessageLoop {
    /// Begins to take partitions over that this node has adopted.
    pub(crate) fn take_over(&mut self, partitions: Vec<PartitionId>) {
        if partitions.is_empty() {
            return;
        }
        let log = self.backends.log.clone();
        self.steps.push(Box::pin(async move { Step::Bounds(ends_of(&log, partitions).await) }));
    }

    /// Does what a backend's answer allows.
    pub(crate) async fn step(&mut self, step: Step) -> Result<(), RoleError> {
        match step {
            Step::Bounds(bounds) => self.claim_all(bounds),
            Step::Claims(claims) => self.claimed(claims),
            Step::Places(places) => self.begin_reading(places).await,
            Step::Piece(id, (reader, entries)) => self.read_piece(id, reader, entries).await,
            Step::Loaded(id, partition, subject, loaded) => self.loaded_for(id, partition, &subject, loaded).await,
            Step::GoOn(id) => self.go_on(id).await,
            Step::Newest(id, newest) => self.newest_found(id, newest).await,
            Step::Applied(id) => {
                self.serve_all(id);
                Ok(())
            }
            Step::Ready => Ok(()),
            Step::Rollbacks(seen) => {
                self.rollbacks(seen);
                Ok(())
            }
            Step::Ends(ends) => {
                self.compare_ends(ends);
                Ok(())
            }
            Step::Found(partition, found) => {
                self.found(partition, found);
                Ok(())
            }
        }
    }

    /// Whatever went wrong with a partition that may be better soon, it is tried again.
    fn try_again(&mut self, partition: PartitionId, error: RoleError) -> Result<(), RoleError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let source = std::error::Error::source(&error);
        tracing::warn!(%partition, %error, ?source, "the partition cannot be taken over now, it is tried again");
        self.node.claim_failed(partition);
        self.note_unowned(partition);
        Ok(())
    }

    /// The answers that go on. What failed is tried again; on a node by itself together with all the others, because there the
    /// records of all partitions are replayed in the one order in which they lie in the log: it gives entries the places that
    /// they had before a crash.
    fn sort_out<T>(&mut self, answers: Answers<T>) -> Result<Vec<(PartitionId, T)>, RoleError> {
        let mut good = Vec::with_capacity(answers.len());
        let mut has_failed = false;
        for (partition, answer) in answers {
            match answer {
                Ok(answer) => good.push((partition, answer)),
                Err(error) => {
                    has_failed = true;
                    self.try_again(partition, error)?;
                }
            }
        }
        if has_failed && self.is_alone() {
            for (partition, _) in good.drain(..) {
                self.node.claim_failed(partition);
                self.note_unowned(partition);
            }
        }
        Ok(good)
    }

    fn claim_all(&mut self, bounds: Answers<Offset>) -> Result<(), RoleError> {
        let mut pending: Vec<(PartitionId, u64, Appending)> = Vec::new();
        for (partition, end) in self.sort_out(bounds)? {
            let now = (self.clock)();
            let Some(Append { epoch, expected, records, .. }) = self.node.claim(partition, &self.name, end, now) else {
                continue;
            };
            pending.push((partition, epoch, self.backends.log.append_at(partition, expected, records)));
        }
        self.steps.push(Box::pin(async move {
            let mut claims = Vec::with_capacity(pending.len());
            for (partition, epoch, append) in pending {
                let claim = append.await.map(|offset| (epoch, offset));
                claims.push((partition, claim.map_err(RoleError::from)));
            }
            Step::Claims(claims)
        }));
        Ok(())
    }

    fn claimed(&mut self, claims: Answers<(u64, Offset)>) -> Result<(), RoleError> {
        let mut claimed = self.sort_out(claims)?;
        // Of what was given up meanwhile, another attempt is under way.
        claimed.retain(|(partition, (epoch, _))| self.node.epoch(*partition) == Some(*epoch));
        for &(partition, (_, offset)) in &claimed {
            self.node.claimed(partition, offset);
            // It reads what it needs by itself, from its own place.
            self.for_archiver.push(Order::Take(partition, offset));
        }
        let (backends, limits, clock) = (self.backends.clone(), self.limits, self.clock.clone());
        let applies = self.applies.clone();
        self.steps.push(Box::pin(async move {
            let (done, suspended) = tokio::sync::oneshot::channel();
            let partitions = claimed.iter().map(|(partition, _)| *partition).collect();
            // If the applier has gone, the role ends anyway.
            if applies.send(ToApply::Suspend(partitions, done)).await.is_ok() {
                suspended.await.ok();
            }
            let ask = |(partition, attempt)| {
                let (backends, now) = (backends.clone(), clock());
                async move { (partition, place::find(&backends, &limits, now, partition, attempt).await) }
            };
            Step::Places(of_each(claimed, ask).await)
        }));
        Ok(())
    }

    async fn begin_reading(&mut self, places: Answers<Place>) -> Result<(), RoleError> {
        let mut take_over = TakeOver::default();
        let mut from = Vec::with_capacity(places.len());
        for (partition, place) in self.sort_out(places)? {
            let Place { epoch, claim, start, replay_from, changes_from } = place;
            if self.node.epoch(partition) != Some(epoch) {
                continue;
            }
            let fence = Fence::new(self.backends.log.id());
            take_over.reading.insert(
                partition,
                Reading {
                    epoch,
                    fence,
                    replay_from,
                    changes_from,
                    claim,
                    seen: Offset::START,
                    counts: false,
                    start,
                    is_quiet: true,
                    done: false,
                },
            );
            from.push((partition, start));
        }
        if from.is_empty() {
            return Ok(());
        }
        // Behind what was decided under an earlier claim, and before what is replayed.
        self.perform().await?;
        let partitions = from.iter().map(|(partition, _)| *partition).collect();
        self.applies.send(ToApply::Resume(partitions)).await.map_err(|_| RoleError::Ended)?;
        self.last_take_over += 1;
        self.take_overs.insert(self.last_take_over, take_over);
        let reader = self.backends.log.reader(from);
        self.read_on(self.last_take_over, reader);
        Ok(())
    }

    /// The applier is told to say when it has done everything that was read.
    async fn wait_until_applied(&mut self, id: Id) -> Result<(), RoleError> {
        self.perform().await?;
        let (done, applied) = tokio::sync::oneshot::channel();
        self.applies.send(ToApply::Barrier(done)).await.map_err(|_| RoleError::Ended)?;
        self.steps.push(Box::pin(async move {
            // If the applier has gone, the role ends anyway.
            applied.await.ok();
            Step::Applied(id)
        }));
        Ok(())
    }

    fn serve_all(&mut self, id: Id) {
        let Some(take_over) = self.take_overs.remove(&id) else {
            return;
        };
        let now = (self.clock)();
        if !self.is_alone() {
            tracing::info!(partitions = take_over.reading.len(), "partitions are taken over");
        }
        for (partition, reading) in take_over.reading {
            if self.node.epoch(partition) == Some(reading.epoch) {
                self.node.serve(partition, now, &mut self.effects);
                if self.node.epoch(partition).is_some() && !self.node.is_leaving(partition) {
                    self.metrics.take_overs.inc();
                    // The applier has done everything that was read.
                    self.progress.note_applied(partition, reading.claim.next());
                    self.progress.note_served(partition, reading.claim.next());
                }
            }
        }
    }
}
