//! The fake log: group commit in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use anser_backend::{AppendError, Bounds, BoxFuture, LogEntry, LogReader, MessageLog, ReadError};
use anser_types::{LogId, NodeId, Offset, PartitionCount, PartitionId, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{Sky, sleep};
use crate::switch::Switch;

const ID: LogId = LogId(0x5eed);
/// Where a record's header keeps its kind, and claim and sequence behind the log id.
const KIND_AT: usize = 1;
const CLAIM_AT: usize = 10;
const SEQUENCE_AT: usize = 18;
const HEADER_END: usize = 26;
const CLAIM_KIND: u8 = 1;

type Answer = Result<Offset, AppendError>;

#[derive(Debug)]
struct Batch {
    /// Who appends it, where several do.
    writer: Option<NodeId>,
    partition: PartitionId,
    expected: Option<Offset>,
    records: Vec<Bytes>,
    answer: Option<oneshot::Sender<Answer>>,
}

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Vec<LogEntry>>,
    /// When each record was really taken, in milliseconds since the beginning of the run.
    taken: Vec<Vec<u64>>,
    /// Whose claim is the newest.
    claimed_by: BTreeMap<PartitionId, NodeId>,
    /// The partitions of all records, in the order in which they came to lie on the disk.
    written: Vec<PartitionId>,
    pending: VecDeque<Batch>,
    committing: Vec<Batch>,
    /// What nobody waits for any more, and lands some time later.
    late: Vec<Batch>,
    last_time: Timestamp,
    is_full: bool,
}

/// See [`super`].
#[derive(Debug)]
pub(crate) struct NastyLog {
    /// For its readers.
    me: Weak<Self>,
    state: Mutex<State>,
    wake: Notify,
    count: PartitionCount,
    sky: Sky,
}

impl NastyLog {
    pub(super) fn new(partitions: u16, sky: Sky) -> Arc<Self> {
        let count = PartitionCount::new(partitions).expect("a plan has at least one partition and at most 256");
        let state = State {
            partitions: count.all().map(|_| Vec::new()).collect(),
            taken: count.all().map(|_| Vec::new()).collect(),
            ..State::default()
        };
        let state = Mutex::new(state);
        Arc::new_cyclic(|me| Self { me: me.clone(), state, wake: Notify::new(), count, sky })
    }

    /// The disk: commits what was appended, all that waits at once, the next when the last is done. Runs for ever.
    pub(crate) async fn turn_disk(self: Arc<Self>) {
        loop {
            if self.begin_commit() {
                // Whoever does not wait for the disk does not notice that it is slow.
                let slow = if self.sky.broken(Switch::AckBeforeDurable) { 150 } else { 1 };
                let millis = self.sky.draw(|rng| rng.delay(4, 600, 15)) + slow;
                sleep(millis).await;
                self.end_commit();
            } else {
                self.wake.notified().await;
            }
        }
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.state.lock().is_full = is_full;
    }

    /// A process dies, and with it whatever of it was not synced: of what was being written a beginning may have made it. What
    /// was sent to a log elsewhere may land later.
    pub(crate) fn crash(&self, writer: Option<NodeId>) {
        let zombies = self.sky.weather().zombies || self.sky.broken(Switch::FencingIgnored);
        let mut state = self.state.lock();
        let (committing, others) =
            std::mem::take(&mut state.committing).into_iter().partition::<Vec<_>, _>(|batch| batch.writer == writer);
        state.committing = others;
        let written: usize = committing.iter().map(|b| b.records.len()).sum();
        let mut left = self.sky.draw(|rng| rng.below(written + 1));
        for mut batch in committing {
            batch.records.truncate(left);
            left -= batch.records.len();
            self.land(&mut state, &batch);
        }
        let (pending, others) =
            std::mem::take(&mut state.pending).into_iter().partition::<Vec<_>, _>(|batch| batch.writer == writer);
        state.pending = others.into();
        for batch in pending {
            if zombies && self.sky.draw(|rng| rng.chance(500)) {
                state.late.push(batch);
            }
        }
    }

