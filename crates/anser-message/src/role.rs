//! Starting the message role: take over all partitions, then serve.

use std::sync::Arc;

use tokio::sync::mpsc;

use anser_backend::{AppendError, Directory, History, Mailbox, MessageLog, ReadError, Rebuilds, StoreError};
use anser_cluster::{AccessService, PeerService};
use anser_types::{NodeId, PartitionId, Timestamp};

use anser_core::archiver::{Archiver, ArchiverConfig, ArchiverError};

use crate::applier::{self, Applier};
use crate::archiver::{self, ArchiverTask, Order};
use crate::backlog::ToApplier;
use crate::config::MessageConfig;
use crate::event_loop::{Input, MessageLoop, Wires};
use crate::handle::{HandleWires, MessageHandle};
use crate::metrics::MessageMetrics;
use crate::ownership::PeerInbox;
use crate::progress::Progress;
use crate::rollback::RolledBack;
use crate::sign_in_views::SignInViews;

/// Batches of publishes and calls that may wait for the loop.
const INPUTS_MAX: usize = 8_192;
/// Batches of applied records that may wait for the archiver. What does not fit is read from the log.
const ACCEPTED_MAX: usize = 256;
/// Partitions that come and go and of which the archiver was not told yet. It takes them at once, whatever stores do.
const ORDERS_MAX: usize = 512;
/// For how many ticks of the archiver messages may wait to be written together: two seconds. What is written of a partition takes four
/// calls to HBase, however little it is. Whoever reads history waits for none of it.
const GATHER_TICKS: u64 = 20;

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
    /// History and directory, where they can be made anew while they serve.
    pub rebuilds: Option<Arc<dyn Rebuilds>>,
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
    /// The log has let go of records that the directory has not applied. Restore the table or the log from a backup.
    #[error(
        "partition {partition} of the log begins at {start}, but the directory was applied only up to {applied}: restore it from a newer \
         backup; in a cluster, `anser cluster rebuild directory` goes on with what the log still has"
    )]
    Lost {
        /// The partition.
        partition: PartitionId,
        /// The first offset of the log.
        start: anser_types::Offset,
        /// Where the table stands.
        applied: anser_types::Offset,
    },
    /// The log has let go of records that the mailbox has not: it was replaced by an old copy. One without anything is filled again.
    #[error(
        "partition {partition} of the log begins at {start}, but the mailbox was applied only up to {applied}: restore the data folder \
         from one backup; in a cluster, `anser cluster rebuild mailbox` makes it anew from what the log has"
    )]
    MailboxLost {
        /// The partition.
        partition: PartitionId,
        /// The first offset of the log.
        start: anser_types::Offset,
        /// Where the mailbox stands.
        applied: anser_types::Offset,
    },
    /// The log ends far before what tables contain: it was replaced by an old copy, or they are of another one.
    #[error(
        "partition {partition} of the log ends at {end}, but tables contain everything below {applied}: restore log and tables from one \
         backup"
    )]
    WentBack {
        /// The partition.
        partition: PartitionId,
        /// Where the log ends.
        end: anser_types::Offset,
        /// Where the tables stand.
        applied: anser_types::Offset,
    },
    /// The archiver cannot go on.
    #[error("failed to archive")]
    Archive(#[from] ArchiverError),
    /// Another task of the role has ended.
    #[error("a task of the message role has ended")]
    Ended,
}

impl RoleError {
    /// Whether the same may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            // What was read has gone with its time: whether it is needed says the place from where to read.
            Self::Read(error) => matches!(error, ReadError::Unavailable(_) | ReadError::Trimmed { .. }),
            Self::Append(error) => {
                matches!(error, AppendError::Full | AppendError::NotExpected { .. } | AppendError::Unknown(_))
            }
            Self::Store(error) => error.is_retryable(),
            Self::Record { .. } | Self::Lost { .. } | Self::MailboxLost { .. } | Self::WentBack { .. } => false,
            Self::Archive(_) | Self::Ended => false,
        }
    }

    /// Whether whoever owns the partition meets the same until somebody mends a store.
    pub(crate) const fn meets_every_owner(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::MailboxLost { .. } | Self::WentBack { .. } => true,
            Self::Store(error) => matches!(error, StoreError::Damaged { .. }),
            _ => false,
        }
    }
}

