//! Opens a log folder: checks that all of it is there and fits together, settles the end of the last segment, or makes a new
//! log. What is in the folder decides; nothing is guessed, and nothing is changed before everything has been checked.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use anser_types::{LogId, PartitionCount, Timestamp};

use super::config::LogConfig;
use super::error::OpenError;
use super::files::{Folder, LogFile, is_aside, read_all, read_block, write_block, write_whole};
use super::head::{SegmentHead, index_name, segment_name, segment_number};
use super::index::SegmentIndex;
use super::meta::{META_NAME, Meta};
use super::scan::{Scan, Tail, scan};
use super::segment::{make_space, name_segment};

/// A folder that is ready to be used.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) meta: Meta,
    /// The segments that are complete, oldest first.
    pub(super) whole: VecDeque<Arc<SegmentIndex>>,
    /// The last segment; everything that its index names is durable.
    pub(super) active: SegmentIndex,
    pub(super) file: Arc<dyn LogFile>,
}

/// What a new log is born with, and what an existing one must agree with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Birth {
    pub(super) partitions: PartitionCount,
    /// The id of the log, if it is made now.
    pub(super) log: LogId,
    pub(super) now: Timestamp,
}

/// Opens the folder, or makes a log in it if it is empty.
pub(super) fn open_folder(folder: &dyn Folder, birth: Birth, config: &LogConfig) -> Result<Opened, OpenError> {
    let names = folder.list().map_err(io_error(folder, "list", ""))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let has_meta = names.iter().any(|name| name == META_NAME);
    let opened = match (has_meta, numbers.as_slice()) {
        (true, numbers) => Opener { folder, config, meta: read_meta(folder, birth.partitions)? }.open(numbers),
        // The file `meta` is written last, so without it there is at most the first segment of a log that was being made.
        (false, [] | [1]) => make_log(folder, birth, config),
        (false, _) => Err(OpenError::Missing { path: folder.path(META_NAME) }),
    }?;
    names.iter().filter(|name| is_aside(name)).try_for_each(|name| remove(folder, name))?;
    Ok(opened)
}

/// Removes a file that was never given its name, unless the opening has just used it up.
fn remove(folder: &dyn Folder, name: &str) -> Result<(), OpenError> {
    match folder.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(folder, "remove", name)(error)),
        _ => Ok(()),
    }
}

fn make_log(folder: &dyn Folder, birth: Birth, config: &LogConfig) -> Result<Opened, OpenError> {
    let meta = Meta { log: birth.log, partitions: birth.partitions };
    refuse_records(folder)?;
    let head = SegmentHead {
        log: birth.log,
        number: 1,
        floor: birth.now,
        start: vec![0; usize::from(birth.partitions.get())],
    };
    let name = segment_name(1);
    let file = make_space(folder, config.segment_bytes_of(1)).map_err(io_error(folder, "make", &name))?;
    name_segment(folder, &*file, &head).map_err(io_error(folder, "make", &name))?;
    write_whole(folder, META_NAME, &meta.encode()).map_err(io_error(folder, "make", META_NAME))?;
    let active = SegmentIndex::empty(&head, head_len(birth.partitions));
    Ok(Opened { meta, whole: VecDeque::new(), active, file })
}

/// A first segment without `meta` is what a crash leaves while a log is made; it has no records then.
fn refuse_records(folder: &dyn Folder) -> Result<(), OpenError> {
    let name = segment_name(1);
    let Ok(file) = folder.open(&name) else {
        return Ok(());
    };
    let bytes = read_all(&*file, u64::from(u32::MAX)).map_err(io_error(folder, "read", &name))?;
    let longest_head = SegmentHead::encoded_len(PartitionCount::new(256).unwrap_or(PartitionCount::EMBEDDED));
    if bytes.iter().skip(longest_head).any(|byte| *byte != 0) {
        return Err(OpenError::Missing { path: folder.path(META_NAME) });
    }
    Ok(())
}

fn read_meta(folder: &dyn Folder, asked: PartitionCount) -> Result<Meta, OpenError> {
    let failed = io_error(folder, "read", META_NAME);
    let bytes = folder.open(META_NAME).and_then(|file| read_all(&*file, 4096)).map_err(failed)?;
    let meta = Meta::decode(&bytes)
        .map_err(|fault| OpenError::Damaged { path: folder.path(META_NAME), what: fault.to_string() })?;
    if meta.partitions != asked {
        return Err(OpenError::partitions(folder.path(""), meta.partitions, asked));
    }
    Ok(meta)
}

/// The length of a segment's header, which is where its first frame lies.
pub(super) fn head_len(partitions: PartitionCount) -> u32 {
    u32::try_from(SegmentHead::encoded_len(partitions)).expect("a header has at most 2 KiB")
}

struct Opener<'a> {
    folder: &'a dyn Folder,
    config: &'a LogConfig,
    meta: Meta,
}

