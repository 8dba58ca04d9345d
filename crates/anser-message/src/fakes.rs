//! What tests of single parts put around them: nobody who is told anything, and backends in memory.

use std::sync::Arc;

use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_cluster::{AccessService, Arrival, BoxFuture, Refusal, Settled, SignOut};
use anser_types::{ConnectionId, LogId, NodeId, PartitionCount, Position, Timestamp, UserKey};

use crate::role::Backends;

/// Nobody is connected.
#[derive(Debug)]
pub(crate) struct NoAccess;

impl AccessService for NoAccess {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {}
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// Backends that hold nothing but what is in this mailbox.
pub(crate) fn in_memory(mailbox: MemoryMailbox) -> Backends {
    Backends {
        log: Arc::new(MemoryLog::new(LogId(5), PartitionCount::EMBEDDED, || Timestamp(1))),
        mailbox: Arc::new(mailbox),
        history: Arc::new(MemoryHistory::default()),
        directory: Arc::new(MemoryDirectory::default()),
        rebuilds: None,
    }
}
