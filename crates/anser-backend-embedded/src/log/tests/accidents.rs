//! What happens to files by accident: changed bytes, missing files, another log's files. Refused loudly, or harmless; never a
//! record less in silence.

use std::error::Error as _;

use super::super::head::{index_name, segment_name};
use super::super::meta::META_NAME;
use super::*;

/// A log of a few segments, and how many records each partition has.
fn filled() -> FakeFolder {
    let folder = FakeFolder::default();
    let mut log = Stepped::open(&folder).unwrap();
    for at in 0..24_u8 {
        log.append(at % 3, &[at; 60]).unwrap();
    }
    assert!(log.shared.segments.read().whole.len() >= 2, "several segments are full");
    folder
}

fn refused(folder: &FakeFolder) -> OpenError {
    Stepped::open(folder).err().expect("the folder is refused")
}

#[test]
fn no_changed_byte_takes_a_record_away_in_silence() {
    let folder = filled();
    let log = Stepped::open(&folder).unwrap();
    let expected = log.read_all().unwrap();
    let (newest, newest_commit) = {
        let segments = log.shared.segments.read();
        // Each commit was one record.
        (segments.active.number, segments.active.file_end as usize - 60 - HEADER_LEN)
    };
    for name in folder.list().unwrap() {
        let good = folder.content(&name).unwrap();
        for at in 0..good.len() {
            if name == segment_name(newest) && at >= newest_commit {
                continue;
            }
            let mut bytes = good.clone();
            bytes[at] ^= 0x20;
            folder.put(&name, bytes);
            let read = Stepped::open(&folder).map(|log| log.read_all());
            match read {
                Err(error) => assert!(error.to_string().contains(&name), "{error}"),
                Ok(Err(error)) => assert!(error.source().unwrap().to_string().contains(&name), "{error}"),
                Ok(Ok(found)) => assert_eq!(found, expected, "{name} byte {at}"),
            }
        }
        folder.put(&name, good);
    }
}

#[test]
fn damage_is_told_with_its_file_its_byte_and_what_to_do() {
    let folder = filled();
    let name = segment_name(1);
    folder.remove(&index_name(1)).unwrap();
    let mut bytes = folder.content(&name).unwrap();
    bytes[200] ^= 1;
    folder.put(&name, bytes);
    let told = refused(&folder).to_string();
    assert!(
        told.contains("00000000000000000001.seg") && told.contains("at byte 160") && told.contains("Restore"),
        "{told}"
    );
}

#[test]
fn a_missing_or_damaged_index_is_made_again() {
    let folder = filled();
    let expected = Stepped::open(&folder).unwrap().read_all().unwrap();
    let good = folder.content(&index_name(1)).unwrap();
    folder.remove(&index_name(1)).unwrap();
    assert_eq!(Stepped::open(&folder).unwrap().read_all().unwrap(), expected);
    assert_eq!(folder.content(&index_name(1)).unwrap(), good);
    folder.put(&index_name(1), good[..good.len() - 1].to_vec());
    assert_eq!(Stepped::open(&folder).unwrap().read_all().unwrap(), expected);
    assert_eq!(folder.content(&index_name(1)).unwrap(), good);
}

#[test]
fn a_start_reads_no_full_segment_and_changes_nothing() {
    let folder = filled();
    let before = (folder.journal_len(), folder.contents());
    Stepped::open(&folder).unwrap();
    // The newest commit is written and synced once more, and that is all.
    assert_eq!(folder.journal_len() - before.0, 2);
    assert_eq!(folder.contents(), before.1);
}

