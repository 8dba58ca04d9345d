//! Makes segment files, ahead of time where it can.
//!
//! A segment's space is written with zeros before it gets its name: syncing writes into blocks that exist takes about half as
//! long as syncing writes that make a file grow, and the disk cannot run full in the middle of a segment. That the next
//! segment must have room as a whole also leaves some of a full disk to the tables beside the log.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::files::{Folder, LogFile, write_block};
use super::head::{SegmentHead, segment_name};

/// What is written at once: small pieces, each synced, so that commits in between wait for little.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// The name under which the space of a segment is made. Removed at every start.
const SPACE_NAME: &str = "space.new";

/// Makes a file of `bytes` zeros that no segment has taken yet. Leaves nothing behind where that fails.
pub(super) fn make_space(folder: &dyn Folder, bytes: u32) -> io::Result<Arc<dyn LogFile>> {
    let file = folder.create(SPACE_NAME)?;
    match fill(&*file, bytes) {
        Ok(()) => Ok(file),
        Err(error) => {
            folder.remove(SPACE_NAME)?;
            Err(error)
        }
    }
}

fn fill(file: &dyn LogFile, bytes: u32) -> io::Result<()> {
    file.reserve(u64::from(bytes))?;
    let mut position = 0;
    let mut rest = usize::try_from(bytes).unwrap_or(usize::MAX);
    while rest > 0 {
        let piece = ZEROS.get(..rest).unwrap_or(&ZEROS);
        write_block(file, piece, position)?;
        file.sync_data()?;
        position += piece.len() as u64;
        rest -= piece.len();
    }
    file.sync_all()
}

/// Turns space into the segment of `head`. It is durable, under its name, when this returns. After an error nobody knows
/// whether it has its name.
pub(super) fn name_segment(folder: &dyn Folder, file: &dyn LogFile, head: &SegmentHead) -> io::Result<()> {
    write_block(file, &head.encode(), 0)?;
    file.sync_all()?;
    folder.rename(SPACE_NAME, &segment_name(head.number))?;
    folder.sync()
}

/// Space for the next segment, made by a thread of its own while the present one fills.
#[derive(Debug)]
pub(super) struct SpareSpace {
    folder: Arc<dyn Folder>,
    state: Mutex<Spare>,
    changed: Condvar,
}

#[derive(Debug)]
enum Spare {
    /// No thread makes space.
    Off,
    None,
    Wanted(u32),
    Making,
    Ready(Arc<dyn LogFile>),
}

impl SpareSpace {
    pub(super) fn new(folder: Arc<dyn Folder>) -> Arc<Self> {
        Arc::new(Self { folder, state: Mutex::new(Spare::Off), changed: Condvar::new() })
    }

    fn run(&self) {
        while let Some(bytes) = self.next_wanted() {
            let made = make_space(&*self.folder, bytes);
            let mut state = self.state.lock();
            *state = match made {
                _ if matches!(*state, Spare::Off) => Spare::Off,
                Ok(file) => Spare::Ready(file),
                Err(error) => {
                    tracing::warn!(%error, bytes, "cannot make space for the next log segment");
                    Spare::None
                }
            };
            self.changed.notify_all();
        }
    }

    fn next_wanted(&self) -> Option<u32> {
        let mut state = self.state.lock();
        loop {
            match *state {
                Spare::Off => return None,
                Spare::Wanted(bytes) => {
                    *state = Spare::Making;
                    return Some(bytes);
                }
                _ => self.changed.wait(&mut state),
            }
        }
    }

    /// Has space made, unless that is under way, done, or nobody does it.
    pub(super) fn want(&self, bytes: u32) {
        let mut state = self.state.lock();
        if matches!(*state, Spare::None) {
            *state = Spare::Wanted(bytes);
            self.changed.notify_all();
        }
    }

    /// Whether space is being made, so that taking it would wait.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(*self.state.lock(), Spare::Wanted(_) | Spare::Making)
    }

    /// The space that was made ahead, after waiting for it if it is being made; otherwise makes `bytes` of it here.
    pub(super) fn take(&self, bytes: u32) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state.lock();
        while matches!(*state, Spare::Wanted(_) | Spare::Making) {
            self.changed.wait(&mut state);
        }
        if let Spare::Ready(file) = &*state {
            let file = Arc::clone(file);
            *state = Spare::None;
            return Ok(file);
        }
        drop(state);
        make_space(&*self.folder, bytes)
    }
}

/// The thread that makes spare space. Ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(super) struct SpaceMaker {
    spare: Arc<SpareSpace>,
    thread: Option<JoinHandle<()>>,
}

impl SpaceMaker {
    /// Starts the thread. Where that fails, space is made when it is needed, and commits wait for it.
    pub(super) fn start(spare: Arc<SpareSpace>) -> Self {
        *spare.state.lock() = Spare::None;
        let run = Arc::clone(&spare);
        let thread = std::thread::Builder::new().name("anser-log-space".to_owned()).spawn(move || run.run());
        if let Err(error) = &thread {
            tracing::warn!(%error, "cannot start the thread that makes space for log segments");
            *spare.state.lock() = Spare::Off;
        }
        Self { spare, thread: thread.ok() }
    }
}

impl Drop for SpaceMaker {
    fn drop(&mut self) {
        *self.spare.state.lock() = Spare::Off;
        self.spare.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
