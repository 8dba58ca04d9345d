//! A disk that is full, a disk that fails, and a disk that takes its time.

use std::task::Poll;

use super::super::fake::Faults;
use super::*;

/// A log with its thread; the first segment is large enough for a whole test.
fn start(folder: &FakeFolder) -> SegmentLog {
    let config = LogConfig { first_segment_bytes: 4096, ..small() };
    SegmentLog::start(Arc::new(folder.clone()), None, PARTITIONS, config, ticking()).unwrap()
}

#[tokio::test]
async fn acked_is_durable_nothing_is_answered_or_shown_before_the_sync_has_returned() {
    let folder = FakeFolder::default();
    let log = start(&folder);
    folder.set_faults(Faults { hold_syncs: true, ..Faults::default() });
    let mut append = log.append(PartitionId(1), vec![Bytes::from_static(b"a")]);
    folder.wait_for_held_sync();
    assert!(matches!(futures_util::poll!(&mut append), Poll::Pending));
    assert_eq!(log.bounds(PartitionId(1)).await.unwrap().end, Offset(0));
    assert_eq!(log.read_at(PartitionId(1), Offset(0)).await.unwrap(), None);
    assert!(log.reader(vec![(PartitionId(1), Offset(0))]).next(10).await.unwrap().is_empty());

    folder.set_faults(Faults::default());
    assert_eq!(append.await.unwrap(), Offset(0));
    assert_eq!(log.bounds(PartitionId(1)).await.unwrap().end, Offset(1));
}

#[tokio::test]
async fn what_comes_during_a_commit_goes_into_the_next_one_together() {
    let folder = FakeFolder::default();
    let log = start(&folder);
    folder.set_faults(Faults { hold_syncs: true, ..Faults::default() });
    let first = log.append(PartitionId(0), vec![Bytes::from_static(b"a")]);
    folder.wait_for_held_sync();
    let waiting: Vec<_> = (0..5).map(|at| log.append(PartitionId(at % 3), vec![Bytes::from_static(b"b")])).collect();
    let before = folder.journal_len();
    folder.set_faults(Faults::default());
    first.await.unwrap();
    for append in waiting {
        append.await.unwrap();
    }
    // The sync of the first commit, then one write and one sync for all that waited.
    assert_eq!(folder.journal_len() - before, 3);
}

#[test]
fn short_writes_are_finished() {
    let folder = FakeFolder::default();
    let mut log = Stepped::open(&folder).unwrap();
    folder.set_faults(Faults { write_max: Some(7), ..Faults::default() });
    log.append(0, b"a record longer than seven bytes").unwrap();
    let reopened = Stepped::open(&folder).unwrap();
    assert_eq!(&reopened.read_all().unwrap()[0][0].bytes[..], b"a record longer than seven bytes");
}

#[test]
fn a_full_disk_refuses_as_retryable_and_serves_again_by_itself() {
    // In the middle of a write that is larger than its segment, and where the next segment would be made.
    for used in [0, 1, 6] {
        let folder = FakeFolder::default();
        let mut log = Stepped::open(&folder).unwrap();
        for _ in 0..used {
            log.append(0, &[1; 50]).unwrap();
        }
        let now: usize = folder.list().unwrap().iter().map(|name| folder.content(name).unwrap().len()).sum();
        folder.set_faults(Faults { room: Some(now + 40), ..Faults::default() });
        let done = folder.journal_len();
        let mut refused = [log.push(1, &[vec![3; 5]]), log.push(0, &[vec![2; 2000]])];
        log.committer.step();
        for answer in &mut refused {
            let error = answer.try_recv().unwrap().unwrap_err();
            assert!(matches!(error, AppendError::Full));
        }
        assert!(folder.journal_len() > done, "the disk was tried");
        assert!(log.shared.is_full.load(Ordering::Relaxed));
        assert!(!folder.list().unwrap().iter().any(|name| name.ends_with(".new")), "nothing unfinished takes up room");

        // Nothing of what was refused comes back, not even after a restart.
        let reopened = Stepped::open(&folder).unwrap();
        assert_eq!(reopened.bounds(PartitionId(0)).end, Offset(used));
        assert_eq!(reopened.bounds(PartitionId(1)).end, Offset(0));
        drop(reopened);

        folder.set_faults(Faults::default());
        assert_eq!(log.append(0, &[4; 600]).unwrap(), Offset(used));
        assert!(!log.shared.is_full.load(Ordering::Relaxed));
        let reopened = Stepped::open(&folder).unwrap();
        assert_eq!(reopened.read_all().unwrap()[0].last().unwrap().bytes, vec![4; 600]);
    }
}