#[test]
fn what_was_cut_off_never_comes_back() {
    let folder = FakeFolder::default();
    let mut log = Stepped::open(&folder).unwrap();
    let torn = log.shared.segments.read().active.file_end as usize;
    let answers = [log.push(0, &[vec![1; 20]]), log.push(0, &[vec![2; 20]])];
    log.committer.step();
    drop((log, answers));
    let mut bytes = folder.content(&segment_name(1)).unwrap();
    bytes[torn] ^= 1;
    folder.put(&segment_name(1), bytes);

    // The next record is as long as the torn one, and the one behind it is whole, with the offset that would be due.
    Stepped::open(&folder).unwrap().append(0, &[3; 20]).unwrap();
    let found = Stepped::open(&folder).unwrap().read_all().unwrap();
    assert_eq!(found[0].iter().map(|entry| entry.bytes[0]).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_missing_file_in_the_middle_is_refused_by_name() {
    let cases = [(META_NAME.to_owned(), META_NAME.to_owned()), (segment_name(2), segment_name(2))];
    for (removed, named) in cases {
        let folder = filled();
        folder.remove(&removed).unwrap();
        let error = refused(&folder);
        assert!(matches!(&error, OpenError::Missing { .. }) && error.to_string().contains(&named), "{error}");
    }
    let folder = filled();
    for name in folder.list().unwrap().iter().filter(|name| name.ends_with(".seg")) {
        folder.remove(name).unwrap();
    }
    assert!(matches!(refused(&folder), OpenError::Missing { .. }));
}

#[test]
fn a_full_segment_that_lost_its_end_is_refused() {
    let folder = filled();
    let name = segment_name(2);
    let bytes = folder.content(&name).unwrap();
    // At a record's end, so that the file by itself looks well.
    folder.put(&name, bytes[..bytes.len() - 60 - HEADER_LEN].to_vec());
    let error = refused(&folder);
    assert!(error.to_string().contains("does not continue segment 2"), "{error}");
}

#[test]
fn another_logs_segment_is_refused() {
    let (folder, other) = (filled(), filled());
    let name = segment_name(3);
    folder.put(&name, other.content(&name).unwrap());
    let error = refused(&folder);
    assert!(error.to_string().contains("another log"), "{error}");
}

#[test]
fn the_number_of_partitions_never_changes() {
    let folder = filled();
    let asked = PartitionCount::EMBEDDED;
    let error = assemble(Arc::new(folder), asked, small(), ticking()).err().expect("the number is refused");
    assert!(matches!(error, OpenError::Partitions { found: 3, asked: 16, .. }), "{error}");
}

#[test]
fn files_of_no_meaning_are_left_alone_and_unfinished_ones_removed() {
    let folder = filled();
    folder.put("notes.txt", b"mine".to_vec());
    folder.put("space.new", vec![0; 100]);
    folder.put("00000000000000000009.idx.new", vec![0; 100]);
    Stepped::open(&folder).unwrap();
    let names = folder.list().unwrap();
    assert!(names.contains(&"notes.txt".to_owned()) && !names.iter().any(|name| name.ends_with(".new")), "{names:?}");
}

#[test]
fn retention_keeps_what_is_young_and_what_anybody_still_needs() {
    let folder = filled();
    let log = Stepped::open(&folder).unwrap();
    let ends: Vec<_> = PARTITIONS.all().map(|partition| (partition, log.bounds(partition).end)).collect();
    let trim = |keep_from: &[(PartitionId, Offset)], before| {
        trim::trim(&log.shared, keep_from, Timestamp(before)).unwrap().segments
    };
    assert_eq!(trim(&ends, 0), 0, "all is young");
    assert_eq!(trim(&ends[..2], u64::MAX), 0, "a partition that nobody named keeps all");
    let needed = [ends[0], ends[1], (PartitionId(2), Offset(0))];
    assert_eq!(trim(&needed, u64::MAX), 0, "somebody still needs the first record of a partition");

    let whole = log.shared.segments.read().whole.len();
    assert_eq!(trim(&ends, u64::MAX), whole, "all full segments go");
    let starts: Vec<_> = PARTITIONS.all().map(|partition| log.bounds(partition)).collect();
    assert!(starts.iter().all(|bounds| bounds.start.0 > 0));
    let reopened = Stepped::open(&folder).unwrap();
    assert!(PARTITIONS.all().map(|partition| reopened.bounds(partition)).eq(starts));
}

#[test]
fn the_owner_alone_can_read_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let lock = Arc::new(FolderLock::take(&path).unwrap());
    drop(SegmentLog::open(lock, PARTITIONS, small(), ticking()).unwrap());
    for (path, mode) in [(path.clone(), 0o700), (path.join("log"), 0o700), (path.join("log/meta"), 0o600)] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}
