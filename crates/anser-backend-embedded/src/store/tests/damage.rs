//! What is not opened, and why.

use std::fs;

use anser_backend::Mailbox;
use anser_types::{LogId, Position};
use tempfile::TempDir;

use crate::store::disk::{Batch, Disk, Table};
use crate::store::{EmbeddedStore, StoreOpenError, StoreOptions};

fn open(folder: &TempDir, log: u64) -> Result<std::sync::Arc<EmbeddedStore>, StoreOpenError> {
    EmbeddedStore::open(folder.path(), StoreOptions::default(), LogId(log))
}

#[test]
fn a_store_of_another_log_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    open(&folder, 1).unwrap().close().unwrap();
    let refused = open(&folder, 2).unwrap_err();
    assert!(matches!(refused, StoreOpenError::OtherLog { found: LogId(1), asked: LogId(2), .. }), "{refused}");
    assert!(refused.to_string().contains("0000000000000001"), "{refused}");
    open(&folder, 1).unwrap();
}

#[test]
fn a_store_that_is_in_use_is_refused() {
    let folder = TempDir::new().unwrap();
    let _open = open(&folder, 1).unwrap();
    assert!(matches!(open(&folder, 1).unwrap_err(), StoreOpenError::Database { .. }));
}

#[test]
fn a_missing_flush_shows_as_damage() {
    for hole in [3, 5] {
        let folder = TempDir::new().unwrap();
        let disk = || Disk::open(folder.path(), &StoreOptions::default(), LogId(1), Default::default());
        let open = disk().unwrap();
        for _ in 0..4 {
            open.flush(&Batch::default()).unwrap();
        }
        let mut batch = Batch::default();
        let mut key = vec![crate::store::disk::CHAIN_PREFIX];
        key.extend_from_slice(&u64::to_be_bytes(hole));
        batch.remove(Table::Timelines, key);
        open.write(&batch).unwrap();
        drop(open);
        let refused = disk().unwrap_err();
        assert!(matches!(refused, StoreOpenError::Damaged { .. }), "{refused}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = EmbeddedStore::open(&file, StoreOptions::default(), LogId(1)).unwrap_err();
    assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
}

/// The rows of before name an offset for each partition and no claim. Without a claim there is nothing to go on from; the log
/// is read from its beginning then, and the marks of the buckets skip what is there.
#[test]
fn old_bytes_stay_readable_positions_without_a_claim_are_none() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path(), &StoreOptions::default(), LogId(1), Default::default()).unwrap();
    let mut batch = Batch::default();
    batch.insert(Table::Meta, [b'p', 1], [&[1, 0][..], &4_u64.to_be_bytes(), &[1], &5_u64.to_be_bytes()].concat());
    disk.flush(&batch).unwrap();
    drop(disk);
    open(&folder, 1).unwrap();
}

/// As after a disk that was full: nothing that was applied is lost, and the store goes on by itself.
#[tokio::test]
async fn a_database_that_failed_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let options = StoreOptions { flush_interval: std::time::Duration::from_secs(3600), ..StoreOptions::default() };
    let store = EmbeddedStore::open(folder.path(), options, LogId(1)).unwrap();
    let (user, other) = (crate::store::format::tests::bob(), Position(7));
    store.lift(&user, Position(5)).await.unwrap();
    store.inner.disk.fail();
    assert!(store.lift(&user, other).await.unwrap_err().is_retryable());
    store.flush().unwrap();
    store.lift(&user, other).await.unwrap();
    assert_eq!(Mailbox::head(&*store, &user).await.unwrap(), other);
}
