//! The committer: the one thread that writes. It takes everything that waits, writes it as one block, syncs, makes it visible,
//! and answers; the next commit begins when the last one ends, so a busy log commits in larger blocks and an idle one at once.
//!
//! Promise *acked-is-durable* is kept here: an append is answered after the sync that covers it has returned, never before.
//!
//! * No room: the block and everything that waits behind it is refused as retryable, and what was written of it is cut off.
//!   Nothing of it can come back, so a caller may append again. The disk is tried again a little later.
//! * A failed sync, write or cut: nobody can know what is on disk (a second sync would lie), so the appends under way get
//!   *unknown*, and the log refuses everything from then on.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anser_backend::AppendError;
use anser_types::{Offset, Timestamp};

use super::Now;
use super::error::LogFailure;
use super::files::{LogFile, is_full, write_block};
use super::frame::{FrameHeader, Salt};
use super::head::SegmentHead;
use super::index::SegmentIndex;
use super::queue::{Append, AppendQueue};
use super::recover::store_index;
use super::segment::{SpaceMaker, SpareSpace, name_segment};
use super::shared::Shared;

/// Owns the end of the log.
pub(super) struct Committer {
    shared: Arc<Shared>,
    queue: Arc<AppendQueue>,
    spare: Arc<SpareSpace>,
    now: Now,
    segment: ActiveFile,
    /// The next offset per partition.
    next: Vec<u64>,
    last_time: Timestamp,
    /// When the disk was last found full, until a write succeeds.
    full_since: Option<Timestamp>,
    /// The commit under way: its appends, its bytes, and the frames in them. Empty in between, kept to be used again.
    batch: Vec<Append>,
    block: Vec<u8>,
    frames: Vec<(u32, FrameHeader)>,
}

/// The file that is being written.
#[derive(Debug)]
struct ActiveFile {
    number: u64,
    file: Arc<dyn LogFile>,
    salt: Salt,
    /// Where the next frame goes.
    end: u32,
    /// At which size the segment is complete.
    full_at: u32,
}