impl Opener<'_> {
    fn open(self, numbers: &[u64]) -> Result<Opened, OpenError> {
        let Some((&last, whole_numbers)) = numbers.split_last() else {
            return Err(OpenError::Missing { path: self.folder.path(&segment_name(1)) });
        };
        let mut whole: VecDeque<Arc<SegmentIndex>> = VecDeque::new();
        for &number in whole_numbers {
            let (head, file) = self.open_segment(number, whole.back().map(|index| &**index))?;
            whole.push_back(Arc::new(self.whole_index(&head, &*file)?));
        }
        let (head, file) = self.open_segment(last, whole.back().map(|index| &**index))?;
        let active = self.settle_last(&head, &*file)?;
        Ok(Opened { meta: self.meta, whole, active, file })
    }

    /// Opens a segment file and checks that it continues the one before it.
    fn open_segment(
        &self,
        number: u64,
        before: Option<&SegmentIndex>,
    ) -> Result<(SegmentHead, Arc<dyn LogFile>), OpenError> {
        if let Some(due) = before.map(|before| before.number.saturating_add(1)).filter(|due| *due != number) {
            return Err(OpenError::Missing { path: self.folder.path(&segment_name(due)) });
        }
        let name = segment_name(number);
        let failed = |doing| io_error(self.folder, doing, &name);
        let file = self.folder.open(&name).map_err(failed("open"))?;
        let bytes = read_block(&*file, 0, SegmentHead::encoded_len(self.meta.partitions)).map_err(failed("read"))?;
        let head = SegmentHead::decode(&bytes, self.meta.log, self.meta.partitions, number)
            .map_err(|fault| self.damaged(number, fault.to_string()))?;
        if let Some(before) = before.filter(|before| before.end != head.start || before.last_time > head.floor) {
            let what = format!("it does not continue segment {}, whose last records are lost", before.number);
            return Err(self.damaged(number, what));
        }
        Ok((head, file))
    }

    /// The index of a segment that is not the last: from its file, or made again.
    fn whole_index(&self, head: &SegmentHead, file: &dyn LogFile) -> Result<SegmentIndex, OpenError> {
        let name = segment_name(head.number);
        let len = file.len().map_err(io_error(self.folder, "look at", &name))?;
        if let Some(index) = self.stored_index(head).filter(|index| u64::from(index.file_end) == len) {
            return Ok(index);
        }
        tracing::warn!(file = %self.folder.path(&name).display(), "making the index of a log segment again");
        let index = self.scan(head, file, Tail::IsWhole)?.1.index;
        store_index(self.folder, &index, self.meta.log);
        Ok(index)
    }

    fn stored_index(&self, head: &SegmentHead) -> Option<SegmentIndex> {
        let file = self.folder.open(&index_name(head.number)).ok()?;
        let bytes = read_all(&*file, u64::from(u32::MAX)).ok()?;
        SegmentIndex::decode(&bytes, head)
    }

    fn scan(&self, head: &SegmentHead, file: &dyn LogFile, tail: Tail) -> Result<(Vec<u8>, Scan), OpenError> {
        let name = segment_name(head.number);
        let bytes = read_all(file, u64::from(u32::MAX)).map_err(io_error(self.folder, "read", &name))?;
        let found = scan(&bytes, head, head_len(self.meta.partitions), tail, self.config.checkpoint_every_bytes)
            .map_err(|damage| self.damaged(head.number, damage.to_string()))?;
        Ok((bytes, found))
    }

    /// Cuts the torn end of the last segment, and makes sure that all before it is durable.
    ///
    /// What was read may so far exist in the page cache alone: written by a process that died before its sync, or whose
    /// sync failed, after which the kernel calls the pages clean. So the newest commit, the only one in doubt, is
    /// written once more and synced before anybody sees it.
    fn settle_last(&self, head: &SegmentHead, file: &dyn LogFile) -> Result<SegmentIndex, OpenError> {
        let (bytes, found) = self.scan(head, file, Tail::MayBeTorn)?;
        let name = segment_name(head.number);
        let failed = |doing| io_error(self.folder, doing, &name);
        let end = found.index.file_end;
        if found.torn {
            let cut = bytes.len() as u64 - u64::from(end).min(bytes.len() as u64);
            tracing::warn!(
                file = %self.folder.path(&name).display(), position = end, bytes = cut,
                "cut the torn end of the log: a write that was never acknowledged"
            );
            file.set_len(u64::from(end)).map_err(failed("cut"))?;
        }
        let newest = usize::try_from(found.last_commit).ok().zip(usize::try_from(end).ok());
        let newest = newest.and_then(|(from, to)| bytes.get(from..to)).unwrap_or_default();
        write_block(file, newest, u64::from(found.last_commit)).map_err(failed("write"))?;
        file.sync_all().map_err(failed("sync"))?;
        Ok(found.index)
    }

    fn damaged(&self, number: u64, what: String) -> OpenError {
        OpenError::Damaged { path: self.folder.path(&segment_name(number)), what }
    }
}

/// Writes the index of a full segment beside it. Failing is no harm: the next start makes it again.
pub(super) fn store_index(folder: &dyn Folder, index: &SegmentIndex, log: LogId) {
    let name = index_name(index.number);
    if let Err(error) = write_whole(folder, &name, &index.encode(log)) {
        tracing::warn!(file = %folder.path(&name).display(), %error, "cannot write the index of a log segment");
    }
}

fn io_error(folder: &dyn Folder, doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> OpenError {
    let path = folder.path(name);
    move |source| OpenError::Io { doing, path, source }
}
