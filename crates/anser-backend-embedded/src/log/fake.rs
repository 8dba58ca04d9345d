//! A folder in memory that tears, fills up and fails, for tests.
//!
//! It keeps a journal of all that was done to it, and can say what a machine would find that stopped at any point: after the
//! death of the process (everything that was done is there), or after a loss of power (of what was not synced, any part).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::files::{Folder, LogFile};

/// A folder in memory. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeFolder(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    disk: Mutex<Disk>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    /// What was done since, on top of what was found.
    journal: Vec<Op>,
    found: Option<Box<Self>>,
    faults: Faults,
    /// How many syncs wait because syncs are held.
    waiting: usize,
    bytes_read: usize,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// How many bytes all files together may have.
    pub(super) room: Option<usize>,
    /// The longest write that is done at once.
    pub(super) write_max: Option<usize>,
    pub(super) sync_fails: bool,
    pub(super) cut_fails: bool,
    /// Syncs wait until this is false.
    pub(super) hold_syncs: bool,
}

/// One thing that was done.
#[derive(Debug, Clone)]
enum Op {
    Write { file: usize, position: usize, bytes: Vec<u8> },
    SetLen { file: usize, len: usize },
    SyncFile { file: usize },
    Create { name: String, file: usize },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncFolder,
}

/// How a machine stops.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// The process dies; the kernel keeps what it was told.
    Process,
    /// The power goes; of what was not synced, chance decides, by this seed.
    Power(u64),
}

impl FakeFolder {
    /// How much has been done so far; a point for [`Self::after_stop`].
    pub(super) fn journal_len(&self) -> usize {
        self.0.disk.lock().journal.len()
    }

    /// How many bytes were read from files so far.
    pub(super) fn bytes_read(&self) -> usize {
        self.0.disk.lock().bytes_read
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.0.disk.lock().faults = faults;
        self.0.changed.notify_all();
    }

    /// Waits until a sync is held up.
    pub(super) fn wait_for_held_sync(&self) {
        let mut disk = self.0.disk.lock();
        while disk.waiting == 0 {
            self.0.changed.wait(&mut disk);
        }
    }

    /// The content of a file.
    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.0.disk.lock();
        disk.names.get(name).map(|file| disk.files[*file].clone())
    }

    /// All files with their content.
    pub(super) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.0.disk.lock();
        disk.names.iter().map(|(name, file)| (name.clone(), disk.files[*file].clone())).collect()
    }

    /// Replaces the content of a file, or makes it, as an accident would.
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.0.disk.lock();
        let file = disk.files.len();
        disk.files.push(bytes);
        disk.names.insert(name.to_owned(), file);
    }

    /// What is found after a stop that came when `done` operations were done, and of the next one, if it is a write,
    /// `bytes` bytes. A new folder, without faults and with an empty journal.
    pub(super) fn after_stop(&self, done: usize, bytes: usize, stop: Stop) -> Self {
        let disk = self.0.disk.lock();
        let mut ops: Vec<Op> = disk.journal.iter().take(done).cloned().collect();
        if let Some(Op::Write { file, position, bytes: all }) = disk.journal.get(done) {
            let part = all[..bytes.min(all.len())].to_vec();
            ops.push(Op::Write { file: *file, position: *position, bytes: part });
        }
        let (mut files, names) = match &disk.found {
            Some(found) => (found.files.clone(), found.names.clone()),
            None => (Vec::new(), BTreeMap::new()),
        };
        files.resize(disk.files.len(), Vec::new());
        let mut image = Image { ops: &ops, files, names };
        match stop {
            Stop::Process => image.keep_all(),
            Stop::Power(seed) => image.keep_some(Chance(seed | 1)),
        }
        let found = || Disk { names: image.names.clone(), files: image.files.clone(), ..Disk::default() };
        let disk = Disk { found: Some(Box::new(found())), ..found() };
        Self(Arc::new(Inner { disk: Mutex::new(disk), changed: Condvar::new() }))
    }
}

