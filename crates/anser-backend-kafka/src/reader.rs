//! Reading: from exact offsets, never past anything in silence.
//!
//! A reader knows, for each of its partitions, the offset that must come next and the end of which the brokers last told. It
//! takes what a client brings it only if it is the next record, asks for the ends when it has read up to all of them, and
//! says so when an offset is not there. Every wait has an end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_backend::{BoxFuture, LogEntry, LogReader, ReadError};
use anser_types::{Offset, PartitionId, Timestamp};
use bytes::Bytes;
use rdkafka::Offset as Place;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Meaning, Trouble, meaning, unavailable};
use crate::pool::Lent;
use crate::source::Source;

/// How long one look at the client's queue takes when nothing has been read yet.
const LOOK: Duration = Duration::from_millis(50);

/// How long to wait for more when something has been read.
const LINGER: Duration = Duration::from_millis(5);

/// How many records one piece holds at most, however small they are.
const RECORDS_MAX: usize = 16_384;

/// How often a record may be missing before the log is called damaged. A client that was used before may bring
/// a record that was asked for by its last user.
const GAPS_MAX: u32 = 3;

/// A [`LogReader`] on one topic.
pub(crate) struct KafkaReader {
    source: Arc<Source>,
    reading: Arc<Mutex<Reading>>,
}

impl KafkaReader {
    pub(crate) fn new(source: Arc<Source>, from: Vec<(PartitionId, Offset)>) -> Self {
        let reading = Reading::new(Arc::clone(&source), from);
        Self { source, reading: Arc::new(Mutex::new(reading)) }
    }
}

