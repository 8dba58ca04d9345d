//! Taking partitions over: what there is is read, then each is claimed, and what lies before the claim is read as well. Every start
//! is a take-over, and so is every partition that comes to this node while it runs.
//!
//! From the claim on nobody else decides in a partition. So all that takes long comes before it: whoever owned it until then
//! goes on meanwhile. Only a node by itself claims first, as nobody decides there anyway.
//!
//! The loop goes on serving meanwhile: whatever waits for a backend is a [`Step`] that comes back to it, and what was read is
//! taken in piece by piece.

mod lost_end;
mod place;
mod places;
mod read;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use anser_backend::{AppendError, BoxFuture, LogEntry, LogReader, ReadError, StoreError};
use anser_core::node::Append;
use anser_core::owner::Loaded;
use anser_runtime::Seldom;
use anser_types::record::Body;
use anser_types::{NodeId, Offset, PartitionId, Subject, Timestamp};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::applier::ToApply;
use crate::archiver::Order;
use crate::event_loop::MessageLoop;
use crate::replay::ReplayStep;
use crate::role::RoleError;
use crate::rollback::Seen;
use crate::troubles::Trouble;
use place::Place;
pub(crate) use place::{ReplayPlace, claim_at, first_needed};
pub(crate) use places::{Attempt, Looking, ends_of};
pub(crate) use read::decode;
use read::{Piece, Reading};

/// Bytes read from the log in one go. What one piece takes to be taken in is what others wait meanwhile.
pub(crate) const READ_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of records that are to be applied and wait for the claims. With more, the claims come at once.
const TO_REPLAY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many partitions of one take-over, and of all together, a backend is asked about at once.
const ASKED_AT_ONCE: usize = 8;
pub(crate) const ALL_ASKED_AT_ONCE: usize = 8;
/// On one of several nodes, how many partitions are taken over together, and how many such take-overs there are at a time. Those of one
/// wait for each other, so there are few; each has a reader of its own, so there are not too few.
pub(crate) const TOGETHER: usize = 16;
pub(crate) const TAKE_OVERS_AT_ONCE: usize = 3;

/// For how many ticks of the loop the present owners are asked to let go. Then they are cut off or dead, or see it otherwise.
const ASKED_TICKS_MAX: u32 = 5;

/// Partitions that cannot be taken over now.
static TRIED_AGAIN: Seldom = Seldom::new();

/// Names a take-over among those of this life of the node.
type Id = u64;
/// What was asked for each of some partitions.
pub(crate) type Answers<T> = Vec<(PartitionId, Result<T, RoleError>)>;
/// A claim on its way into the log.
type Appending = BoxFuture<'static, Result<Offset, AppendError>>;
/// Lets a take-over, or a replay, be one of the few that go on at a time. Its end lets another one begin.
pub(crate) type Permit = Option<OwnedSemaphorePermit>;

/// What comes back of a backend.
pub(crate) enum Step {
    /// These partitions may be taken over now.
    Begin(Vec<PartitionId>, Permit),
    /// From where to read, for each attempt to own a partition.
    Places(Vec<(u64, PartitionId, Result<Place, RoleError>)>, Permit),
    /// The next piece of the log.
    Piece(Id, Piece),
    /// What is known of a conversation of which the log speaks.
    Loaded(Id, PartitionId, Subject, Result<Loaded, StoreError>),
    /// Go on with what was read.
    GoOn(Id),
    /// The newest records of partitions in which nothing was said of late.
    Newest(Id, Answers<Vec<(Offset, Body)>>),
    /// Which claims are in the log.
    Claims(Id, Answers<Offset>),
    /// The applier has done everything that was read.
    Applied(Id),
    /// Whoever waited for this node was told that it serves.
    Ready,
    /// What the log holds of a partition that was lost on its way out, in which attempt to own it.
    Found(PartitionId, u64, Result<Vec<(Offset, bytes::Bytes)>, ReadError>),
    /// What the mailbox says of itself.
    Rollbacks(Result<Seen, StoreError>),
    /// Where partitions end of which nothing is on its way.
    Ends(Answers<Offset>),
    /// A replay of partitions that are served goes on.
    Replay(ReplayStep),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

/// How far a take-over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// It reads what there is.
    #[default]
    Reading,
    /// It asks for what has to be known before it claims.
    LookingBack,
    /// It waits for the present owners to let go.
    Asking,
    /// Its claims are on their way into the log.
    Claiming,
    /// It reads up to its claims.
    Claimed,
    /// The partitions are served, or will be when everything that was read is applied.
    Read,
}

