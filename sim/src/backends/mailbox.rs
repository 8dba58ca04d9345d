//! The fake mailbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_backend::memory::{MemoryMailbox, SavedMailbox};
use anser_backend::{
    BoxFuture, BucketBatch, ListQuery, ListRow, Mailbox, MailboxRow, Page, PartitionRows, Placed, RangeQuery,
    ReplayFrom, StoreError,
};
use anser_testkit::trace::Event;
use anser_types::{BucketId, Claim, DeviceId, Mark, Offset, PartitionId, Position, Timestamp, UserKey};
use parking_lot::Mutex;

use super::table::{Place, Redo, Table, now, unavailable};
use super::{Sky, sleep};
use crate::switch::Switch;

/// How far above the clock positions are lifted after something was forgotten.
const AHEAD_MS: u64 = 2_000;

type Answer = Vec<Vec<Option<Placed>>>;

#[derive(Debug, Clone)]
pub(super) enum Write {
    Apply(BucketBatch),
    Applied(PartitionId, Mark),
    Lift(UserKey, Position),
}

impl Redo for MemoryMailbox {
    type Write = Write;

    fn fresh() -> Self {
        Self::new()
    }

    fn redo(&self, write: &Write) {
        match write {
            Write::Apply(batch) => drop(now(self.apply(batch.clone()))),
            Write::Applied(partition, mark) => drop(now(self.applied(*partition, *mark))),
            Write::Lift(user, floor) => drop(now(self.lift(user, *floor))),
        }
    }

    fn noted(write: &Write) -> Option<(PartitionId, Mark)> {
        match write {
            Write::Applied(partition, mark) => Some((*partition, *mark)),
            Write::Apply(_) | Write::Lift(..) => None,
        }
    }
}

#[derive(Debug)]
struct State {
    table: Table<MemoryMailbox>,
    /// The newest position that each user's timeline ever had.
    heads: BTreeMap<UserKey, Position>,
    /// What was noted as applied, forgotten or not.
    noted: BTreeMap<PartitionId, Mark>,
    /// Up to where the marks of each bucket go that are written before their rows.
    marks: BTreeMap<(BucketId, PartitionId), Offset>,
    /// As it was when it was flushed last, to come back to.
    saved: SavedMailbox,
    /// How many processes have used it, and how often it came back without its newest writes.
    handles: u64,
    rollbacks: u64,
    /// Counts the writes that are made to pass every mark.
    unmarked: u64,
    /// The bucket that cannot be written, and until when.
    damaged: Option<(BucketId, u64)>,
}

/// See [`super`]. As one process has it.
#[derive(Debug)]
pub(crate) struct NastyMailbox {
    state: Arc<Mutex<State>>,
    sky: Sky,
    handle: u64,
    /// Whether it is one of several nodes that has it.
    is_among: bool,
    /// How often it had come back when this process began, and when it began to replay each partition.
    born: u64,
    replayed: Mutex<BTreeMap<PartitionId, u64>>,
}

impl NastyMailbox {
    pub(super) fn new(sky: Sky) -> Self {
        let table: Table<MemoryMailbox> = Table::new();
        let state = State {
            saved: table.live.save(),
            handles: 0,
            rollbacks: 0,
            table,
            heads: BTreeMap::new(),
            noted: BTreeMap::new(),
            marks: BTreeMap::new(),
            unmarked: 0,
            damaged: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            sky,
            handle: 0,
            is_among: false,
            born: 0,
            replayed: Mutex::default(),
        }
    }

    /// The same as a process has it that starts now; by itself, or as one of several nodes.
    pub(super) fn started(&self, is_among: bool) -> Self {
        let mut state = self.state.lock();
        state.handles += 1;
        Self {
            state: Arc::clone(&self.state),
            sky: self.sky.clone(),
            handle: state.handles,
            is_among,
            born: state.rollbacks,
            replayed: Mutex::default(),
        }
    }

    /// Whether it came back since this process began to replay a partition: what it says of it is about what is gone.
    fn is_stale(&self, partition: PartitionId) -> bool {
        let replayed = self.replayed.lock().get(&partition).copied().unwrap_or(self.born);
        replayed < self.state.lock().rollbacks
    }

    pub(super) fn flush(&self) {
        let mut state = self.state.lock();
        state.table.flush();
        state.saved = state.table.live.save();
        self.sky.recorder.record(Event::StoreSaved);
    }

