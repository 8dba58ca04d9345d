//! Reads the log: several partitions in one pass over the files, in big pieces, without copying bodies.
//!
//! Promise *nothing-lost* in reading: what retention removed or what the log has not reached is an error, never a gap.
//! Files are read on Tokio's blocking threads. A dropped `next` leaves the reader where it was.

use std::io;
use std::sync::Arc;

use anser_backend::{Bounds, BoxFuture, LogEntry, LogReader, ReadError};
use anser_types::{Offset, PartitionId, Timestamp};

use super::chunk::{Chunk, ChunkFault, SegmentFile};
use super::error::DamagedAt;
use super::head::segment_name;
use super::shared::{Place, Segments, Shared};

/// The least that is read from a file at once.
const CHUNK_MIN: usize = 64 * 1024;

/// A reader of one log.
#[derive(Debug)]
pub(super) struct SegmentReader {
    shared: Arc<Shared>,
    cursor: Cursor,
}

impl SegmentReader {
    pub(super) fn new(shared: Arc<Shared>, from: &[(PartitionId, Offset)]) -> Self {
        Self { shared, cursor: Cursor::new(from) }
    }
}

impl LogReader for SegmentReader {
    fn next(&mut self, bytes_max: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>> {
        Box::pin(async move {
            if self.cursor.is_at_end(&self.shared.segments.read())? {
                return Ok(Vec::new());
            }
            let (shared, mut cursor) = (Arc::clone(&self.shared), self.cursor.clone());
            let read = on_blocking_thread(move || {
                let entries = cursor.next(&shared, bytes_max)?;
                Ok((entries, cursor))
            });
            let (entries, cursor) = read.await?;
            self.cursor = cursor;
            Ok(entries)
        })
    }
}

/// Runs blocking file operations where they hold up no executor thread.
pub(super) async fn on_blocking_thread<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome,
        Err(error) => Err(ReadError::Unavailable(error.into())),
    }
}

/// How far a reader has come.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    /// The next offset of each wanted partition, by partition.
    wanted: Vec<Option<Offset>>,
    /// Before everything that is wanted and not yet read; `None` before the first look.
    place: Option<Place>,
    open: Option<SegmentFile>,
}

impl Cursor {
    pub(super) fn new(from: &[(PartitionId, Offset)]) -> Self {
        let mut wanted = Vec::new();
        for (partition, offset) in from {
            let at = usize::from(partition.0);
            wanted.resize(wanted.len().max(at + 1), None);
            if let Some(slot) = wanted.get_mut(at) {
                *slot = Some(*offset);
            }
        }
        Self { wanted, place: None, open: None }
    }

    fn wanted(&self) -> impl Iterator<Item = (PartitionId, Offset)> {
        let partitions = (0..=u8::MAX).map(PartitionId);
        partitions.zip(&self.wanted).filter_map(|(partition, offset)| Some((partition, (*offset)?)))
    }

    /// Whether all that is wanted and durable was read. An error if the log does not hold what is to be read next.
    fn is_at_end(&self, segments: &Segments) -> Result<bool, ReadError> {
        let mut at_end = true;
        for (partition, offset) in self.wanted() {
            let Bounds { end, .. } = segments.check(partition, offset)?;
            at_end &= offset == end;
        }
        Ok(at_end)
    }

    /// The next entries; none at the end.
    pub(super) fn next(&mut self, shared: &Shared, bytes_max: usize) -> Result<Vec<LogEntry>, ReadError> {
        let mut entries = Vec::new();
        let mut chunk_len = bytes_max.clamp(CHUNK_MIN, shared.config.read_chunk_bytes.max(CHUNK_MIN));
        while entries.is_empty() {
            let Some((place, end)) = self.locate(shared)? else {
                break;
            };
            if let Some(chunk) = self.read(shared, place, end, chunk_len)? {
                self.take_entries(shared, place.segment, chunk, bytes_max, &mut entries)?;
            }
            // Nothing wanted in it: look further in larger steps.
            chunk_len = shared.config.read_chunk_bytes.max(CHUNK_MIN);
        }
        Ok(entries)
    }

    /// Where to read next, and how far that segment is durable; `None` at the end.
    fn locate(&mut self, shared: &Shared) -> Result<Option<(Place, u32)>, ReadError> {
        let segments = shared.segments.read();
        if self.is_at_end(&segments)? {
            return Ok(None);
        }
        // A segment that is gone held nothing that is still wanted: all offsets were just found within the bounds.
        // What others wrote between two records of quiet partitions is stepped over.
        let nearest = self.look_up(shared, &segments);
        let mut place = match self.place.filter(|place| segments.get(place.segment).is_some()) {
            Some(place) => place.max(nearest),
            None => nearest,
        };
        while let Some(index) = segments.get(place.segment) {
            if place.position < index.file_end {
                self.place = Some(place);
                return Ok(Some((place, index.file_end)));
            }
            place = Place { segment: place.segment.saturating_add(1), position: shared.head_len };
        }
        Err(damaged(shared, place))
    }

