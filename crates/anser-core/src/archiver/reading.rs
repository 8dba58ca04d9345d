//! Reading from the log what was not told, or found no room: one reader for all partitions that lag.

use std::collections::BTreeSet;

use anser_backend::LogEntry;
use anser_types::codec::Reader;
use anser_types::record::{Header, Record};
use anser_types::{Offset, PartitionId};

use super::{Archiver, ArchiverError, Effect, Item, Partition, Stage};

/// How long to leave a log alone that cannot be read, in milliseconds.
const PAUSE_MS: u64 = 200;

/// The reader.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The number of the reader that is open, and of which partitions it reads.
    pub(super) number: u64,
    of: Vec<PartitionId>,
    /// Whether an answer is awaited.
    is_asked: bool,
    pub(super) is_paused: bool,
}

impl Reading {
    /// What is read of the partition may not be where reading goes on when it comes back.
    pub(super) fn close_if_of(&mut self, partition: PartitionId) {
        if self.of.contains(&partition) {
            self.of.clear();
        }
    }
}

impl Archiver {
    /// Whether there is room for what is read.
    pub(super) const fn may_read(&self) -> bool {
        self.kept_bytes <= self.config.kept_bytes_max / 2
    }

    /// Reads on if a partition lags and there is room.
    pub(super) fn read_more(&mut self, effects: &mut Vec<Effect>) {
        if self.reading.is_asked || self.reading.is_paused || !self.may_read() {
            return;
        }
        let lagging = |(_, known): &(&PartitionId, &Partition)| {
            known.stage == Stage::Reading && !known.is_leaving && !known.is_stuck()
        };
        let from: Vec<(PartitionId, Offset)> =
            self.partitions.iter().filter(lagging).map(|(partition, known)| (*partition, known.read_at)).collect();
        if from.is_empty() {
            self.reading.of.clear();
            return;
        }
        self.reading.is_asked = true;
        let is_open = from.iter().map(|(partition, _)| partition).eq(&self.reading.of);
        if is_open {
            effects.push(Effect::Read(self.reading.number, Vec::new()));
            return;
        }
        self.reading.number += 1;
        self.reading.of = from.iter().map(|(partition, _)| *partition).collect();
        effects.push(Effect::Read(self.reading.number, from));
    }

    pub(super) fn not_read(&mut self, number: u64, effects: &mut Vec<Effect>) {
        if number == self.reading.number {
            self.reading.is_asked = false;
            self.reading.is_paused = true;
            self.reading.of.clear();
            effects.push(Effect::PauseReading(PAUSE_MS));
        }
    }

    pub(super) fn read(
        &mut self,
        number: u64,
        entries: Vec<LogEntry>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ArchiverError> {
        if number != self.reading.number {
            return Ok(());
        }
        self.reading.is_asked = false;
        if entries.is_empty() {
            let read = std::mem::take(&mut self.reading.of);
            for partition in read {
                let known = self.partitions.get_mut(&partition).filter(|known| known.stage == Stage::Reading);
                if let Some(known) = known
                    && !known.catch_up(partition)?
                {
                    // The reader stays open: there is more by now.
                    self.reading.of.push(partition);
                }
            }
            return Ok(());
        }
        let mut touched = BTreeSet::new();
        for entry in entries {
            let Some(known) = self.partitions.get_mut(&entry.partition) else { continue };
            if known.stage == Stage::Reading && known.read_at == entry.offset {
                touched.insert(entry.partition);
                self.kept_bytes += known.take_read(entry)?;
            }
        }
        for partition in touched {
            self.pump(partition, effects);
        }
        Ok(())
    }
}

impl Partition {
    /// Takes what lies at the place that is read next. Returns the bytes that it keeps.
    fn take_read(&mut self, entry: LogEntry) -> Result<usize, ArchiverError> {
        let LogEntry { partition, offset, bytes, .. } = entry;
        let bad = |source| ArchiverError::Record { partition, offset, source };
        self.read_at = offset.next();
        if offset < self.next {
            // Taken already: it only says which claim is the newest.
            let (header, _) = Header::decode(&mut Reader(bytes)).map_err(bad)?;
            self.fence.admits_kind(offset, header, header.is_claim());
            return Ok(0);
        }
        let record = Record::decode(bytes.clone()).map_err(bad)?;
        if !self.fence.admits(offset, record.header, &record.body) {
            self.next = offset.next();
            return Ok(0);
        }
        let kept = bytes.len();
        self.put(Item::of_read(offset, bytes, record));
        Ok(kept)
    }
}