/// What the role is connected to.
pub struct Outside {
    /// Its log and its tables.
    pub backends: Backends,
    /// Whoever has the terminals.
    pub access: Arc<dyn AccessService>,
    /// What time it is.
    pub clock: Clock,
    /// The other nodes, of which some own what this one does not: it owns nothing until it is told so. A node by itself, without them, owns all
    /// partitions.
    pub cluster: Option<Cluster>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

/// The role before its tasks run.
#[derive(Debug)]
pub struct MessageRole {
    message_loop: MessageLoop,
    applier: Applier,
    archiver: ArchiverTask,
}

/// The tasks of the role. All run until the handle is closed (then they end with `Ok`), or until something fails for good.
pub struct RoleTasks {
    /// Decides.
    pub deciding: RoleTask,
    /// Writes the mailbox, and tells terminals.
    pub applying: RoleTask,
    /// Writes history and the directory.
    pub archiving: RoleTask,
}

impl std::fmt::Debug for RoleTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoleTasks")
    }
}

/// A task of the role.
pub type RoleTask = std::pin::Pin<Box<dyn Future<Output = Result<(), RoleError>> + Send>>;

impl MessageRole {
    /// Builds the role. `name` is the node, in words for people; it goes into claims.
    pub fn new(name: &str, config: &MessageConfig, outside: Outside) -> (Self, Arc<MessageHandle>) {
        let Outside { backends, access, clock, cluster } = outside;
        let (inputs, input) = mpsc::channel::<Input>(INPUTS_MAX);
        let (to_applier, apply) = ToApplier::new();
        let peer_inbox = Arc::new(PeerInbox::default());
        let progress = Progress::new(backends.log.partitions());
        let metrics = Arc::new(MessageMetrics::new(progress.clone()));
        // A node by itself reads its own directory.
        let sign_in_views = cluster.as_ref().map(|_| SignInViews::new(&progress, backends.log.partitions()));
        let handle = MessageHandle::new(
            HandleWires {
                inputs,
                peer_inbox: Arc::clone(&peer_inbox),
                backends: backends.clone(),
                access: Arc::clone(&access),
                clock: Arc::clone(&clock),
                progress: progress.clone(),
                metrics: Arc::clone(&metrics),
                peers: cluster.as_ref().map(|cluster| Arc::clone(&cluster.peers)),
                sign_in_views: sign_in_views.clone(),
            },
            config.limits(),
        );
        let rolled_back = Arc::new(RolledBack::default());
        let (to_archive, accepted) = mpsc::channel(ACCEPTED_MAX);
        let (orders, order) = mpsc::channel::<Order>(ORDERS_MAX);
        let applier = Applier::new(
            applier::Wires {
                backends: backends.clone(),
                access: Arc::clone(&access),
                clock: Arc::clone(&clock),
                inputs: apply,
                backlog: to_applier.backlog.clone(),
                archiver: to_archive,
                progress: progress.clone(),
                metrics: Arc::clone(&metrics),
            },
            Arc::clone(&rolled_back),
        );
        let lag_ms_max = config.archive_lag_ms_max(backends.log.retention_ms());
        // Tables of this process have nothing to gain by it.
        let gather_ticks = if cluster.is_some() { GATHER_TICKS } else { 0 };
        let archiving = ArchiverConfig { lag_ms_max, gather_ticks, ..ArchiverConfig::default() };
        let archiver = ArchiverTask::new(
            Archiver::new(backends.log.id(), archiving),
            archiver::Wires {
                backends: backends.clone(),
                access: Arc::clone(&access),
                clock: Arc::clone(&clock),
                orders: order,
                accepted,
                progress: progress.clone(),
                rolled_back: Arc::clone(&rolled_back),
                metrics: Arc::clone(&metrics),
                is_alone: cluster.is_none(),
            },
        );
        let wires = Wires {
            backends,
            access,
            clock,
            inputs: input,
            to_applier,
            orders,
            progress,
            cluster,
            peer_inbox,
            rolled_back,
            metrics,
            sign_in_views,
        };
        let message_loop = MessageLoop::new(name, config.limits(), wires);
        (Self { message_loop, applier, archiver }, Arc::new(handle))
    }

    /// The tasks of the role. `ready` is told when all partitions that are here at the start were taken over and publishes are
    /// decided; on a node by itself, not before history and the directory have everything up to there.
    pub fn into_tasks(self, ready: tokio::sync::oneshot::Sender<()>) -> RoleTasks {
        RoleTasks {
            deciding: Box::pin(self.message_loop.run(ready)),
            applying: Box::pin(self.applier.run()),
            archiving: Box::pin(self.archiver.run()),
        }
    }
}
