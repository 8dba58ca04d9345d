//! The archiver's task: it asks the stores and the log what the machine wants to know, and never stops for one of them.

mod anew;
mod rebuild;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Head, LogEntry, LogReader, ReadError, StoreError};
use anser_cluster::AccessService;
use anser_core::archiver::{Archiver, Effect, Event, Seat, Writes};
use anser_core::owner::Committed;
use anser_types::{ConnectionId, Mark, Offset, PartitionId, Subject};
use futures_util::future::FutureExt;
use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::MessageMetrics;
use crate::progress::Progress;
use crate::role::{Backends, Clock, RoleError};
use crate::rollback::RolledBack;
use crate::takeover::first_needed;
use crate::troubles::Trouble;
use rebuild::{Turn, Turns};

/// How often time passes for the machine.
const TICK: Duration = Duration::from_millis(100);
/// Bytes read from the log in one go.
const READ_BYTES: usize = 2 * 1024 * 1024;
/// Heads of conversations that are loaded at once.
const HEADS_AT_ONCE: usize = 16;
/// Batches taken from the channel in one go.
const BATCH_MAX: usize = 64;

/// Which partitions are here.
#[derive(Debug)]
pub(crate) enum Order {
    /// Archive it: this node has it by the claim at the offset.
    Take(PartitionId, Offset),
    /// Somebody else does.
    Release(PartitionId),
}

/// What comes back of a store or the log.
enum Done {
    Event(Event),
    /// A reader, and what it has read.
    Read(u64, Box<dyn LogReader>, Result<Vec<LogEntry>, ReadError>),
    Failed(Seat, RoleError),
    Turn(Turn),
}

type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What the task is connected to.
pub(crate) struct Wires {
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) accepted: mpsc::Receiver<Vec<Committed>>,
    pub(crate) progress: Progress,
    pub(crate) rolled_back: Arc<RolledBack>,
    pub(crate) metrics: Arc<MessageMetrics>,
    /// Whether there are no other message nodes.
    pub(crate) is_alone: bool,
}

/// See the module.
pub(crate) struct ArchiverTask {
    machine: Archiver,
    wires: Wires,
    doing: FuturesUnordered<Doing>,
    /// The reader, while it does not read.
    reader: Option<Box<dyn LogReader>>,
    effects: Vec<Effect>,
    /// What was done at once.
    ready: VecDeque<Done>,
    /// How often stores have failed since one did what it was asked.
    failures: u32,
    turns: Turns,
}

impl std::fmt::Debug for ArchiverTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiverTask").finish_non_exhaustive()
    }
}

impl ArchiverTask {
    pub(crate) fn new(machine: Archiver, wires: Wires) -> Self {
        let (doing, effects, ready) = (FuturesUnordered::new(), Vec::new(), VecDeque::new());
        Self { machine, wires, doing, reader: None, effects, ready, failures: 0, turns: Turns::default() }
    }

