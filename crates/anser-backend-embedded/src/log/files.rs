//! The few file operations that the log needs, behind a seam: tests put a folder behind it that tears, fills up and fails.
//! Knows nothing of what is written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// A folder of files, and nothing else in it.
pub(super) trait Folder: Send + Sync + std::fmt::Debug {
    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// Makes an empty file, in place of any that has the name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync(&self) -> io::Result<()>;
    /// How an operator finds a file.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file. Positions are explicit, so readers and the writer never disturb each other.
pub(super) trait LogFile: Send + Sync + std::fmt::Debug {
    fn len(&self) -> io::Result<u64>;
    /// Reads at most `buf.len()` bytes; 0 at the end.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes a first part of `buf`, and says how much.
    fn write_at(&self, buf: &[u8], position: u64) -> io::Result<usize>;
    /// Sets disk space aside for the first `len` bytes, all of it or, where there is not that much, none.
    fn reserve(&self, len: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the content durable, and the length as far as reading needs it.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// Reads up to `len` bytes from `position` on; fewer only where the file ends.
pub(super) fn read_block(file: &dyn LogFile, position: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut block = vec![0; len];
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

/// Reads a whole file; refuses one that is longer than `len_max`.
pub(super) fn read_all(file: &dyn LogFile, len_max: u64) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    match usize::try_from(len) {
        Ok(len) if len as u64 <= len_max => read_block(file, 0, len),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{len} bytes are too many"))),
    }
}

/// Writes all of `bytes` at `position`. After an error any first part of them may have been written.
pub(super) fn write_block(file: &dyn LogFile, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, position) {
            Ok(0) => return Err(io::ErrorKind::StorageFull.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                position = position.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a file aside, makes it durable and gives it its name: afterwards it is there whole, or not at all.
pub(super) fn write_whole(folder: &dyn Folder, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn LogFile>> {
    let aside = aside_name(name);
    let file = folder.create(&aside)?;
    write_block(&*file, bytes, 0)?;
    file.sync_all()?;
    folder.rename(&aside, name)?;
    folder.sync()?;
    Ok(file)
}

const ASIDE: &str = ".new";

fn aside_name(name: &str) -> String {
    format!("{name}{ASIDE}")
}

/// Whether a file is one that was never given its name: left over by a crash, and worth nothing.
pub(super) fn is_aside(name: &str) -> bool {
    name.ends_with(ASIDE)
}

/// Whether an error says that there is no room: for data, within a quota, or within a limit on the size of a file.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A folder of the file system.
#[derive(Debug)]
pub(super) struct DiskFolder {
    path: PathBuf,
}

impl DiskFolder {
    /// Opens the folder, and makes it (readable by its owner alone) where it is missing.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        if !path.is_dir() {
            crate::lock::create_private_dir(&path)?;
            if let Some(parent) = path.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { path })
    }
}

impl Folder for DiskFolder {
    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        Ok(Arc::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(self.path(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl LogFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, position)
    }

    fn write_at(&self, buf: &[u8], position: u64) -> io::Result<usize> {
        FileExt::write_at(self, buf, position)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len) {
            // Some file systems cannot; writing then shows whether there is room.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }
}
