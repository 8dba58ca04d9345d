//! The log as several nodes share it, and what others than the role have written to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anser_backend::memory::MemoryLog;
use anser_backend::{AppendError, Bounds, BoxFuture, LogEntry, LogReader, MessageLog, ReadError};
use anser_types::record::{Body, Header};
use anser_types::{
    Claim, ClientMessageId, ConnectionId, LogId, Message, MessageClass, MessageFlags, MessageUid, Offset, Origin,
    PartitionCount, PartitionId, Timestamp, target_hash,
};
use bytes::Bytes;
use tokio::sync::watch;

use crate::world::World;
use crate::{ID, P, PRIVATE, app, key, target};

/// A log that takes what comes, wherever it lands, and has no answer soon about several partitions together.
#[derive(Debug)]
pub(crate) struct SharedLog {
    pub(crate) log: MemoryLog,
    pub(crate) reads: watch::Receiver<Reads>,
    pub(crate) failures: Arc<AtomicUsize>,
    pub(crate) loses_next: Arc<AtomicBool>,
}

/// What whoever reads the log gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// What there is.
    All,
    /// An answer later.
    Late,
    /// An error.
    Fail,
}

struct NastyReader {
    reader: Box<dyn LogReader>,
    reads: watch::Receiver<Reads>,
    failures: Arc<AtomicUsize>,
}

impl LogReader for NastyReader {
    fn next(&mut self, bytes_max: usize) -> BoxFuture<'_, Result<Vec<LogEntry>, ReadError>> {
        Box::pin(async move {
            // Whoever sets it lives as long as the world.
            self.reads.wait_for(|reads| *reads != Reads::Late).await.ok();
            if *self.reads.borrow() == Reads::Fail {
                self.failures.fetch_add(1, Ordering::Relaxed);
                return Err(ReadError::Unavailable("it is away".into()));
            }
            self.reader.next(bytes_max).await
        })
    }
}

impl MessageLog for SharedLog {
    fn id(&self) -> LogId {
        self.log.id()
    }

    fn partitions(&self) -> PartitionCount {
        self.log.partitions()
    }

    fn append(&self, partition: PartitionId, records: Vec<Bytes>) -> BoxFuture<'static, Result<Offset, AppendError>> {
        self.log.append(partition, records)
    }

    fn append_at(
        &self,
        partition: PartitionId,
        _: Offset,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<Offset, AppendError>> {
        if self.loses_next.swap(false, Ordering::Relaxed) {
            return Box::pin(async { Err(AppendError::Unknown("no answer came".into())) });
        }
        self.log.append(partition, records)
    }

    fn bounds(&self, partition: PartitionId) -> BoxFuture<'_, Result<Bounds, ReadError>> {
        self.log.bounds(partition)
    }

    fn offset_at(&self, partition: PartitionId, time: Timestamp) -> BoxFuture<'_, Result<Offset, ReadError>> {
        self.log.offset_at(partition, time)
    }

    fn bounds_of<'a>(&'a self, _: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Bounds>, ReadError>> {
        Box::pin(async { Err(ReadError::Unavailable("not of all of them".into())) })
    }

    fn offsets_at<'a>(&'a self, _: &'a [PartitionId], _: Timestamp) -> BoxFuture<'a, Result<Vec<Offset>, ReadError>> {
        Box::pin(async { Err(ReadError::Unavailable("not of all of them".into())) })
    }

    fn reader(&self, from: Vec<(PartitionId, Offset)>) -> Box<dyn LogReader> {
        let (reads, failures) = (self.reads.clone(), Arc::clone(&self.failures));
        Box::new(NastyReader { reader: self.log.reader(from), reads, failures })
    }

    fn read_at(&self, partition: PartitionId, offset: Offset) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        self.log.read_at(partition, offset)
    }
}

impl World {
    /// Puts a record into the partition, whoever wrote it. Returns where it is.
    pub(crate) async fn lay(&self, claim: u64, sequence: u64, body: Body) -> Offset {
        let header = Header { log: ID, claim: Claim(Offset(claim)), sequence };
        self.log.append(P, vec![body.encode(header)]).await.unwrap()
    }

    /// Puts the claim of another node at the end of the partition, which is this offset.
    pub(crate) async fn lay_claim(&self, claim: u64) {
        assert_eq!(self.lay(claim, 0, claim_of_another()).await, Offset(claim));
    }

    pub(crate) async fn end(&self) -> Offset {
        self.log.bounds(P).await.unwrap().end
    }
}

pub(crate) fn claim_of_another() -> Body {
    Body::Claim { node: "another".to_owned(), time: Timestamp(1) }
}

/// What alice said to bob, as another node accepted it.
pub(crate) fn said(number: i64, sent: Timestamp) -> Body {
    Body::Message(Message {
        app: app(),
        kind: PRIVATE,
        sender: key("alice").user,
        target: target("bob"),
        sent,
        uid: MessageUid::new(sent, 0, PRIVATE, target_hash("bob")),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: number.to_string().into(),
        origin: Origin {
            connection: ConnectionId(9),
            publish: number.unsigned_abs(),
            client_id: Some(ClientMessageId(number)),
        },
        sender_copy: true,
        extras: None,
    })
}
