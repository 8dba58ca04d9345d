//! Starting the message role: take over all partitions, then serve.

use std::sync::Arc;

use tokio::sync::mpsc;

use anser_backend::{AppendError, Directory, History, Mailbox, MessageLog, ReadError, StoreError};
use anser_cluster::{AccessService, PeerService};
use anser_types::{NodeId, PartitionId, Timestamp};

use crate::applier::{Applier, ToApply};
use crate::config::MessageConfig;
use crate::event_loop::{Input, MessageLoop, Wires};
use crate::handle::MessageHandle;
use crate::ownership::PeerInbox;
use crate::progress::Progress;

/// Batches of publishes and calls that may wait for the loop.
const INPUTS_MAX: usize = 8_192;
/// Batches of durable records that may wait for the applier. When it is full, the loop waits: acks come later, memory
/// stays bounded.
const APPLIES_MAX: usize = 256;

/// Where the role gets the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The backends behind the role.
#[derive(Debug, Clone)]
pub struct Backends {
    /// The log.
    pub log: Arc<dyn MessageLog>,
    /// Timelines.
    pub mailbox: Arc<dyn Mailbox>,
    /// History.
    pub history: Arc<dyn History>,
    /// Users, groups, settings.
    pub directory: Arc<dyn Directory>,
}

/// What the role of one node needs of the others.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// This node.
    pub me: NodeId,
    /// The way to the other message nodes.
    pub peers: Arc<dyn PeerService>,
}

/// Why the role could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The log could not be read.
    #[error("failed to read the log")]
    Read(#[from] ReadError),
    /// The log could not be written.
    #[error("failed to write the log")]
    Append(#[from] AppendError),
    /// A derived table could not be read or written.
    #[error("failed to use a derived table")]
    Store(#[from] StoreError),
    /// A record of the log cannot be read.
    #[error("record {offset} of partition {partition} cannot be read")]
    Record {
        /// The partition.
        partition: PartitionId,
        /// The record's offset.
        offset: anser_types::Offset,
        /// What is wrong with it.
        #[source]
        source: anser_types::codec::DecodeError,
    },
    /// The log has let go of records that a table has not applied. Restore the table or the log from a backup.
    #[error("partition {partition} of the log begins at {start}, but a table was applied only up to {applied}")]
    Lost {
        /// The partition.
        partition: PartitionId,
        /// The first offset of the log.
        start: anser_types::Offset,
        /// Where the table stands.
        applied: anser_types::Offset,
    },
    /// The other task of the role has ended.
    #[error("a task of the message role has ended")]
    Ended,
}

impl RoleError {
    /// Whether the same may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => matches!(error, ReadError::Unavailable(_)),
            Self::Append(error) => {
                matches!(error, AppendError::Full | AppendError::NotExpected { .. } | AppendError::Unknown(_))
            }
            Self::Store(error) => error.is_retryable(),
            Self::Record { .. } | Self::Lost { .. } | Self::Ended => false,
        }
    }
}

/// What the role is connected to.
struct Outside {
    backends: Backends,
    access: Arc<dyn AccessService>,
    clock: Clock,
    cluster: Option<Cluster>,
}

/// The role before its tasks run.
#[derive(Debug)]
pub struct MessageRole {
    message_loop: MessageLoop,
    applier: Applier,
}

impl MessageRole {
    /// Builds the role of a node by itself, which owns all partitions. `name` is the node, in words for people; it goes into
    /// claims.
    pub fn new(
        name: &str,
        config: &MessageConfig,
        backends: Backends,
        access: Arc<dyn AccessService>,
        clock: Clock,
    ) -> (Self, Arc<MessageHandle>) {
        Self::build(name, config, Outside { backends, access, clock, cluster: None })
    }

    /// Builds the role of one of several nodes. It owns nothing until it is told so.
    pub fn in_cluster(
        name: &str,
        config: &MessageConfig,
        backends: Backends,
        access: Arc<dyn AccessService>,
        clock: Clock,
        cluster: Cluster,
    ) -> (Self, Arc<MessageHandle>) {
        Self::build(name, config, Outside { backends, access, clock, cluster: Some(cluster) })
    }

    fn build(name: &str, config: &MessageConfig, outside: Outside) -> (Self, Arc<MessageHandle>) {
        let Outside { backends, access, clock, cluster } = outside;
        let limits = config.limits();
        let (inputs, input) = mpsc::channel::<Input>(INPUTS_MAX);
        let (applies, apply) = mpsc::channel::<ToApply>(APPLIES_MAX);
        let peer_inbox = Arc::new(PeerInbox::default());
        let handle = MessageHandle::new(
            (inputs, Arc::clone(&peer_inbox)),
            backends.clone(),
            Arc::clone(&access),
            Arc::clone(&clock),
            limits,
        );
        let progress = Progress::new(backends.log.partitions());
        let applier = Applier::new(backends.clone(), Arc::clone(&access), apply, progress.clone());
        let wires = Wires { backends, access, clock, inputs: input, applies, progress, cluster, peer_inbox };
        let message_loop = MessageLoop::new(name, limits, wires);
        (Self { message_loop, applier }, Arc::new(handle))
    }

    /// The two tasks of the role. Both run until the handle is closed (then they end with `Ok`), or until something fails
    /// for good. `ready` is told when all partitions were taken over and publishes are decided.
    pub fn into_tasks(
        self,
        ready: tokio::sync::oneshot::Sender<()>,
    ) -> (impl Future<Output = Result<(), RoleError>> + Send, impl Future<Output = Result<(), RoleError>> + Send) {
        (self.message_loop.run(ready), self.applier.run())
    }
}
