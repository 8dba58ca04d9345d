//! Makes segment files.
//!
//! A segment's space is written with zeros before it gets its name: syncing writes into blocks that exist takes about half as
//! long as syncing writes that make a file grow, and the disk cannot run full in the middle of a segment.

use std::io;
use std::sync::Arc;

use super::files::{Folder, LogFile, write_block};
use super::head::{SegmentHead, segment_name};

const ZEROS: &[u8] = &[0; 256 * 1024];

/// The name under which the space of a segment is prepared. Removed at every start.
const PREPARED_NAME: &str = "space.new";

/// Makes a file of `bytes` zeros that no segment has taken yet, replacing any other such file.
pub(super) fn prepare_space(folder: &dyn Folder, bytes: u32) -> io::Result<Arc<dyn LogFile>> {
    let file = folder.create(PREPARED_NAME)?;
    let mut position = 0;
    let end = u64::from(bytes);
    while position < end {
        let len = usize::try_from(end - position)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        write_block(&*file, ZEROS.get(..len).unwrap_or_default(), position)?;
        position += len as u64;
    }
    file.sync_all()?;
    Ok(file)
}

/// Turns prepared space into the segment of `head`. It is durable, under its name, when this returns.
pub(super) fn name_segment(
    folder: &dyn Folder,
    file: &dyn LogFile,
    head: &SegmentHead,
) -> io::Result<()> {
    write_block(file, &head.encode(), 0)?;
    file.sync_all()?;
    folder.rename(PREPARED_NAME, &segment_name(head.number))?;
    folder.sync()
}

/// Makes a segment with so many bytes of space. It is durable, under its name, when this returns.
pub(super) fn create_segment(
    folder: &dyn Folder,
    head: &SegmentHead,
    bytes: u32,
) -> io::Result<Arc<dyn LogFile>> {
    let file = prepare_space(folder, bytes)?;
    name_segment(folder, &*file, head)?;
    Ok(file)
}
