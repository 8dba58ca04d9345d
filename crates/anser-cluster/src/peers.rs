//! What message nodes ask of each other: a publish leaves the queue of its sender on one node, and is decided by the owner
//! of its conversation's partition on another.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_types::{Claim, NodeId, Origin, PartitionId, Timestamp};

use crate::{BoxFuture, Outcome, Refusal, ServerPublish};

/// A message on its way from the queue of its sender to the owner of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Names it among those that this node forwards; the ids rise.
    pub id: u64,
    /// The one before it of the same sender that was not answered when this one left. If that one is given back, this one is,
    /// too: nothing overtakes what comes again.
    pub after: Option<u64>,
    /// The oldest one that was not answered when this one left.
    pub oldest: u64,
    /// The message.
    pub publish: ServerPublish,
    /// Where it came from.
    pub origin: Origin,
    /// It sorts after this time.
    pub floor: Timestamp,
}

/// What became of a forwarded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// It was decided.
    Settled(Outcome),
    /// It could not be decided there, and nothing of it is in the log: it goes back to its queue.
    Returned,
}

/// A way on which an access node sends publishes to a message node, from when it is opened until it breaks. Later ones have
/// higher numbers, as the message node counts them.
///
/// When one breaks, the access node sends again, on another one or to another node, whatever has no outcome. What came on the broken one
/// and is still under way inside the message node must not be accepted after that: it would overtake, or be told to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Way(pub u64);

impl Way {
    /// The one within a process that is the whole server. It does not break.
    pub const WITHIN: Self = Self(0);
}

/// A node for each partition, by its number. `None`: nobody is known.
pub type NodeByPartition = Arc<[Option<NodeId>]>;

/// Where the claims lie that a node has in the log and holds to.
pub type Claims = BTreeMap<PartitionId, Claim>;

/// Who owns the partitions, as this node sees it.
///
/// A partition that gets another owner stays with the present one until the next one has claimed it: nobody waits while that one
/// prepares. Who sees something else costs time, and no more: what is true is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    /// Who decides now: whoever has said that the newest claim is its own; where nobody has, the next one.
    pub present: NodeByPartition,
    /// To whom they belong by the members that there are, and who claims them therefore.
    pub next: NodeByPartition,
}

impl Owners {
    /// Nobody is known.
    pub fn nobody() -> Self {
        Self { present: Arc::from([]), next: Arc::from([]) }
    }

    /// Who decides in a partition now.
    pub fn present(&self, partition: PartitionId) -> Option<NodeId> {
        self.present.get(usize::from(partition.0)).copied().flatten()
    }

    /// To whom a partition belongs.
    pub fn next(&self, partition: PartitionId) -> Option<NodeId> {
        self.next.get(usize::from(partition.0)).copied().flatten()
    }
}

/// What a message node asks of the others. No method waits but `archived`.
pub trait PeerService: Send + Sync + std::fmt::Debug + 'static {
    /// Passes messages on to the owner, in order. Each is answered through [`OwnerService::answered`]; if the way to the node
    /// breaks, [`OwnerService::lost`] tells so, and none of the unanswered ones is answered afterwards.
    fn forward(&self, to: NodeId, forwards: Vec<Forward>);

    /// Answers messages that this node forwarded to us, each by its id.
    fn answer(&self, to: NodeId, answers: Vec<(u64, Forwarded)>);

    /// Tells all nodes which claims this one holds to. Those that it does not name it has none of, or no more.
    fn claims(&self, claims: Claims);

    /// Asks a node to let go of partitions that are to be claimed here now. That it has done so its claims tell; whoever gets no such
    /// word claims all the same.
    fn ask_to_let_go(&self, of: NodeId, partitions: Vec<PartitionId>);

    /// Has all access nodes send again what is for this node: breaks the ways on which they send.
    fn begin_anew(&self);

    /// Returns when everything that was acked in the partition at the call is in history and directory; asks its owner.
    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// What a message node does for the others. No method waits but `archived`.
pub trait OwnerService: Send + Sync + std::fmt::Debug + 'static {
    /// Another node forwards messages to us, in order. Each is answered through [`PeerService::answer`].
    fn forwarded(&self, from: NodeId, forwards: Vec<Forward>);

    /// A node answers what we forwarded to it.
    fn answered(&self, from: NodeId, answers: Vec<(u64, Forwarded)>);

    /// The way to a node is broken: what was forwarded there and not answered is to be tried again.
    fn lost(&self, node: NodeId);

    /// The ways from an access node before this one are broken: what it sent on them and has no outcome it sends again.
    fn access_lost(&self, node: NodeId, before: Way);

    /// The members have changed, or what they claim: which partitions are ours, and where the others are.
    fn owners_changed(&self, owners: Owners);

    /// The next owner of partitions is about to claim them, and asks us to let go of them.
    fn let_go(&self, next: NodeId, partitions: Vec<PartitionId>);

    /// The list of members was read again, with us on it: what was told last of the owners holds now.
    fn listed(&self);

    /// Returns when everything that was acked in the partition at the call is in history and directory. Refused as
    /// retryable if we do not own it.
    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>>;
}
