//! A log in memory: what the port means, without a disk. Loses everything with the process, so nothing but tests and
//! simulations may use it.

use std::collections::VecDeque;
use std::sync::Arc;

use anser_types::{LogId, Offset, PartitionCount, PartitionId, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{AppendError, Bounds, BoxFuture, LogEntry, LogReader, MessageLog, ReadError};

/// The in-memory reference of [`MessageLog`]. Clones are handles to the same log.
#[derive(Clone)]
pub struct MemoryLog {
    id: LogId,
    partitions: PartitionCount,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    partitions: Vec<Partition>,
    last_time: Timestamp,
    full: bool,
}

#[derive(Default)]
struct Partition {
    start: Offset,
    entries: VecDeque<LogEntry>,
}

impl Partition {
    fn bounds(&self) -> Bounds {
        Bounds { start: self.start, end: self.start.plus(self.entries.len() as u64) }
    }

    /// The entry at an offset; `None` at the end. An error outside the bounds.
    fn entry(&self, partition: PartitionId, asked: Offset) -> Result<Option<&LogEntry>, ReadError> {
        let Bounds { start, end } = self.bounds();
        if asked > end {
            return Err(ReadError::BeyondEnd { partition, asked, end });
        }
        match asked.0.checked_sub(start.0) {
            Some(at) => Ok(usize::try_from(at).ok().and_then(|at| self.entries.get(at))),
            None => Err(ReadError::Trimmed { partition, asked, start }),
        }
    }
}

impl MemoryLog {
    /// An empty log, whose records are stamped by `now`.
    pub fn new(id: LogId, partitions: PartitionCount, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let state = State { partitions: partitions.all().map(|_| Partition::default()).collect(), ..State::default() };
        Self { id, partitions, now: Arc::new(now), state: Arc::new(Mutex::new(state)) }
    }

    /// Whether appends are refused because there is no room.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// Removes the records of a partition below `start`, as retention does.
    pub fn trim(&self, partition: PartitionId, start: Offset) {
        let mut state = self.state.lock();
        let Some(held) = state.partitions.get_mut(usize::from(partition.0)) else {
            return;
        };
        while held.start < start && held.entries.pop_front().is_some() {
            held.start = held.start.next();
        }
    }

    /// Loses the records of a partition from `end` on.
    pub fn lose(&self, partition: PartitionId, end: Offset) {
        let mut state = self.state.lock();
        if let Some(held) = state.partitions.get_mut(usize::from(partition.0)) {
            held.entries.retain(|entry| entry.offset < end);
        }
    }

    fn append_now(
        &self,
        partition: PartitionId,
        expected: Option<Offset>,
        records: Vec<Bytes>,
    ) -> Result<Offset, AppendError> {
        let mut state = self.state.lock();
        if records.is_empty() {
            return Err(AppendError::Refused("it has no records"));
        }
        if state.full {
            return Err(AppendError::Full);
        }
        let time = state.last_time.max((self.now)());
        state.last_time = time;
        let Some(held) = state.partitions.get_mut(usize::from(partition.0)) else {
            return Err(AppendError::Refused("there is no such partition"));
        };
        let first = held.bounds().end;
        if expected.is_some_and(|expected| expected != first) {
            return Err(AppendError::NotExpected { end: first });
        }
        for bytes in records {
            let offset = held.bounds().end;
            held.entries.push_back(LogEntry { partition, offset, time, bytes });
        }
        Ok(first)
    }

    fn with<T: Default>(&self, partition: PartitionId, read: impl FnOnce(&Partition) -> T) -> T {
        self.state.lock().partitions.get(usize::from(partition.0)).map(read).unwrap_or_default()
    }
}

impl MessageLog for MemoryLog {
    fn id(&self) -> LogId {
        self.id
    }

    fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>> {
        Box::pin(std::future::ready(self.append_now(partition, None, records)))
    }

    fn append_at(
        &self,
        partition: PartitionId,
        expected: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        let done = self.append_now(partition, Some(expected), records);
        Box::pin(std::future::ready(done))
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        Box::pin(std::future::ready(Ok(self.with(partition, Partition::bounds))))
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        let offset = self.with(partition, |held| {
            let older = held.entries.partition_point(|entry| entry.time < time);
            held.start.plus(older as u64)
        });
        Box::pin(std::future::ready(Ok(offset)))
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        Box::new(MemoryReader { log: self.clone(), wanted: from })
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        let state = self.state.lock();
        let found = match state.partitions.get(usize::from(partition.0)) {
            Some(held) if offset < held.bounds().end => held.entry(partition, offset),
            _ => Ok(None),
        };
        let bytes = found.map(|entry| entry.map(|entry| entry.bytes.clone()));
        Box::pin(std::future::ready(bytes))
    }
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").field("id", &self.id).finish_non_exhaustive()
    }
}

struct MemoryReader {
    log: MemoryLog,
    wanted: Vec<(PartitionId, Offset)>,
}

impl MemoryReader {
    fn take(&mut self, bytes_max: usize) -> Result<Vec<LogEntry>, ReadError> {
        let state = self.log.state.lock();
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        for (partition, next) in &mut self.wanted {
            let Some(held) = state.partitions.get(usize::from(partition.0)) else {
                continue;
            };
            while let Some(entry) = held.entry(*partition, *next)? {
                bytes = bytes.saturating_add(entry.bytes.len());
                if bytes > bytes_max && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(entry.clone());
                *next = next.next();
            }
        }
        Ok(entries)
    }
}

impl LogReader for MemoryReader {
    fn next(&mut self, bytes_max: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>> {
        let taken = self.take(bytes_max);
        Box::pin(std::future::ready(taken))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::conformance::log::LogFixture;

    #[derive(Default)]
    struct Fixture {
        clock: Arc<AtomicU64>,
        log: Mutex<Option<MemoryLog>>,
    }

    impl LogFixture for Fixture {
        fn create(&self, partitions: PartitionCount) -> BoxFuture<'_, Arc<dyn MessageLog>> {
            let clock = Arc::clone(&self.clock);
            let log = MemoryLog::new(LogId(7), partitions, move || Timestamp(clock.load(Ordering::Relaxed)));
            *self.log.lock() = Some(log.clone());
            Box::pin(std::future::ready(Arc::new(log) as Arc<dyn MessageLog>))
        }

        fn reopen(&self, log: Arc<dyn MessageLog>) -> BoxFuture<'_, Arc<dyn MessageLog>> {
            Box::pin(std::future::ready(log))
        }

        fn trim(&self, partition: PartitionId, keep_from: Offset) -> BoxFuture<'_, ()> {
            self.log.lock().as_ref().unwrap().trim(partition, keep_from);
            Box::pin(std::future::ready(()))
        }

        fn tick(&self) -> BoxFuture<'_, ()> {
            self.clock.fetch_add(5, Ordering::Relaxed);
            Box::pin(std::future::ready(()))
        }
    }

    crate::message_log_suite!(Fixture::default());

    #[tokio::test]
    async fn a_full_log_refuses_and_serves_again_when_it_has_room() {
        let log = MemoryLog::new(LogId(7), PartitionCount::EMBEDDED, || Timestamp(1));
        log.set_full(true);
        let refused = log.append(PartitionId(0), vec![Bytes::new()]).await.unwrap_err();
        assert!(matches!(refused, AppendError::Full), "{refused:?}");
        log.set_full(false);
        assert_eq!(log.append(PartitionId(0), vec![Bytes::new()]).await.unwrap(), Offset(0));
    }
}
