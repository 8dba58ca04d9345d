//! Why the store does not open, and how errors of the database below become errors of the ports.

use std::path::PathBuf;

use anser_backend::StoreError;
use anser_types::LogId;
use anser_types::codec::DecodeError;

/// Why a store folder is not opened. Nothing in the folder was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// The database below cannot be opened.
    #[error("cannot open the store in {}", path.display())]
    Database {
        /// The folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was derived from another log; its positions mean nothing in this one.
    #[error(
        "the store in {} was made from log {:016x}, but the log is {:016x}. Put the log back that belongs to it, or move the store \
         folder away: it is made anew from the log as far back as that reaches",
        path.display(), found.0, asked.0
    )]
    OtherLog {
        /// The folder.
        path: PathBuf,
        /// The log that the store was made from.
        found: LogId,
        /// The log that it was to be used with.
        asked: LogId,
    },
    /// Writes are missing between others that are there.
    #[error(
        "the store in {} is damaged: {what}. Restore the data folder from a backup, or move the store folder away: it is made anew \
         from the log as far back as that reaches",
        path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A thread could not be started.
    #[error("cannot start the thread that writes the store")]
    Thread(#[source] std::io::Error),
}

/// An error of the database below: trouble with files may pass, everything else does not.
pub(super) fn from_database(source: fjall::Error) -> StoreError {
    match source {
        fjall::Error::Io(_) | fjall::Error::Poisoned | fjall::Error::Locked => StoreError::Unavailable(source.into()),
        fjall::Error::Storage(fjall::LsmError::Io(_)) => StoreError::Unavailable(source.into()),
        other => StoreError::Damaged { table: "store", source: other.into() },
    }
}

/// Bytes of a table that cannot be read.
pub(super) fn damaged(table: &'static str) -> impl Fn(DecodeError) -> StoreError {
    move |source| StoreError::Damaged { table, source: source.into() }
}
