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