#[test]
fn what_waits_behind_a_refused_append_is_refused_with_it() {
    let folder = FakeFolder::default();
    let config = LogConfig { commit_bytes_max: 1, ..small() };
    let mut log = Stepped::open_with(&folder, config).unwrap();
    folder.set_faults(Faults { room: Some(0), ..Faults::default() });
    let mut refused = [log.push(0, &[vec![1; 2000]]), log.push(0, &[vec![2; 5]])];
    log.committer.step();
    for answer in &mut refused {
        assert!(matches!(answer.try_recv().unwrap(), Err(AppendError::Full)));
    }
}

#[test]
fn a_full_disk_is_not_tried_again_at_once() {
    let folder = FakeFolder::default();
    let config = LogConfig { full_retry_ms: 20, ..small() };
    let mut log = Stepped::open_with(&folder, config).unwrap();
    folder.set_faults(Faults { room: Some(0), ..Faults::default() });
    log.append(0, &[1; 600]).unwrap_err();
    folder.set_faults(Faults::default());
    let tries = (0..100).take_while(|_| log.append(0, b"small").is_err()).count();
    // The clock moves on by a millisecond or two with each try.
    assert!((5..30).contains(&tries), "{tries}");
}

#[tokio::test]
async fn a_failed_sync_is_the_end_and_nothing_is_acknowledged_after_it() {
    let folder = FakeFolder::default();
    let log = start(&folder);
    log.append(PartitionId(0), vec![Bytes::from_static(b"good")]).await.unwrap();
    folder.set_faults(Faults { sync_fails: true, ..Faults::default() });
    let error = log.append(PartitionId(0), vec![Bytes::from_static(b"doubtful")]).await.unwrap_err();
    assert!(matches!(&error, AppendError::Unknown(_)), "{error:?}");
    assert!(log.failed().await.to_string().contains("sync the log"));

    // A disk that seems well again changes nothing: what it forgot in between nobody knows.
    folder.set_faults(Faults::default());
    let error = log.append(PartitionId(0), vec![Bytes::from_static(b"later")]).await.unwrap_err();
    assert!(matches!(error, AppendError::Failed), "{error:?}");
    assert_eq!(log.bounds(PartitionId(0)).await.unwrap().end, Offset(1));
}

#[test]
fn an_unfinished_write_that_cannot_be_cut_off_is_the_end() {
    let folder = FakeFolder::default();
    let mut log = Stepped::open(&folder).unwrap();
    folder.set_faults(Faults { room: Some(0), cut_fails: true, ..Faults::default() });
    let error = log.append(0, &[1; 600]).unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    assert!(log.shared.failure.borrow().is_some());
}

#[test]
fn an_append_that_finds_the_queue_full_is_refused_as_retryable() {
    let folder = FakeFolder::default();
    let config = LogConfig { queue_bytes_max: 500, ..small() };
    let mut log = Stepped::open_with(&folder, config).unwrap();
    let mut first = log.push(0, &[vec![0; 300]]);
    let (done, _answer) = oneshot::channel();
    let second =
        Append { partition: PartitionId(0), expected: None, records: vec![Bytes::new()], frames_len: 200, done };
    assert!(matches!(log.queue.push(second).unwrap_err(), AppendError::Full));
    log.committer.step();
    first.try_recv().unwrap().unwrap();
    assert_eq!(log.queue.bytes(), 0, "what is answered is no longer counted");
    log.append(0, &[0; 300]).unwrap();
}
