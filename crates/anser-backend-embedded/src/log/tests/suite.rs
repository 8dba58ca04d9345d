//! The port's suite, on files.

use anser_backend::conformance::log::LogFixture;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;

struct Fixture {
    folder: TempDir,
    clock: Arc<AtomicU64>,
    log: Mutex<Option<Arc<SegmentLog>>>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicU64::new(1_000)), log: Mutex::new(None) }
    }

    fn open(&self, partitions: PartitionCount) -> Arc<dyn MessageLog> {
        let clock = Arc::clone(&self.clock);
        let now: Now = Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)));
        let lock = Arc::new(FolderLock::take(self.folder.path()).unwrap());
        let log = Arc::new(SegmentLog::open(lock, partitions, small(), now).unwrap());
        *self.log.lock() = Some(Arc::clone(&log));
        log
    }
}

impl LogFixture for Fixture {
    fn create(&self, partitions: PartitionCount) -> BoxFuture<'_, Arc<dyn MessageLog>> {
        Box::pin(std::future::ready(self.open(partitions)))
    }

    fn reopen(&self, log: Arc<dyn MessageLog>) -> BoxFuture<'_, Arc<dyn MessageLog>> {
        let partitions = log.partitions();
        drop(log);
        // The last handle: with it the committer ends and the folder is free.
        self.log.lock().take();
        Box::pin(std::future::ready(self.open(partitions)))
    }

    fn trim(&self, partition: PartitionId, keep_from: Offset) -> BoxFuture<'_, ()> {
        let log = self.log.lock().clone().unwrap();
        Box::pin(async move {
            log.trim(vec![(partition, keep_from)], Timestamp(u64::MAX)).await.unwrap();
        })
    }

    fn tick(&self) -> BoxFuture<'_, ()> {
        self.clock.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

anser_backend::message_log_suite!(Fixture::new());

#[tokio::test]
async fn a_closed_log_is_read_but_takes_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open(PARTITIONS);
    log.append(PartitionId(0), vec![Bytes::from_static(b"a")]).await.unwrap();
    let own = fixture.log.lock().clone().unwrap();
    own.close().await;
    let refused = log.append(PartitionId(0), vec![Bytes::from_static(b"b")]).await.unwrap_err();
    assert!(matches!(refused, AppendError::Failed));
    assert_eq!(log.read_at(PartitionId(0), Offset(0)).await.unwrap().unwrap(), b"a".as_slice());
}

#[tokio::test]
async fn callers_on_many_threads_keep_their_order_and_lose_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open(PARTITIONS);
    let threads: Vec<_> = (0..4_u8)
        .map(|caller| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                let appends =
                    (0..100_u8).map(|at| log.append(PartitionId(at % 3), vec![Bytes::from(vec![caller, at])]));
                appends.collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        for append in thread.join().unwrap() {
            append.await.unwrap();
        }
    }
    let mut reader = log.reader(PARTITIONS.all().map(|partition| (partition, Offset(0))).collect());
    let mut last = [[None; 4]; 3];
    let mut count = 0;
    loop {
        let entries = reader.next(512).await.unwrap();
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let (caller, at) = (usize::from(entry.bytes[0]), entry.bytes[1]);
            let last = &mut last[usize::from(entry.partition.0)][caller];
            assert!(last.is_none_or(|last| last < at), "caller {caller} at {at} behind {last:?}");
            *last = Some(at);
            count += 1;
        }
    }
    assert_eq!(count, 400);
}

#[test]
fn slow_is_alone_a_reader_of_quiet_partitions_steps_over_what_a_busy_one_wrote() {
    let folder = FakeFolder::default();
    let config = LogConfig { segment_bytes: 4 << 20, checkpoint_every_bytes: 128 * 1024, ..small() };
    let mut log = Stepped::open_with(&folder, config).unwrap();
    for quiet in 0..3 {
        log.append(quiet % 2, b"quiet").unwrap();
        for _ in 0..100 {
            log.append(2, &[0; 64 * 1024]).unwrap();
        }
    }
    let before = folder.bytes_read();
    let mut cursor = Cursor::new(&[(PartitionId(0), Offset(0)), (PartitionId(1), Offset(0))]);
    let mut found = Vec::new();
    loop {
        let entries = cursor.next(&log.shared, 1 << 20).unwrap();
        if entries.is_empty() {
            break;
        }
        found.extend(entries.into_iter().map(|entry| (entry.partition.0, entry.offset.0)));
    }
    assert_eq!(found, [(0, 0), (1, 0), (0, 1)]);
    let read = folder.bytes_read() - before;
    assert!(read < 8 << 20, "{read} bytes of {}", log.shared.segments.read().iter().map(|s| s.file_end).sum::<u32>());
}