/// Some partitions on their way to this node.
#[derive(Default)]
pub(crate) struct TakeOver {
    reading: BTreeMap<PartitionId, Reading>,
    stage: Stage,
    /// What was read and is being taken in.
    entries: VecDeque<LogEntry>,
    /// What was taken in before the claim and is to be applied under it.
    to_replay: VecDeque<LogEntry>,
    to_replay_bytes: usize,
    /// What was read meanwhile, with the reader that goes on from there.
    ahead: Option<Piece>,
    /// The reader, while nothing is read.
    reader: Option<Box<dyn LogReader>>,
    /// Whether a conversation is being loaded.
    is_loading: bool,
    /// Whether it goes on in another turn.
    is_pausing: bool,
    /// For how many ticks it waits for the present owners.
    asked_ticks: u32,
    /// Held until everything is applied: what is replayed must not pile up before the applier.
    #[expect(dead_code, reason = "its drop is what it is for")]
    permit: Permit,
}

impl std::fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TakeOver").field("stage", &self.stage).field("reading", &self.reading).finish_non_exhaustive()
    }
}

/// Asks about each of some partitions, several at once. The answers are in the order of the questions.
pub(crate) async fn of_each<Q, A: Future>(questions: Vec<Q>, ask: impl FnMut(Q) -> A) -> Vec<A::Output> {
    stream::iter(questions.into_iter().map(ask)).buffered(ASKED_AT_ONCE).collect().await
}

/// As [`of_each`], with no more questions at once than `asks` has permits, whoever asks.
pub(crate) async fn of_each_bounded<Q, A: Future>(
    asks: &Arc<Semaphore>,
    questions: Vec<Q>,
    mut ask: impl FnMut(Q) -> A,
) -> Vec<A::Output> {
    let ask = |question| {
        let (asks, asked) = (Arc::clone(asks), ask(question));
        async move {
            // It is never closed.
            let _permit = asks.acquire().await.ok();
            asked.await
        }
    };
    of_each(questions, ask).await
}

impl MessageLoop {
    /// Begins to take partitions over that are here and not owned. On a node by itself all of them together: the records of all are
    /// replayed in the one order in which they lie in the log, which gives entries the places that they had before a crash.
    pub(crate) fn take_over(&mut self, partitions: Vec<PartitionId>) {
        let together = if self.is_alone() { usize::MAX } else { TOGETHER };
        for partitions in partitions.chunks(together) {
            let (partitions, permits) = (partitions.to_vec(), Arc::clone(&self.take_over_permits));
            // The semaphore is never closed.
            self.steps.push(Box::pin(async move { Step::Begin(partitions, permits.acquire_owned().await.ok()) }));
        }
    }

    /// Does what a backend's answer allows.
    pub(crate) async fn step(&mut self, step: Step) -> Result<(), RoleError> {
        match step {
            Step::Begin(partitions, permit) => self.begin(partitions, permit).await,
            Step::Places(places, permit) => self.begin_reading(places, permit).await,
            Step::Piece(id, piece) => self.read_piece(id, piece).await,
            Step::Loaded(id, partition, subject, loaded) => self.loaded_for(id, partition, &subject, loaded).await,
            Step::GoOn(id) => self.go_on(id).await,
            Step::Newest(id, newest) => self.newest_found(id, newest).await,
            Step::Claims(id, claims) => self.claimed(id, claims).await,
            Step::Applied(id) => {
                self.applied(id);
                Ok(())
            }
            Step::Replay(step) => self.replay_on(step).await,
            Step::Ready => Ok(()),
            Step::Rollbacks(seen) => {
                self.rollbacks(seen);
                Ok(())
            }
            Step::Ends(ends) => {
                self.compare_ends(ends);
                Ok(())
            }
            Step::Found(partition, epoch, found) => {
                self.found(partition, epoch, found);
                Ok(())
            }
        }
    }

    /// Whether the role goes on without a partition of which this is wrong: if it ended, so would that of the next owner.
    pub(crate) fn outlives(&self, error: &RoleError) -> bool {
        !self.is_alone() && error.meets_every_owner()
    }

    /// Whatever went wrong with a partition that may be better soon, or when somebody has mended it, it is tried again.
    fn try_again(&mut self, partition: PartitionId, error: RoleError) -> Result<(), RoleError> {
        let source = std::error::Error::source(&error);
        if error.is_retryable() {
            self.metrics.take_overs_failed.inc();
            // There may be hundreds of them, twice a second.
            if let Some(unsaid) = TRIED_AGAIN.due() {
                tracing::warn!(%partition, %error, ?source, unsaid, "a partition cannot be taken over now, it is tried again");
            }
        } else if !self.outlives(&error) {
            return Err(error);
        } else {
            if self.progress.troubles.note(Trouble::NotTakenOver, partition, &error) {
                tracing::error!(%partition, %error, ?source, "the partition takes nothing in until that is mended");
            }
            // Whoever sent what was on its way would wait for as long, and with it all that they say elsewhere.
            self.node.give_back(partition, (self.clock)(), &mut self.effects);
        }
        self.node.claim_failed(partition);
        self.note_unowned(partition);
        Ok(())
    }