    fn begin_commit(&self) -> bool {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.committing.extend(state.pending.drain(..));
        !state.committing.is_empty() || !state.late.is_empty()
    }

    fn end_commit(&self) {
        let unknown = self.sky.weather().unknown;
        let mut state = self.state.lock();
        for batch in std::mem::take(&mut state.committing) {
            if unknown > 0 && self.sky.draw(|rng| rng.chance(unknown)) {
                self.leave_unknown(&mut state, batch);
            } else {
                self.commit(&mut state, batch);
            }
        }
        if self.sky.draw(|rng| rng.chance(300)) {
            for batch in std::mem::take(&mut state.late) {
                self.land(&mut state, &batch);
            }
        }
    }

    fn commit(&self, state: &mut State, batch: Batch) {
        let answer = match batch.expected {
            _ if state.is_full => Err(AppendError::Full),
            Some(expected) if self.sky.weather().conditional && expected != state.end(batch.partition) => {
                Err(AppendError::NotExpected { end: state.end(batch.partition) })
            }
            _ => Ok(self.land(state, &batch)),
        };
        let answer = match (answer, batch.expected) {
            (Ok(_) | Err(AppendError::NotExpected { .. }), Some(expected))
                if self.sky.broken(Switch::ContiguityIgnored) || self.sky.broken(Switch::ClaimLossUnseen) =>
            {
                Ok(expected)
            }
            (answer, _) => answer,
        };
        if let Some(reply) = batch.answer {
            // Whoever waited may have gone.
            reply.send(answer).ok();
        }
    }

    fn leave_unknown(&self, state: &mut State, mut batch: Batch) {
        if let Some(reply) = batch.answer.take() {
            let answer = match batch.expected.filter(|_| self.sky.broken(Switch::ContiguityIgnored)) {
                Some(expected) => Ok(expected),
                None => Err(AppendError::Unknown("simulated".into())),
            };
            reply.send(answer).ok();
        }
        let conditional = self.sky.weather().conditional;
        match self.sky.draw(|rng| rng.below(3)) {
            0 => {}
            1 if !conditional => state.late.push(batch),
            _ if conditional && batch.expected.is_some_and(|expected| expected != state.end(batch.partition)) => {}
            _ => {
                self.land(state, &batch);
            }
        }
    }

    /// Makes records durable. Returns where the first one is.
    fn land(&self, state: &mut State, batch: &Batch) -> Offset {
        let time = state.last_time.max(self.sky.clock.now());
        state.last_time = time;
        let first = state.end(batch.partition);
        if let Some(writer) = batch.writer.filter(|_| batch.records.iter().any(is_claim)) {
            state.claimed_by.insert(batch.partition, writer);
        }
        let partition = &mut state.partitions[usize::from(batch.partition.0)];
        for (offset, bytes) in (first.0..).zip(&batch.records) {
            state.written.push(batch.partition);
            state.taken[usize::from(batch.partition.0)].push(self.sky.clock.elapsed());
            partition.push(LogEntry { partition: batch.partition, offset: Offset(offset), time, bytes: bytes.clone() });
        }
        first
    }

    fn submit(
        &self,
        writer: Option<NodeId>,
        partition: PartitionId,
        expected: Option<Offset>,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Answer> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        if state.is_full {
            return Box::pin(std::future::ready(Err(AppendError::Full)));
        }
        let mut batch = Batch { writer, partition, expected, records, answer: Some(answer) };
        // A claim is read back before anything else is done, so it has to be there.
        let is_claim = batch.records.iter().any(is_claim);
        let at_once = (self.sky.broken(Switch::AckBeforeDurable) && !is_claim).then(|| state.place(partition));
        if at_once.is_some() {
            batch.answer = None;
        }
        state.pending.push_back(batch);
        drop(state);
        self.wake.notify_one();
        Box::pin(async move {
            match at_once {
                Some(first) => Ok(first),
                None => answered.await.unwrap_or_else(|_| Err(AppendError::Unknown("crashed".into()))),
            }
        })
    }