    /// Comes back without its newest writes. Whoever had written them is told so.
    pub(super) fn roll_back(&self) {
        let mut state = self.state.lock();
        state.table.live.roll_back(&state.saved);
        state.table.roll_back();
        state.rollbacks += 1;
        self.sky.recorder.record(Event::StoreForgot);
    }

    /// Forgets the newest writes. Everybody whose timeline it concerns gets their positions lifted above all that was ever
    /// shown of it.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.table.forget();
        self.sky.recorder.record(Event::StoreForgot);
        if self.sky.broken(Switch::RollbackFloorMissing) {
            return;
        }
        let State { table, heads, .. } = &mut *state;
        let ahead = Position(self.sky.clock.now().plus(AHEAD_MS).0);
        for (user, head) in heads.iter_mut() {
            *head = ahead.max(*head);
            let lift = Write::Lift(user.clone(), *head);
            table.live.redo(&lift);
            table.done(lift);
        }
        table.flush();
    }

    fn write(&self, batch: &BucketBatch) -> Result<Answer, StoreError> {
        let mut state = self.state.lock();
        let live = state.table.live.handle(self.handle);
        let answer = now(live.apply(batch.clone()));
        let answer = match answer {
            Err(StoreError::RolledBack) if self.sky.broken(Switch::RollbackUnseen) => {
                for part in &batch.parts {
                    drop(now(live.begin_replay(part.partition)));
                }
                now(live.apply(batch.clone()))
            }
            Err(StoreError::StaleClaim) if self.sky.broken(Switch::RefusedNoted) => {
                return Ok(batch.parts.iter().map(|part| vec![None; part.rows.len()]).collect());
            }
            answer => answer,
        }?;
        state.table.done(Write::Apply(batch.clone()));
        for (part, placed) in batch.parts.iter().zip(&answer) {
            for ((_, row), placed) in part.rows.iter().zip(placed) {
                if let (MailboxRow::Entry(entry), Some(placed)) = (row, placed) {
                    let (user, uid) = (entry.user.user.as_str().into(), entry.uid);
                    self.sky.recorder.record(Event::Placed { user, uid, position: placed.position.0 });
                    state.heads.insert(entry.user.clone(), placed.position);
                }
            }
        }
        Ok(answer)
    }

    /// The batch as no mark will ever stop it.
    fn unmarked(&self, batch: &BucketBatch) -> BucketBatch {
        let mut state = self.state.lock();
        let parts = batch.parts.iter().map(|part| {
            let rows = part.rows.iter().map(|(_, row)| {
                state.unmarked += 1;
                (Offset(state.unmarked), row.clone())
            });
            let rows = rows.collect();
            PartitionRows {
                partition: PartitionId(u8::MAX),
                claim: Claim::default(),
                next: Offset(state.unmarked + 1),
                rows,
            }
        });
        let parts = parts.collect();
        BucketBatch { bucket: batch.bucket, parts }
    }

    /// Writes the marks of a batch, and returns what of it is new.
    fn mark(&self, batch: &BucketBatch) -> BucketBatch {
        let mut state = self.state.lock();
        let parts = batch.parts.iter().map(|part| {
            let mark = state.marks.entry((batch.bucket, part.partition)).or_default();
            let rows = part.rows.iter().filter(|(offset, _)| *offset >= *mark).cloned().collect();
            *mark = part.next.max(*mark);
            PartitionRows { rows, ..part.clone() }
        });
        let parts = parts.collect();
        BucketBatch { bucket: batch.bucket, parts }
    }

    /// Whether a bucket cannot be written now, whoever tries.
    fn is_damaged(&self, bucket: BucketId) -> bool {
        let (now, damage) = (self.sky.clock.elapsed(), self.sky.weather().damage);
        if damage == 0 {
            return false;
        }
        let damaged = &mut self.state.lock().damaged;
        let is_over = damaged.is_none_or(|(_, until)| until <= now);
        if is_over && self.sky.draw(|rng| rng.chance(damage)) {
            *damaged = Some((bucket, now + self.sky.draw(|rng| rng.between(500, 8_000))));
        }
        damaged.is_some_and(|(of, until)| of == bucket && until > now)
    }

    async fn apply_nastily(&self, batch: BucketBatch) -> Result<Answer, StoreError> {
        self.sky.pause().await;
        if self.sky.fails() {
            return Err(unavailable());
        }
        if self.is_damaged(batch.bucket) {
            if self.sky.broken(Switch::BucketPassedOver) {
                return Ok(batch.parts.iter().map(|part| vec![None; part.rows.len()]).collect());
            }
            return Err(StoreError::Damaged { table: "mailbox", source: "simulated".into() });
        }
        let answer = if self.sky.broken(Switch::MarksIgnored) {
            self.write(&self.unmarked(&batch))?
        } else if self.sky.broken(Switch::MarkBeforeRows) {
            let new = self.mark(&batch);
            sleep(120).await;
            let answer = self.write(&self.unmarked(&new))?;
            aligned(&batch, &new, answer)
        } else {
            self.write(&batch)?
        };
        if self.sky.fails() {
            return Err(unavailable());
        }
        self.sky.pause().await;
        Ok(answer)
    }

    async fn read<T>(&self, read: impl FnOnce(&MemoryMailbox) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.sky.pause().await;
        if self.sky.fails() {
            return Err(unavailable());
        }
        let answer = read(&self.state.lock().table.live);
        self.sky.pause().await;
        answer
    }

    fn put(&self, write: Write) {
        let table = &mut self.state.lock().table;
        table.live.redo(&write);
        table.done(write);
    }
}