impl Disk {
    fn file_of(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn apply(&mut self, op: Op) {
        apply(&op, &mut self.files, &mut self.names);
        self.journal.push(op);
    }

    /// How much of a write that ends at `end` has room.
    fn room(&self, file: usize, position: usize, len: usize) -> usize {
        let Some(room) = self.faults.room else {
            return len;
        };
        let used: usize = self.names.values().map(|file| self.files[*file].len()).sum();
        let free = room.saturating_sub(used);
        len.min((self.files[file].len() + free).saturating_sub(position))
    }
}

fn apply(op: &Op, files: &mut [Vec<u8>], names: &mut BTreeMap<String, usize>) {
    match op {
        Op::Write { file, position, bytes } => put_bytes(&mut files[*file], *position, bytes),
        Op::SetLen { file, len } => files[*file].resize(*len, 0),
        Op::Create { name, file } => drop(names.insert(name.clone(), *file)),
        Op::Rename { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Op::Remove { name } => drop(names.remove(name)),
        Op::SyncFile { .. } | Op::SyncFolder => {}
    }
}

fn put_bytes(file: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    file.resize(file.len().max(position + bytes.len()), 0);
    file[position..position + bytes.len()].copy_from_slice(bytes);
}

struct Image<'a> {
    ops: &'a [Op],
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
}

impl Image<'_> {
    fn keep_all(&mut self) {
        for op in self.ops {
            apply(op, &mut self.files, &mut self.names);
        }
    }

    /// Keeps what was synced; of later writes any sectors, of later lengths and removals any, of later names a
    /// first part.
    fn keep_some(&mut self, mut chance: Chance) {
        let synced = |at: usize, file: usize| {
            self.ops[at..].iter().any(|op| matches!(op, Op::SyncFile { file: synced } if *synced == file))
        };
        let folder_synced = self.ops.iter().rposition(|op| matches!(op, Op::SyncFolder));
        let mut names_kept = true;
        for (at, op) in self.ops.iter().enumerate() {
            match op {
                Op::Write { file, position, bytes } if !synced(at, *file) => {
                    for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                        if chance.half() {
                            put_bytes(&mut self.files[*file], position + sector * SECTOR, part);
                        }
                    }
                }
                Op::SetLen { file, .. } if !synced(at, *file) && chance.half() => {}
                Op::Remove { .. } if folder_synced.is_none_or(|synced| at > synced) => {
                    if chance.half() {
                        apply(op, &mut self.files, &mut self.names);
                    }
                }
                Op::Create { .. } | Op::Rename { .. } if folder_synced.is_none_or(|synced| at > synced) => {
                    names_kept &= chance.half();
                    if names_kept {
                        apply(op, &mut self.files, &mut self.names);
                    }
                }
                op => apply(op, &mut self.files, &mut self.names),
            }
        }
    }
}

/// Smaller than a real one, so that small records tear too.
const SECTOR: usize = 32;

/// A few random bits, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn half(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
    }
}

impl Folder for FakeFolder {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.disk.lock().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = self.0.disk.lock().file_of(name)?;
        Ok(Arc::new(FakeFile { folder: self.clone(), file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.0.disk.lock();
        let file = disk.files.len();
        disk.files.push(Vec::new());
        disk.apply(Op::Create { name: name.to_owned(), file });
        Ok(Arc::new(FakeFile { folder: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.disk.lock();
        disk.file_of(from)?;
        disk.apply(Op::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.disk.lock();
        disk.file_of(name)?;
        disk.apply(Op::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.disk.lock().apply(Op::SyncFolder);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("fake").join(name)
    }
}

#[derive(Debug)]
struct FakeFile {
    folder: FakeFolder,
    file: usize,
}

impl LogFile for FakeFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.folder.0.disk.lock().files[self.file].len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut disk = self.folder.0.disk.lock();
        let rest = disk.files[self.file].get(usize::try_from(position).unwrap()..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        disk.bytes_read += len;
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], position: u64) -> io::Result<usize> {
        let position = usize::try_from(position).unwrap();
        let mut disk = self.folder.0.disk.lock();
        let len = disk.room(self.file, position, buf.len().min(disk.faults.write_max.unwrap_or(usize::MAX)));
        if len == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.apply(Op::Write { file: self.file, position, bytes: buf[..len].to_vec() });
        Ok(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let disk = self.folder.0.disk.lock();
        let len = usize::try_from(len).unwrap();
        if disk.room(self.file, 0, len) < len { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.folder.0.disk.lock();
        if disk.faults.cut_fails {
            return Err(io::Error::other("injected"));
        }
        disk.apply(Op::SetLen { file: self.file, len: usize::try_from(len).unwrap() });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.folder.0.disk.lock();
        disk.waiting += 1;
        self.folder.0.changed.notify_all();
        while disk.faults.hold_syncs {
            self.folder.0.changed.wait(&mut disk);
        }
        disk.waiting -= 1;
        if disk.faults.sync_fails {
            return Err(io::Error::other("injected"));
        }
        disk.apply(Op::SyncFile { file: self.file });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