    /// Runs until the applier has gone and what is in memory is written. What a store does not take then is read from the log
    /// at the next start.
    pub(crate) async fn run(mut self) -> Result<(), RoleError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batches = Vec::with_capacity(BATCH_MAX);
        let mut is_fed = true;
        while is_fed || !self.machine.is_idle() {
            // What is done first: it frees what waits. All branches are cancel-safe.
            tokio::select! {
                biased;
                Some(done) = self.doing.next(), if !self.doing.is_empty() => {
                    if matches!(done, Done::Failed(..)) && !is_fed {
                        return Ok(());
                    }
                    self.take(done)?;
                    self.turn_on()?;
                }
                Some(order) = self.wires.orders.recv() => self.obey(order)?,
                () = self.wires.progress.hurried() => {
                    let awaited: Vec<_> = self.wires.progress.awaited().collect();
                    for (partition, next) in awaited {
                        self.handle(Event::Hurry(partition, next))?;
                    }
                }
                taken = self.wires.accepted.recv_many(&mut batches, BATCH_MAX), if is_fed => {
                    is_fed = taken > 0;
                    if !is_fed {
                        self.release_all()?;
                    }
                    self.handle(Event::Accepted(batches.drain(..).flatten().collect()))?;
                    self.note_missed()?;
                }
                _ = ticks.tick() => {
                    self.note_missed()?;
                    self.handle(Event::Tick)?;
                    self.look_for_rebuilds();
                    self.turn_on()?;
                }
            }
        }
        Ok(())
    }

    /// Nothing more comes: what waits is written at once.
    fn release_all(&mut self) -> Result<(), RoleError> {
        self.turns = Turns::default();
        let partitions: Vec<PartitionId> = self.machine.partitions().collect();
        partitions.into_iter().try_for_each(|partition| self.handle(Event::Release(partition)))
    }

    fn obey(&mut self, order: Order) -> Result<(), RoleError> {
        match order {
            Order::Take(partition, claim) => {
                self.wires.progress.note_stopped(partition, false);
                self.come(partition, claim)
            }
            Order::Release(partition) => self.go(partition),
        }
    }

    fn note_missed(&mut self) -> Result<(), RoleError> {
        let missed: Vec<(PartitionId, Offset)> = self.wires.progress.take_missed().collect();
        for (partition, end) in missed {
            self.handle(Event::Missed(partition, end))?;
        }
        Ok(())
    }

    /// Hands an event to the machine, and does what it says.
    fn handle(&mut self, event: Event) -> Result<(), RoleError> {
        self.machine.handle(event, (self.wires.clock)(), &mut self.effects)?;
        loop {
            for effect in std::mem::take(&mut self.effects) {
                self.perform(effect);
            }
            let Some(done) = self.ready.pop_front() else {
                return Ok(());
            };
            if let Some(event) = self.event_of(done)? {
                self.machine.handle(event, (self.wires.clock)(), &mut self.effects)?;
            }
        }
    }

    fn take(&mut self, done: Done) -> Result<(), RoleError> {
        match self.event_of(done)? {
            Some(event) => self.handle(event),
            None => Ok(()),
        }
    }

    /// What the machine is told, if anything. An error is for good.
    fn event_of(&mut self, done: Done) -> Result<Option<Event>, RoleError> {
        match done {
            Done::Event(event) => {
                if let Event::Written(seat) = event {
                    self.note_written(seat);
                }
                Ok(Some(event))
            }
            Done::Read(number, reader, Ok(entries)) => {
                self.reader = Some(reader);
                Ok(Some(Event::Read(number, entries)))
            }
            Done::Read(number, _, Err(error)) => {
                let event = match &error {
                    ReadError::Unavailable(_) => Event::NotRead(number),
                    ReadError::Trimmed { partition, .. } => Event::Gone(number, *partition),
                    _ => return Err(error.into()),
                };
                let source = std::error::Error::source(&error);
                tracing::warn!(%error, ?source, "the archiver cannot read the log now, it is tried again");
                Ok(Some(event))
            }
            Done::Failed(seat, error) => {
                if !error.is_retryable() && !self.outlives(&error) {
                    return Err(error);
                }
                self.note_failure(seat.partition, &error);
                Ok(Some(Event::Failed(seat)))
            }
            Done::Turn(turn) => self.turn(turn).map(|()| None),
        }
    }

    /// Whether the role goes on without archiving a partition of which this is wrong: if it ended, so would that of the next owner.
    fn outlives(&self, error: &RoleError) -> bool {
        !self.wires.is_alone && error.meets_every_owner()
    }

    fn note_written(&mut self, seat: Seat) {
        self.wires.progress.troubles.end(Trouble::NotArchived, seat.partition);
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "history and directory can be written again");
            self.failures = 0;
        }
    }

    fn note_failure(&mut self, partition: PartitionId, error: &RoleError) {
        self.wires.metrics.tries_again("history");
        let source = std::error::Error::source(error);
        if error.meets_every_owner() {
            // What is on its way out is for its next owner to say.
            let is_here = self.wires.progress.term(partition).is_some();
            if is_here && self.wires.progress.troubles.note(Trouble::NotArchived, partition, error) {
                tracing::error!(%partition, %error, ?source, "the partition is not archived until that is mended");
            }
            return;
        }
        if self.failures == 0 || self.failures.is_power_of_two() {
            let failures = self.failures;
            tracing::warn!(%partition, failures, %error, ?source, "history or directory is away; it is caught up on from the log");
        }
        self.failures = self.failures.saturating_add(1);
    }

    fn perform(&mut self, effect: Effect) {
        let progress = &self.wires.progress;
        match effect {
            Effect::Archived(partition, next) => progress.note_archived(partition, next),
            Effect::SettingsChanged(user, time) => {
                self.wires.access.settings_changed(&user, time, ConnectionId::NONE, None);
            }
            Effect::Stop(partition, lag_ms) => {
                tracing::error!(
                    %partition, lag_ms,
                    "history is so far behind that the log would soon lose what it does not have: the partition takes nothing in"
                );
                progress.note_stopped(partition, true);
            }
            Effect::Resume(partition) => {
                tracing::info!(%partition, "history has caught up, the partition takes messages in again");
                progress.note_stopped(partition, false);
            }
            other => {
                // What has everything in memory answers at once. Reading goes on only when others had their turn.
                let is_read = matches!(other, Effect::Read(..));
                let Some(mut doing) = self.begin(other) else { return };
                match Some(&mut doing).filter(|_| !is_read).and_then(FutureExt::now_or_never) {
                    Some(done) => self.ready.push_back(done),
                    None => self.doing.push(doing),
                }
            }
        }
    }

    fn begin(&mut self, effect: Effect) -> Option<Doing> {
        let (backends, progress) = (self.wires.backends.clone(), self.wires.progress.clone());
        Some(match effect {
            Effect::Place(seat) => Box::pin(async move {
                match placed(&backends, seat.partition).await {
                    Ok((mark, from)) => {
                        // From here on the lag counts, and not from the beginning of the log.
                        progress.note_archived(seat.partition, mark.next);
                        Done::Event(Event::Placed(seat, mark, from))
                    }
                    Err(error) => Done::Failed(seat, error),
                }
            }),
            Effect::Read(number, from) => {
                let kept = self.reader.take();
                let opened = if from.is_empty() { kept } else { Some(backends.log.reader(from)) };
                return opened.map(|mut reader| -> Doing {
                    Box::pin(async move {
                        let entries = reader.next(READ_BYTES).await;
                        Done::Read(number, reader, entries)
                    })
                });
            }
            Effect::Load(seat, subjects) => {
                Box::pin(
                    async move { done(seat, load(&backends, subjects).await.map(|heads| Event::Loaded(seat, heads))) },
                )
            }
            Effect::Write(seat, writes) => Box::pin(async move {
                done(seat, write(&backends, seat.partition, writes).await.map(|()| Event::Written(seat)))
            }),
            Effect::Pause(seat, millis) => pause(millis, Event::GoOn(seat)),
            Effect::PauseReading(millis) => pause(millis, Event::ReadOn),
            Effect::Archived(..) | Effect::SettingsChanged(..) | Effect::Stop(..) | Effect::Resume(_) => return None,
        })
    }
}