/// The answer to a batch of which only the end of each part was written.
fn aligned(batch: &BucketBatch, written: &BucketBatch, answer: Answer) -> Answer {
    let parts = batch.parts.iter().zip(&written.parts).zip(answer);
    parts
        .map(|((all, new), placed)| {
            let skipped = all.rows.len() - new.rows.len();
            std::iter::repeat_n(None, skipped).chain(placed).collect()
        })
        .collect()
}

impl Mailbox for NastyMailbox {
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Answer, StoreError>> {
        Box::pin(self.apply_nastily(batch))
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.read(move |live| now(live.range(query))))
    }

    fn head(&self, user: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>> {
        let user = user.clone();
        Box::pin(self.read(move |live| now(live.head(&user))))
    }

    fn lift(&self, user: &UserKey, floor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        self.put(Write::Lift(user.clone(), floor));
        // Whoever lifts has shown the floor to somebody.
        let mut state = self.state.lock();
        let head = state.heads.entry(user.clone()).or_default();
        *head = floor.max(*head);
        Box::pin(std::future::ready(Ok(())))
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(self.read(move |live| now(live.list(query))))
    }

    fn set_cursor(&self, _: &UserKey, _: &DeviceId, _: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn cursor(&self, _: &UserKey, _: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn begin_replay(&self, partition: PartitionId) -> BoxFuture<'_, Result<ReplayFrom, StoreError>> {
        {
            let state = self.state.lock();
            drop(now(state.table.live.handle(self.handle).begin_replay(partition)));
            self.replayed.lock().insert(partition, state.rollbacks);
            self.sky.note_take_over(partition);
        }
        Box::pin(async move { self.replay_from(partition).await.map(ReplayFrom::Mark) })
    }

    fn rollbacks(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        let seen =
            if self.sky.broken(Switch::RollbackUnseen) { Ok(0) } else { now(self.state.lock().table.live.rollbacks()) };
        Box::pin(std::future::ready(seen))
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        let state = self.state.lock();
        let safe = if self.sky.broken(Switch::ReplayTooLate) {
            state.noted.get(&partition).copied().unwrap_or_default()
        } else if self.sky.broken(Switch::ReplayBegunAtClaim) {
            Mark { claim: Claim::default(), next: Offset(u64::MAX) }
        } else {
            // Redis's place is a minute old.
            let place = if self.is_among { Place::Old } else { Place::of(self.sky.weather().forget) };
            state.table.replay_from(partition, place)
        };
        Box::pin(std::future::ready(Ok(safe)))
    }

    fn applied(&self, partition: PartitionId, mark: Mark) -> BoxFuture<'_, Result<(), StoreError>> {
        if !self.is_stale(partition) {
            self.put(Write::Applied(partition, mark));
            self.state.lock().noted.insert(partition, mark);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let _ = time;
        Box::pin(std::future::ready(Ok(())))
    }
}