/// Why a commit did not happen.
enum Fault {
    /// No room; nothing was appended.
    Full(io::Error),
    /// There was no room a moment ago, and it was not tried again.
    StillFull,
    /// The log is at its end.
    Broken(LogFailure),
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<AppendQueue>, file: Arc<dyn LogFile>, now: Now) -> Self {
        let (segment, next, last_time) = {
            let segments = shared.segments.read();
            let active = &segments.active;
            (ActiveFile::new(&shared, active, file), active.end.clone(), active.last_time)
        };
        let spare = SpareSpace::new(Arc::clone(&shared.folder));
        Self {
            shared,
            queue,
            spare,
            now,
            segment,
            next,
            last_time,
            full_since: None,
            batch: Vec::new(),
            block: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Commits until the queue is closed and empty, or the log fails.
    pub(super) fn run(mut self) {
        let _guard = FailOnPanic(Arc::clone(&self.shared), Arc::clone(&self.queue));
        let _maker = SpaceMaker::start(Arc::clone(&self.spare));
        while self.step() {}
    }

    /// Waits for appends, commits what waits and answers it. Returns false when there is nothing left to do.
    pub(super) fn step(&mut self) -> bool {
        let mut batch = mem::take(&mut self.batch);
        if !self.queue.take(&mut batch, self.shared.config.commit_bytes_max) {
            return false;
        }
        self.turn_away(&mut batch);
        if batch.is_empty() {
            self.batch = batch;
            return true;
        }
        match self.commit(&batch) {
            Ok(first_offsets) => self.acknowledge(&mut batch, first_offsets),
            Err(Fault::Full(error)) => {
                self.note_full(&error);
                self.refuse(&mut batch);
            }
            Err(Fault::StillFull) => self.refuse(&mut batch),
            Err(Fault::Broken(failure)) => {
                fail(&self.shared, &self.queue, failure.clone());
                answer(&self.queue, &mut batch, || AppendError::Unknown(failure.clone().into()));
                self.queue.take_rest(&mut batch);
                answer(&self.queue, &mut batch, || AppendError::Failed);
                return false;
            }
        }
        self.batch = batch;
        true
    }

    /// Answers and removes the appends that would not land where their callers demand: whoever sent them believed that an
    /// earlier one would be before them.
    fn turn_away(&self, batch: &mut Vec<Append>) {
        if batch.iter().all(|append| append.expected.is_none()) {
            return;
        }
        let mut next = self.next.clone();
        let mut released = 0;
        for append in mem::take(batch) {
            let Some(next) = next.get_mut(usize::from(append.partition.0)) else {
                continue;
            };
            let end = Offset(*next);
            if append.expected.is_some_and(|expected| expected != end) {
                released += append.frames_len;
                // A caller that no longer waits has given up the answer.
                drop(append.done.send(Err(AppendError::NotExpected { end })));
            } else {
                *next += append.records.len() as u64;
                batch.push(append);
            }
        }
        self.queue.release(released);
    }

    /// Makes the batch durable and visible. Returns the offset of each append's first record.
    fn commit(&mut self, batch: &[Append]) -> Result<Vec<Offset>, Fault> {
        let now = (self.now)();
        let retry_ms = self.shared.config.full_retry_ms;
        if self.full_since.is_some_and(|since| now >= since && now.since(since) < retry_ms) {
            return Err(Fault::StillFull);
        }
        let len: usize = batch.iter().map(|append| append.frames_len).sum();
        if !self.segment.takes(len, self.shared.head_len) && !self.may_overfill(len) {
            self.roll()?;
        }
        self.last_time = self.last_time.max(now);
        let first_offsets = self.encode(batch);
        self.write()?;
        self.publish();
        Ok(first_offsets)
    }

    /// Whether the block should rather make the segment up to twice as long than wait for space that is being made.
    fn may_overfill(&self, len: usize) -> bool {
        let limit = u64::from(self.segment.full_at).saturating_mul(2);
        u64::from(self.segment.end).saturating_add(len as u64) <= limit && self.spare.is_under_way()
    }

    /// Puts the frames of the batch into the block.
    fn encode(&mut self, batch: &[Append]) -> Vec<Offset> {
        self.block.clear();
        self.frames.clear();
        let commit_start = self.segment.end;
        let mut first_offsets = Vec::with_capacity(batch.len());
        let mut next = self.next.clone();
        for append in batch {
            let next = next.get_mut(usize::from(append.partition.0)).expect("the partition was checked at the call");
            first_offsets.push(Offset(*next));
            for record in &append.records {
                let written = u32::try_from(self.block.len()).expect("an append is far smaller than 4 GiB");
                let position = commit_start.saturating_add(written);
                let header = FrameHeader {
                    partition: append.partition,
                    offset: Offset(*next),
                    time: self.last_time,
                    body_len: u32::try_from(record.len()).expect("a record is at most 16 MiB"),
                    body_crc: crc32c::crc32c(record),
                    commit_start,
                };
                *next += 1;
                self.block.extend_from_slice(&header.encode(self.segment.salt, position));
                self.block.extend_from_slice(record);
                self.frames.push((position, header));
            }
        }
        first_offsets
    }

    fn write(&mut self) -> Result<(), Fault> {
        let (file, end) = (&*self.segment.file, u64::from(self.segment.end));
        match write_block(file, &self.block, end) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                // Whatever was written must not come back after a restart: the callers will hear that it was not appended.
                file.set_len(end)
                    .and_then(|()| file.sync_all())
                    .map_err(broken("cut an unfinished write off the log"))?;
                return Err(Fault::Full(error));
            }
            Err(error) => return Err(broken("write to the log")(error)),
        }
        file.sync_data().map_err(broken("sync the log"))
    }

    /// Shows the commit to readers.
    fn publish(&mut self) {
        let mut segments = self.shared.segments.write();
        for (position, header) in &self.frames {
            segments.active.note(*position, header, self.shared.config.checkpoint_every_bytes);
        }
        self.segment.end = segments.active.file_end;
        self.next.clone_from(&segments.active.end);
        drop(segments);
        if self.segment.is_half_full() {
            self.spare.want(self.shared.config.segment_bytes_of(self.segment.number.saturating_add(1)));
        }
    }

    /// Completes the segment and begins the next one.
    fn roll(&mut self) -> Result<(), Fault> {
        let old = &self.segment;
        let sealed = old.file.set_len(u64::from(old.end)).and_then(|()| old.file.sync_all());
        sealed.map_err(broken("complete a log segment"))?;
        let log = self.shared.meta.log;
        let head = SegmentHead { log, number: old.number + 1, floor: self.last_time, start: self.next.clone() };
        let space = self.spare.take(self.shared.config.segment_bytes_of(head.number));
        let file = space
            .map_err(|error| if is_full(&error) { Fault::Full(error) } else { broken("make a log segment")(error) })?;
        // From here on a failure is the end: a segment that may exist must not be followed by writes to the old one.
        name_segment(&*self.shared.folder, &*file, &head).map_err(broken("make a log segment"))?;
        let active = SegmentIndex::empty(&head, self.shared.head_len);
        self.segment = ActiveFile::new(&self.shared, &active, file);
        let whole = {
            let mut segments = self.shared.segments.write();
            let whole = Arc::new(mem::replace(&mut segments.active, active));
            segments.whole.push_back(Arc::clone(&whole));
            whole
        };
        store_index(&*self.shared.folder, &whole, log);
        Ok(())
    }

    fn acknowledge(&mut self, batch: &mut Vec<Append>, first_offsets: Vec<Offset>) {
        if self.full_since.take().is_some() {
            tracing::info!("the log has room again");
            self.shared.is_full.store(false, Ordering::Relaxed);
        }
        self.queue.release(batch.iter().map(|append| append.frames_len).sum());
        for (append, first) in batch.drain(..).zip(first_offsets) {
            // A caller that no longer waits has given up the answer, not the append.
            drop(append.done.send(Ok(first)));
        }
    }

    fn note_full(&mut self, error: &io::Error) {
        if self.full_since.is_none() {
            tracing::error!(%error, "the log has no room: refusing appends until there is some");
        }
        self.full_since = Some((self.now)());
        self.shared.is_full.store(true, Ordering::Relaxed);
    }

    /// Refuses the batch, and what came in behind it: it was sent in the belief that the batch would be before it.
    fn refuse(&self, batch: &mut Vec<Append>) {
        self.queue.take_rest(batch);
        answer(&self.queue, batch, || AppendError::Full);
    }
}