    /// The answers that go on. What failed is tried again; on a node by itself together with all the others.
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

    /// Looks for the places to read from. The applier writes nothing of these partitions until they are replayed.
    async fn begin(&mut self, partitions: Vec<PartitionId>, permit: Permit) -> Result<(), RoleError> {
        // The answer to an older question would have the mailbox take rows over what is replayed now.
        let (later, partitions): (Vec<_>, Vec<_>) = partitions.into_iter().partition(|p| self.placing.contains(p));
        later.into_iter().for_each(|partition| self.note_unowned(partition));
        let now = (self.clock)();
        let attempts: Vec<Attempt> =
            partitions.into_iter().filter_map(|p| Some((p, self.node.prepare(p, now)?))).collect();
        if attempts.is_empty() {
            return Ok(());
        }
        // Behind what was decided under an earlier claim. From here and not from the step: of two attempts, the later one has
        // the last word.
        self.perform().await?;
        let (done, suspended) = oneshot::channel();
        let partitions: Vec<_> = attempts.iter().map(|(partition, _)| *partition).collect();
        self.placing.extend(&partitions);
        self.to_applier.send(ToApply::Suspend(partitions, done))?;
        let looking = self.looking(now);
        self.steps.push(Box::pin(async move {
            // If the applier has gone, the role ends anyway.
            suspended.await.ok();
            Step::Places(looking.places(attempts).await, permit)
        }));
        Ok(())
    }

    /// How places are looked for now.
    pub(crate) fn looking(&self, now: Timestamp) -> Looking {
        let (backends, asks) = (self.backends.clone(), Arc::clone(&self.asks));
        Looking { backends, limits: self.limits, asks, now, is_alone: self.is_alone() }
    }

    async fn begin_reading(
        &mut self,
        places: Vec<(u64, PartitionId, Result<Place, RoleError>)>,
        permit: Permit,
    ) -> Result<(), RoleError> {
        for (_, partition, _) in &places {
            self.placing.remove(partition);
        }
        // Of what was given up meanwhile, another attempt is under way.
        let mut present = places;
        present.retain(|(epoch, partition, _)| self.node.epoch(*partition) == Some(*epoch));
        let found = present.into_iter().map(|(epoch, partition, place)| (partition, place.map(|place| (epoch, place))));
        let log = self.backends.log.id();
        let found = self.sort_out(found.collect())?;
        for (partition, (_, place)) in &found {
            self.progress.note_applied(*partition, place.replay_from);
        }
        let reading: BTreeMap<_, _> =
            found.into_iter().map(|(partition, (epoch, place))| (partition, Reading::new(epoch, place, log))).collect();
        if reading.is_empty() {
            return Ok(());
        }
        let from = reading.iter().map(|(partition, reading)| (*partition, reading.start)).collect();
        let reader = Some(self.backends.log.reader(from));
        self.last_take_over += 1;
        let id = self.last_take_over;
        self.take_overs.insert(id, TakeOver { reading, reader, permit, ..TakeOver::default() });
        if self.is_alone() {
            self.claim_all(id);
            return Ok(());
        }
        self.go_on(id).await
    }

    /// Has whoever owns the partitions let go of them: what they decide behind a claim would be lost. It finds out, but that takes
    /// time, in which nobody is served.
    fn ask_to_let_go(&mut self, id: Id) {
        let present = self.present_owners(id);
        if present.is_empty() {
            return self.claim_all(id);
        }
        if let Some(take_over) = self.take_overs.get_mut(&id) {
            take_over.stage = Stage::Asking;
        }
        for (node, partitions) in present {
            if let Some(peers) = &self.peers {
                peers.ask_to_let_go(node, partitions);
            }
        }
    }

    /// The other nodes that own partitions of a take-over now, as far as is known.
    fn present_owners(&self, id: Id) -> BTreeMap<NodeId, Vec<PartitionId>> {
        let mut present: BTreeMap<NodeId, Vec<PartitionId>> = BTreeMap::new();
        for (partition, reading) in self.take_overs.get(&id).into_iter().flat_map(|take_over| &take_over.reading) {
            let is_present = self.node.epoch(*partition) == Some(reading.epoch);
            if let Some(node) = self.node.owner_elsewhere(*partition).filter(|_| is_present) {
                present.entry(node).or_default().push(*partition);
            }
        }
        present
    }

    /// Claims what the present owners have let go of, and what they have been asked for long enough.
    pub(crate) fn claim_what_is_free(&mut self) {
        let asking = self.take_overs.iter().filter(|(_, take_over)| take_over.stage == Stage::Asking);
        let is_free =
            |id: &Id| self.take_overs[id].asked_ticks >= ASKED_TICKS_MAX || self.present_owners(*id).is_empty();
        let free: Vec<Id> = asking.map(|(id, _)| *id).filter(is_free).collect();
        for id in free {
            self.claim_all(id);
        }
    }