fn done(seat: Seat, result: Result<Event, StoreError>) -> Done {
    match result {
        Ok(event) => Done::Event(event),
        Err(error) => Done::Failed(seat, error.into()),
    }
}

fn pause(millis: u64, then: Event) -> Doing {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Done::Event(then)
    })
}

/// Where the tables stand, and from where to read for that.
async fn placed(backends: &Backends, partition: PartitionId) -> Result<(Mark, Offset), RoleError> {
    let mark = place(backends, partition).await?;
    match first_needed(backends, partition, mark).await? {
        Some(from) => Ok((mark, from)),
        None => {
            let start = backends.log.bounds(partition).await?.start;
            Err(RoleError::Lost { partition, start, applied: mark.next })
        }
    }
}

/// Below this both tables have everything.
pub(crate) async fn place(backends: &Backends, partition: PartitionId) -> Result<Mark, StoreError> {
    let history = backends.history.replay_from(partition).await?;
    let directory = backends.directory.replay_from(partition).await?;
    Ok(history.min(directory))
}

async fn load(backends: &Backends, subjects: Vec<Subject>) -> Result<Vec<(Subject, Head)>, StoreError> {
    let heads = stream::iter(subjects).map(async |subject| {
        let head = backends.history.head(&subject).await?;
        Ok((subject, head))
    });
    heads.buffered(HEADS_AT_ONCE).try_collect().await
}

/// The rows first, then the marks; what is repeated changes nothing.
async fn write(backends: &Backends, partition: PartitionId, writes: Writes) -> Result<(), StoreError> {
    let Writes { history, directory, mark } = writes;
    backends.history.write(partition, mark, history).await?;
    backends.directory.apply(partition, mark, directory).await
}