    fn new_reader(&self, from: Vec<(PartitionId, Offset)>) -> NastyReader {
        NastyReader {
            log: self.me.clone(),
            next: from.into_iter().collect(),
            entries: VecDeque::new(),
            sky: self.sky.clone(),
            skips_from: BTreeMap::new(),
        }
    }

    /// Everything that is durable in a partition.
    pub(crate) fn durable(&self, partition: PartitionId) -> Vec<LogEntry> {
        self.state.lock().partitions[usize::from(partition.0)].clone()
    }

    /// When each of those was taken, in milliseconds since the beginning of the run.
    pub(crate) fn taken(&self, partition: PartitionId) -> Vec<u64> {
        self.state.lock().taken[usize::from(partition.0)].clone()
    }

    /// The entries of one partition, as a reader gets them.
    fn entries(&self, partition: PartitionId) -> Vec<LogEntry> {
        let entries = self.durable(partition);
        let all_count = self.sky.broken(Switch::FencingIgnored) || self.sky.broken(Switch::OldClaimsCount);
        if all_count { all_counting(entries) } else { entries }
    }

    /// What lies on the disk of these partitions, from these offsets on.
    fn written_from(&self, starts: &BTreeMap<PartitionId, Offset>) -> VecDeque<LogEntry> {
        let mut entries: BTreeMap<PartitionId, std::vec::IntoIter<LogEntry>> =
            starts.keys().map(|&partition| (partition, self.entries(partition).into_iter())).collect();
        let order = self.state.lock().written.clone();
        let next = |partition| entries.get_mut(&partition).and_then(Iterator::next);
        let is_asked_for = |entry: &LogEntry| starts.get(&entry.partition).is_some_and(|start| entry.offset >= *start);
        order.into_iter().filter_map(next).filter(is_asked_for).collect()
    }
}

fn is_claim(record: &Bytes) -> bool {
    record.get(KIND_AT) == Some(&CLAIM_KIND)
}

/// The entries with headers that make every one of them count.
fn all_counting(mut entries: Vec<LogEntry>) -> Vec<LogEntry> {
    let (mut claim, mut sequence) = (0u64, 0u64);
    for entry in &mut entries {
        let mut bytes = entry.bytes.to_vec();
        if bytes.get(KIND_AT) == Some(&CLAIM_KIND) {
            (claim, sequence) = (entry.offset.0, 0);
        } else if bytes.len() >= HEADER_END {
            sequence += 1;
            bytes[CLAIM_AT..SEQUENCE_AT].copy_from_slice(&claim.to_be_bytes());
            bytes[SEQUENCE_AT..HEADER_END].copy_from_slice(&sequence.to_be_bytes());
        }
        entry.bytes = bytes.into();
    }
    entries
}

impl State {
    fn end(&self, partition: PartitionId) -> Offset {
        Offset(self.partitions[usize::from(partition.0)].len() as u64)
    }

    /// Where the next append of a partition would land behind everything that waits.
    fn place(&self, partition: PartitionId) -> Offset {
        let waiting = self.committing.iter().chain(&self.pending).filter(|b| b.partition == partition);
        self.end(partition).plus(waiting.map(|b| b.records.len() as u64).sum())
    }
}

impl MessageLog for NastyLog {
    fn id(&self) -> LogId {
        ID
    }