    /// Time passes for those who wait.
    pub(crate) fn note_asked_tick(&mut self) {
        for take_over in self.take_overs.values_mut().filter(|take_over| take_over.stage == Stage::Asking) {
            take_over.asked_ticks += 1;
        }
        self.claim_what_is_free();
    }

    /// Claims the partitions: from now on it has to be quick.
    fn claim_all(&mut self, id: Id) {
        let Some(take_over) = self.take_overs.get_mut(&id) else {
            return;
        };
        take_over.stage = Stage::Claiming;
        let now = (self.clock)();
        let mut pending: Vec<(PartitionId, Appending)> = Vec::new();
        for (&partition, reading) in &take_over.reading {
            if self.node.epoch(partition) == Some(reading.epoch)
                && let Some(append) = self.node.claim(partition, &self.name, reading.end(), now)
            {
                let Append { expected, records, .. } = append;
                pending.push((partition, self.backends.log.append_at(partition, expected, records)));
            }
        }
        self.steps.push(Box::pin(async move {
            let mut claims = Vec::with_capacity(pending.len());
            for (partition, append) in pending {
                claims.push((partition, append.await.map_err(RoleError::from)));
            }
            Step::Claims(id, claims)
        }));
    }

    async fn claimed(&mut self, id: Id, mut claims: Answers<Offset>) -> Result<(), RoleError> {
        let Some(mut take_over) = self.take_overs.remove(&id) else {
            return Ok(());
        };
        // Of what was given up meanwhile, another attempt is under way.
        claims.retain(|(partition, _)| {
            let reading = take_over.reading.get(partition);
            reading.is_some_and(|reading| self.node.epoch(*partition) == Some(reading.epoch))
        });
        let claimed: BTreeMap<PartitionId, Offset> = self.sort_out(claims)?.into_iter().collect();
        take_over.reading.retain(|partition, reading| {
            reading.claim = claimed.get(partition).copied();
            reading.claim.is_some()
        });
        if take_over.reading.is_empty() {
            return Ok(());
        }
        for (&partition, &claim) in &claimed {
            self.node.claimed(partition, claim);
            // It reads what it needs by itself, from its own place.
            self.for_archiver.push(Order::Take(partition, claim));
        }
        take_over.stage = Stage::Claimed;
        self.take_overs.insert(id, take_over);
        // Before what is replayed.
        self.perform().await?;
        let partitions = claimed.into_keys().collect();
        self.to_applier.send(ToApply::Resume(partitions))?;
        self.go_on(id).await
    }

    /// Everything up to the claims is read. On one of several nodes the partitions are served at once: what is decided now is applied
    /// behind what was read. On a node by itself first everything is applied: whoever pulls after a start finds all that was acked.
    async fn all_read(&mut self, id: Id) -> Result<(), RoleError> {
        if let Some(take_over) = self.take_overs.get_mut(&id) {
            take_over.stage = Stage::Read;
        }
        if !self.is_alone() {
            self.serve_all(id);
        }
        self.perform().await?;
        let ends = self.own_of(id).into_iter().map(|(partition, claim)| (partition, claim.next()));
        self.to_applier.send(ToApply::TakenOver(ends.collect()))?;
        let (done, applied) = oneshot::channel();
        self.to_applier.send(ToApply::Barrier(done))?;
        self.steps.push(Box::pin(async move {
            // If the applier has gone, the role ends anyway.
            applied.await.ok();
            Step::Applied(id)
        }));
        Ok(())
    }

    /// The partitions of a take-over that are still this node's, with their claims.
    fn own_of(&self, id: Id) -> Vec<(PartitionId, Offset)> {
        let reading = self.take_overs.get(&id).into_iter().flat_map(|take_over| &take_over.reading);
        let is_own =
            |(partition, reading): &(&PartitionId, &Reading)| self.node.epoch(**partition) == Some(reading.epoch);
        reading.filter(is_own).filter_map(|(partition, reading)| Some((*partition, reading.claim?))).collect()
    }

    fn serve_all(&mut self, id: Id) {
        let now = (self.clock)();
        let own = self.own_of(id);
        if !self.is_alone() {
            tracing::info!(partitions = own.len(), "partitions are taken over");
        }
        for (partition, claim) in own {
            self.node.serve(partition, now, &mut self.effects);
            if self.node.epoch(partition).is_some() && !self.node.is_leaving(partition) {
                self.metrics.take_overs.inc();
                self.progress.note_served(partition, claim.next());
            }
        }
    }

    fn applied(&mut self, id: Id) {
        if self.is_alone() {
            self.serve_all(id);
        }
        self.take_overs.remove(&id);
    }
}
