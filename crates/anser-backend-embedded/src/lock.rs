//! One process per data folder. Knows nothing of what is in the folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK_NAME: &str = "LOCK";

/// The right to use a data folder, held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    _file: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has the folder. Wait until it has stopped, or use another folder.
    #[error("{} is in use by another process; stop that one first, or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be made or written to.
    #[error("cannot use {} as a data folder", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FolderLock {
    /// Takes the lock of the folder at `path`, which is made, readable by its owner alone, where it is missing.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        create_private_dir(path).map_err(failed)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder and those above it, readable by their owner alone. One that exists is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let lock = FolderLock::take(&path).unwrap();
        let refused = FolderLock::take(&path).unwrap_err();
        assert!(matches!(&refused, LockError::InUse { .. }));
        assert!(refused.to_string().contains("in use by another process"), "{refused}");
        drop(lock);
        FolderLock::take(&path).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_a_folder_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, b"").unwrap();
        let refused = FolderLock::take(&path).unwrap_err();
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
    }
}