    fn partitions(&self) -> PartitionCount {
        self.count
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Answer> {
        self.submit(None, partition, None, records)
    }

    fn append_at(&self, partition: PartitionId, expected: Offset, records: Vec<Bytes>) -> BoxFuture<'static, Answer> {
        self.submit(None, partition, Some(expected), records)
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        Box::pin(async move {
            self.sky.read_log().await?;
            Ok(Bounds { start: Offset::START, end: self.state.lock().end(partition) })
        })
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        let state = self.state.lock();
        let end = state.end(partition);
        let entries = &state.partitions[usize::from(partition.0)];
        let found = entries.iter().find(|e| e.time >= time).map_or(end, |e| e.offset);
        let found = if self.sky.broken(Switch::DuplicatesForgotten) { end } else { found };
        Box::pin(std::future::ready(Ok(found)))
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        Box::new(self.new_reader(from))
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        let place = usize::try_from(offset.0).unwrap_or(usize::MAX);
        let entry = self.state.lock().partitions[usize::from(partition.0)].get(place).map(|e| e.bytes.clone());
        let sky = self.sky.clone();
        Box::pin(async move {
            sky.pause().await;
            Ok(entry)
        })
    }
}

/// The log as one of several nodes has it.
#[derive(Debug)]
pub(crate) struct LogOfNode {
    log: Arc<NastyLog>,
    node: NodeId,
    /// Where each partition ended when the node looked last.
    looked: Mutex<BTreeMap<PartitionId, Offset>>,
}

impl LogOfNode {
    pub(super) fn new(log: Arc<NastyLog>, node: NodeId) -> Self {
        Self { log, node, looked: Mutex::default() }
    }

    /// From where on a reader skips what others have written: from where a partition ended that is not this node's yet.
    fn skips_from(&self, from: &[(PartitionId, Offset)]) -> BTreeMap<PartitionId, Offset> {
        if !self.log.sky.broken(Switch::ReadOnSkipped) {
            return BTreeMap::new();
        }
        let (looked, state) = (self.looked.lock(), self.log.state.lock());
        let others = from.iter().filter(|(partition, _)| state.claimed_by.get(partition) != Some(&self.node));
        let ends = others.filter_map(|(partition, from)| Some((*partition, *looked.get(partition)?, *from)));
        ends.filter(|(_, end, from)| from <= end).map(|(partition, end, _)| (partition, end)).collect()
    }
}

impl MessageLog for LogOfNode {
    fn id(&self) -> LogId {
        self.log.id()
    }

    fn partitions(&self) -> PartitionCount {
        self.log.partitions()
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Answer> {
        self.log.submit(Some(self.node), partition, None, records)
    }

    fn append_at(&self, partition: PartitionId, expected: Offset, records: Vec<Bytes>) -> BoxFuture<'static, Answer> {
        self.log.submit(Some(self.node), partition, Some(expected), records)
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        Box::pin(async move {
            let bounds = self.log.bounds(partition).await?;
            self.looked.lock().insert(partition, bounds.end);
            Ok(bounds)
        })
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        self.log.offset_at(partition, time)
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        let skips_from = self.skips_from(&from);
        Box::new(NastyReader { skips_from, ..self.log.new_reader(from) })
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        self.log.read_at(partition, offset)
    }
}

/// Reads in the order in which the records came to lie on the disk.
#[derive(Debug)]
struct NastyReader {
    log: Weak<NastyLog>,
    next: BTreeMap<PartitionId, Offset>,
    /// What was there when it looked last.
    entries: VecDeque<LogEntry>,
    sky: Sky,
    /// From where on it skips what is no claim.
    skips_from: BTreeMap<PartitionId, Offset>,
}

impl LogReader for NastyReader {
    fn next(&mut self, _: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>> {
        Box::pin(async move {
            self.sky.read_log().await?;
            let count = self.sky.draw(|rng| rng.below(60) + 1);
            if self.entries.is_empty() {
                self.entries = self.log.upgrade().map(|log| log.written_from(&self.next)).unwrap_or_default();
                self.next.extend(self.entries.iter().map(|entry| (entry.partition, entry.offset.next())));
                let skips_from = &self.skips_from;
                let is_skipped =
                    |entry: &LogEntry| skips_from.get(&entry.partition).is_some_and(|from| entry.offset >= *from);
                self.entries.retain(|entry| !is_skipped(entry) || is_claim(&entry.bytes));
            }
            let count = count.min(self.entries.len());
            Ok(self.entries.drain(..count).collect())
        })
    }
}
