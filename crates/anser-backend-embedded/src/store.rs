//! The embedded store: mailbox, history and directory of a single node, in one folder.
//!
//! Everything here is derived from the log. Timelines, lists and history live in memory first and go to disk a little later,
//! many changes at once; what a crash takes, the log brings again. Keeps *nothing-twice* and *no-gap* of its part, and knows
//! nothing of what records say.
//!
//! # What holds after a crash
//!
//! A flush writes rows, marks and replay positions of one moment in one atomic batch. A replay from those positions gives
//! every user the entries that came after that moment again. They get the *same* positions in the timeline, and a list the same
//! counts, provided that the entries of each user come in the same order as before: the order of the log, over all
//! partitions, in which one batch may name a partition more than once. So nothing that a client was shown before the crash is
//! shown again at another place. A lift is on disk, with its place among the entries, before it takes effect. Until a replay is
//! finished reads show less than before, so nobody should be served until then.
//!
//! Directory changes go to disk at once; each view knows which records it contains.
//!
//! # What the disk may do
//!
//! The database below keeps a journal, which a flush syncs. It drops a damaged part of it without saying so: see `disk` for how
//! that shows. A store that does not open for damage can be moved away; it is made anew from the log, as far back as that reaches.

mod directory;
mod disk;
mod error;
mod expiry;
mod flush;
mod format;
mod hash;
mod history;
mod mailbox;
mod options;
mod room;
mod thread;
mod window;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use anser_backend::StoreError;
use anser_types::LogId;

use self::directory::DirectoryWriter;
use self::disk::{Disk, Table};
use self::error::damaged;
use self::expiry::ExpiredBefore;
use self::flush::{Flusher, Positions, load_replay_marks};
use self::format::identity::{self, Expiry};
use self::history::HistoryTables;
use self::mailbox::MailboxTables;
use self::room::Room;
use self::thread::Bell;

pub use self::error::StoreOpenError;
pub use self::options::StoreOptions;

/// Mailbox, history and directory in one folder. Dropping it without [`EmbeddedStore::close`] forgets what was not flushed,
/// like a crash.
#[derive(Debug)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    options: StoreOptions,
    disk: Arc<Disk>,
    /// Every change passes as a reader; a flush takes its moment as the writer.
    gate: RwLock<()>,
    mailbox: MailboxTables,
    history: HistoryTables,
    directory: Arc<DirectoryWriter>,
    positions: Mutex<Positions>,
    flusher: Flusher,
    room: Room,
    bell: Bell,
    /// Whether the store's thread died of a defect.
    is_dead: watch::Sender<bool>,
    disk_turns: Arc<Semaphore>,
}

/// A read of the disk ended in a panic; nothing else is the worse for it.
#[derive(Debug, thiserror::Error)]
#[error("a read of the store ended early")]
struct ReadEnded;

impl EmbeddedStore {
    /// Opens the store in `path`, or makes one there, for the log with the id `log`. Blocks. The caller sees to it that no
    /// other process uses the folder.
    pub fn open(path: &Path, options: StoreOptions, log: LogId) -> Result<Arc<Self>, StoreOpenError> {
        let expiries = (ExpiredBefore::default(), ExpiredBefore::default());
        let disk = Disk::open(path, &options, log, expiries.clone())?;
        let failed = |source: StoreError| StoreOpenError::Database { path: path.to_owned(), source: source.into() };
        let inner = Arc::new(Inner::load(disk, options, expiries).map_err(failed)?);
        let thread = thread::start(Arc::clone(&inner))?;
        Ok(Arc::new(Self { inner, thread: Mutex::new(Some(thread)) }))
    }

    /// Returns when the store can write nothing any more, by a defect of its own. Cancel-safe.
    pub async fn failed(&self) {
        // The sender lives as long as the store.
        self.inner.is_dead.subscribe().wait_for(|is_dead| *is_dead).await.ok();
    }

    /// Makes everything durable that was applied before the call. Blocks. The store does this by itself all the time; a
    /// backup may want it now.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    /// Makes everything durable and stops the store's thread. Blocks. Nothing may be applied any more; reads go on.
    pub fn close(&self) -> Result<(), StoreError> {
        self.stop();
        self.inner.flush()?;
        self.inner.disk.sync()
    }

    fn stop(&self) {
        self.inner.bell.stop();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it has been reported by then, and there is nothing left for it to do.
            drop(thread.join());
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn load(
        disk: Disk,
        options: StoreOptions,
        (timelines, history): (ExpiredBefore, ExpiredBefore),
    ) -> Result<Self, StoreError> {
        let stored = disk.get(Table::Meta, identity::EXPIRY_KEY)?;
        let expiry = stored.map_or_else(|| Ok(Expiry::default()), identity::read_expiry).map_err(damaged("expiry"))?;
        timelines.raise(expiry.timelines);
        history.raise(expiry.history);
        let replay = load_replay_marks(&disk)?;
        Ok(Self {
            mailbox: MailboxTables::load(&disk, timelines)?,
            history: HistoryTables::new(history),
            directory: Arc::default(),
            positions: Mutex::new(Positions { present: replay.clone(), durable: replay, is_expiry_changed: false }),
            flusher: Flusher::default(),
            room: Room::new(options.dirty_bytes_max),
            bell: Bell::default(),
            is_dead: watch::Sender::new(false),
            disk_turns: Arc::new(Semaphore::new(options.disk_reads_max.max(1))),
            gate: RwLock::default(),
            disk: Arc::new(disk),
            options,
        })
    }

    /// Counts bytes that are not on disk, and asks for a flush when they are many.
    fn add_dirty(&self, bytes: usize) {
        if self.room.add(bytes) >= self.options.flush_bytes {
            self.bell.ring();
        }
    }

    async fn wait_for_room(&self) -> Result<(), StoreError> {
        self.room.wait().await
    }

    /// Does work that blocks on the disk, on a thread for such work.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = |_| StoreError::Unavailable(ReadEnded.into());
        let turn = Arc::clone(&self.disk_turns).acquire_owned().await.map_err(|_| ended(()))?;
        let disk = Arc::clone(&self.disk);
        let Ok(runtime) = Handle::try_current() else {
            return work(&disk);
        };
        let done = runtime.spawn_blocking(move || {
            let result = work(&disk);
            // Not before the work is done, also if nobody waits for it any more.
            drop(turn);
            result
        });
        done.await.map_err(|_| ended(()))?
    }
}