impl ActiveFile {
    fn new(shared: &Shared, active: &SegmentIndex, file: Arc<dyn LogFile>) -> Self {
        let number = active.number;
        let full_at = shared.config.segment_bytes_of(number);
        Self { number, file, salt: Salt::of(shared.meta.log, number), end: active.file_end, full_at }
    }

    fn is_half_full(&self) -> bool {
        self.end > self.full_at / 2
    }

    /// Whether a block of this length goes into the segment. One that is too large for any goes into an empty one.
    fn takes(&self, len: usize, head_len: u32) -> bool {
        self.end == head_len || u64::from(self.end).saturating_add(len as u64) <= u64::from(self.full_at)
    }
}

fn broken(doing: &'static str) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault::Broken(LogFailure { doing, what: error.to_string() })
}

fn answer(queue: &AppendQueue, batch: &mut Vec<Append>, error: impl Fn() -> AppendError) {
    queue.release(batch.iter().map(|append| append.frames_len).sum());
    for append in batch.drain(..) {
        drop(append.done.send(Err(error())));
    }
}

/// Ends the service of the log, and says so to whoever waits for that.
fn fail(shared: &Shared, queue: &AppendQueue, failure: LogFailure) {
    tracing::error!(%failure, "the log has failed for good: the node must stop");
    queue.close();
    shared.failure.send_replace(Some(failure));
}

/// Fails the log if the committer's thread dies of a defect, so that nobody waits for it for ever.
struct FailOnPanic(Arc<Shared>, Arc<AppendQueue>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(shared, queue) = self;
            fail(shared, queue, LogFailure { doing: "go on", what: "the committer has died".to_owned() });
            let mut rest = Vec::new();
            queue.take_rest(&mut rest);
            answer(queue, &mut rest, || AppendError::Failed);
        }
    }
}