impl LogReader for KafkaReader {
    /// Cancel-safe: what was read and not handed out is handed out by the next call.
    fn next(&mut self, bytes_max: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>> {
        Box::pin(async move {
            let mut reading = Arc::clone(&self.reading).lock_owned().await;
            let fill = move || reading.fill(bytes_max).map(|()| reading);
            let mut reading = self.source.blocking(fill).await?;
            Ok(reading.take(bytes_max))
        })
    }
}

/// Reads one record; `None` if the partition ends before it. Blocks.
pub(crate) fn read_one(
    source: &Arc<Source>,
    partition: PartitionId,
    offset: Offset,
) -> Result<Option<Bytes>, ReadError> {
    if !source.has_reached(partition, offset) {
        let bounds = source.bounds(partition)?;
        if offset >= bounds.end {
            return Ok(None);
        }
        if offset < bounds.start {
            return Err(ReadError::Trimmed { partition, asked: offset, start: bounds.start });
        }
    }
    let mut reading = Reading::new(Arc::clone(source), vec![(partition, offset)]);
    reading.expect_one();
    match reading.fill(1) {
        Ok(()) => Ok(reading.take(1).into_iter().next().map(|entry| entry.bytes)),
        Err(ReadError::BeyondEnd { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// The offset that comes next.
    next: Offset,
    /// The end that the brokers told last.
    end: Offset,
}

/// The state of a reader.
pub(crate) struct Reading {
    source: Arc<Source>,
    client: Option<Lent>,
    spans: BTreeMap<PartitionId, Span>,
    /// Whether the offsets to come are known to be there.
    checked: bool,
    held: VecDeque<LogEntry>,
    held_bytes: usize,
    gaps: u32,
    /// What this reader has added to the records behind.
    behind: i64,
}

impl Reading {
    fn new(source: Arc<Source>, from: Vec<(PartitionId, Offset)>) -> Self {
        let from = from.into_iter().filter(|(partition, _)| source.has(*partition));
        let spans = from.map(|(partition, next)| (partition, Span { next, end: next })).collect();
        let (client, held) = (None, VecDeque::new());
        Self { source, client, spans, checked: false, held, held_bytes: 0, gaps: 0, behind: 0 }
    }

    /// The next record of each partition is known to be there.
    fn expect_one(&mut self) {
        for span in self.spans.values_mut() {
            span.end = span.next.next();
        }
        self.checked = true;
    }

    /// Reads until `bytes_max` bytes are held, or all that was durable at the call, or what came so far. Holds at least one
    /// record if there is one.
    fn fill(&mut self, bytes_max: usize) -> Result<(), ReadError> {
        let filled = self.fill_held(bytes_max);
        if self.at_known_ends() {
            // Somebody else may have it, and no broker is asked for what comes next until somebody wants to know.
            self.client = None;
        }
        self.note_behind();
        match filled {
            // What was read before it is handed out first. The next call comes upon it again.
            Err(_) if !self.held.is_empty() => Ok(()),
            filled => filled,
        }
    }

    fn fill_held(&mut self, bytes_max: usize) -> Result<(), ReadError> {
        let deadline = Instant::now() + self.source.ask.timeout();
        let mut asked = false;
        while self.held.is_empty() || (self.held_bytes < bytes_max && self.held.len() < RECORDS_MAX) {
            if self.at_known_ends() || !self.checked {
                if !self.held.is_empty() || asked {
                    return Ok(());
                }
                self.ask_bounds()?;
                asked = self.at_known_ends();
                continue;
            }
            let moved = self.look()?;
            if !moved && !self.held.is_empty() {
                return Ok(());
            }
            if !moved && Instant::now() >= deadline {
                self.give_up_client();
                return Err(unavailable(Trouble::Silent));
            }
        }
        Ok(())
    }

    /// Hands out what is held: at least one record if there is any, and about `bytes_max` bytes at most.
    fn take(&mut self, bytes_max: usize) -> Vec<LogEntry> {
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        while let Some(entry) = self.held.front() {
            bytes = bytes.saturating_add(entry.bytes.len());
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            self.held_bytes -= entry.bytes.len();
            entries.extend(self.held.pop_front());
        }
        self.note_behind();
        entries
    }

    fn at_known_ends(&self) -> bool {
        self.spans.values().all(|span| span.next >= span.end)
    }

    /// Learns the ends, and, as long as it is not known, whether the next offsets are there.
    fn ask_bounds(&mut self) -> Result<(), ReadError> {
        let partitions: Vec<PartitionId> = self.spans.keys().copied().collect();
        if !self.checked {
            for (partition, start) in self.source.ask.starts(&self.source.pool, &partitions)? {
                let asked = self.spans.get(&partition).map_or(start, |span| span.next);
                if asked < start {
                    return Err(ReadError::Trimmed { partition, asked, start });
                }
            }
        }
        for (partition, end) in self.source.ask.ends(&self.source.pool, &partitions)? {
            let Some(span) = self.spans.get_mut(&partition) else {
                continue;
            };
            if span.next > end {
                return Err(ReadError::BeyondEnd { partition, asked: span.next, end });
            }
            span.end = end;
            self.source.note_end(partition, end);
        }
        self.checked = true;
        Ok(())
    }

    /// Looks once whether the client has brought something. Returns whether it has.
    fn look(&mut self) -> Result<bool, ReadError> {
        let wait = if self.held.is_empty() { LOOK } else { LINGER };
        let client = match self.client.take() {
            Some(client) => client,
            None => self.assigned_client()?,
        };
        let brought = match client.poll(wait) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(entry(&message))),
            Some(Err(error)) => Err(error),
        };
        self.client = Some(client);
        match brought {
            Ok(None) => Ok(false),
            Ok(Some(entry)) => self.accept(entry),
            Err(error) => self.suffer(error),
        }
    }

    fn assigned_client(&self) -> Result<Lent, ReadError> {
        let client = self.source.pool.take()?;
        let mut list = TopicPartitionList::with_capacity(self.spans.len());
        for (partition, span) in &self.spans {
            let place = Place::Offset(i64::try_from(span.next.0).unwrap_or(i64::MAX));
            let added = list.add_partition_offset(self.source.ask.topic(), i32::from(partition.0), place);
            added.map_err(unavailable)?;
        }
        client.assign(&list).map_err(unavailable)?;
        Ok(client)
    }

    /// Takes a record if it is the next one. Returns whether it was.
    fn accept(&mut self, entry: LogEntry) -> Result<bool, ReadError> {
        let Some(span) = self.spans.get_mut(&entry.partition) else {
            return Ok(false);
        };
        if entry.offset < span.next {
            return Ok(false);
        }
        if entry.offset > span.next {
            let gap = Trouble::Gap { before: span.next.0, after: entry.offset.0 };
            return self.miss(gap);
        }
        span.next = span.next.next();
        span.end = span.end.max(span.next);
        self.gaps = 0;
        self.held_bytes += entry.bytes.len();
        self.held.push_back(entry);
        Ok(true)
    }

    /// A record did not come. Retention may have taken it, or the client brought something that its last user had asked for: begin again
    /// from the same place, with a look at the bounds.
    fn miss(&mut self, gap: Trouble) -> Result<bool, ReadError> {
        self.gaps += 1;
        if self.gaps >= GAPS_MAX {
            return Err(ReadError::Damaged(gap.into()));
        }
        self.give_up_client();
        Ok(false)
    }

    fn suffer(&mut self, error: KafkaError) -> Result<bool, ReadError> {
        match meaning(&error) {
            Meaning::Passing => {}
            Meaning::OutOfRange => self.give_up_client(),
            Meaning::Broken => {
                self.give_up_client();
                return Err(unavailable(error));
            }
            Meaning::Damaged => {
                self.give_up_client();
                return Err(ReadError::Damaged(error.into()));
            }
        }
        Ok(false)
    }

    /// Lets another client read on, after a look at the bounds.
    fn give_up_client(&mut self) {
        if let Some(client) = self.client.take() {
            client.is_broken();
        }
        self.checked = false;
    }

    fn note_behind(&mut self) {
        let unread: u64 = self.spans.values().map(|span| span.end.0.saturating_sub(span.next.0)).sum();
        let behind = unread.saturating_add(self.held.len() as u64);
        let behind = i64::try_from(behind).unwrap_or(i64::MAX);
        self.source.health.add_behind(behind - self.behind);
        self.behind = behind;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.source.health.add_behind(-self.behind);
    }
}

fn entry(message: &BorrowedMessage<'_>) -> LogEntry {
    let time = message.timestamp().to_millis().unwrap_or(0);
    LogEntry {
        // More than 256 partitions are refused when the log is opened.
        partition: PartitionId(u8::try_from(message.partition()).unwrap_or(u8::MAX)),
        offset: Offset(u64::try_from(message.offset()).unwrap_or(0)),
        time: Timestamp(u64::try_from(time).unwrap_or(0)),
        bytes: message.payload().map_or_else(Bytes::new, Bytes::copy_from_slice),
    }
}