    /// The first place of anything that is wanted and there.
    fn look_up(&self, shared: &Shared, segments: &Segments) -> Place {
        let behind = self.wanted().filter(|(partition, offset)| *offset < segments.bounds(*partition).end);
        let places = behind.map(|(partition, offset)| segments.seek(shared.head_len, partition, offset));
        let end = Place { segment: segments.active.number, position: segments.active.file_end };
        places.min().unwrap_or(end)
    }

    /// Reads a piece; `None` if its segment has just been removed, which the next look will notice.
    fn read(&mut self, shared: &Shared, place: Place, end: u32, len: usize) -> Result<Option<Chunk>, ReadError> {
        let Some(segment) = self.open_segment(shared, place.segment)? else {
            return Ok(None);
        };
        match segment.chunk(place.position, end, len) {
            Ok(chunk) => Ok(Some(chunk)),
            Err(fault) => Err(fault.into_read_error(shared, place.segment)),
        }
    }

    fn open_segment(&mut self, shared: &Shared, number: u64) -> Result<Option<&SegmentFile>, ReadError> {
        if self.open.as_ref().is_none_or(|open| open.number != number) {
            self.open = open_segment(shared, number)?;
        }
        Ok(self.open.as_ref())
    }

    /// Takes what is wanted out of a chunk, until the bytes are enough.
    fn take_entries(
        &mut self,
        shared: &Shared,
        segment: u64,
        mut chunk: Chunk,
        bytes_max: usize,
        entries: &mut Vec<LogEntry>,
    ) -> Result<(), ReadError> {
        let fault = |fault: ChunkFault| fault.into_read_error(shared, segment);
        let mut bytes = 0_usize;
        while let Some(frame) = chunk.peek().map_err(fault)? {
            let header = frame.header;
            let slot = self.wanted.get_mut(usize::from(header.partition.0)).and_then(Option::as_mut);
            if let Some(next) = slot.filter(|next| **next <= header.offset) {
                if *next != header.offset {
                    return Err(damaged(shared, Place { segment, position: chunk.position() }));
                }
                let body = chunk.body(&frame).map_err(fault)?;
                bytes = bytes.saturating_add(body.len());
                if bytes > bytes_max && !entries.is_empty() {
                    break;
                }
                *next = next.next();
                let (partition, offset, time) = (header.partition, header.offset, header.time);
                entries.push(LogEntry { partition, offset, time, bytes: body });
            }
            chunk.skip(&frame);
        }
        self.place = Some(Place { segment, position: chunk.position() });
        Ok(())
    }
}

/// The first offset whose record was taken at or after `time`; the end if there is none.
pub(super) fn offset_at(shared: &Shared, partition: PartitionId, time: Timestamp) -> Result<Offset, ReadError> {
    loop {
        let (number, from, end, bounds) = {
            let segments = shared.segments.read();
            let bounds = segments.bounds(partition);
            let Some((number, from)) = segments.seek_time(shared.head_len, partition, time) else {
                return Ok(bounds.end);
            };
            (number, from, segments.get(number).map_or(0, |index| index.file_end), bounds)
        };
        let Some(segment) = open_segment(shared, number)? else {
            continue;
        };
        let fault = |fault: ChunkFault| fault.into_read_error(shared, number);
        let (mut position, mut next) = (from.position, from.next);
        while position < end {
            let mut chunk = segment.chunk(position, end, CHUNK_MIN).map_err(fault)?;
            while let Some(frame) = chunk.peek().map_err(fault)? {
                if frame.header.time >= time {
                    return Ok(next.max(bounds.start));
                }
                if frame.header.partition == partition {
                    next = frame.header.offset.next();
                }
                chunk.skip(&frame);
            }
            position = chunk.position();
        }
        return Ok(next.max(bounds.start));
    }
}

/// Opens the file of a segment; `None` if retention has just removed it.
fn open_segment(shared: &Shared, number: u64) -> Result<Option<SegmentFile>, ReadError> {
    match shared.folder.open(&segment_name(number)) {
        Ok(file) => Ok(Some(SegmentFile::new(shared.meta.log, number, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let expected = shared.segments.read().get(number).is_some();
            if expected { Err(ReadError::Unavailable(error.into())) } else { Ok(None) }
        }
        Err(error) => Err(ReadError::Unavailable(error.into())),
    }
}

fn damaged(shared: &Shared, place: Place) -> ReadError {
    let path = shared.folder.path(&segment_name(place.segment));
    ReadError::Damaged(DamagedAt { path, position: u64::from(place.position) }.into())
}

impl ChunkFault {
    fn into_read_error(self, shared: &Shared, segment: u64) -> ReadError {
        match self {
            Self::Io(error) => ReadError::Unavailable(error.into()),
            Self::Damaged(position) => damaged(shared, Place { segment, position }),
        }
    }
}
