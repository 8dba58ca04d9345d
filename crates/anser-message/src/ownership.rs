//! Which partitions this node owns, and what it has to do with the owners of the others.

use std::sync::atomic::{AtomicBool, Ordering};

use anser_backend::ReadError;
use anser_cluster::{Forward, Forwarded, Owners, Way};
use anser_core::owner::{Owner, Resolved};
use anser_types::codec::Reader;
use anser_types::record::Header;
use anser_types::{NodeId, Offset, PartitionId};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::event_loop::MessageLoop;
use crate::takeover::Step;

/// Bytes read in one go to find out what became of records.
const READ_BYTES: usize = 256 * 1024;

/// What other message nodes, and the router, have to say.
#[derive(Debug)]
pub(crate) enum FromPeer {
    /// A node forwards messages to us.
    Forwarded(NodeId, Vec<Forward>),
    /// A node answers what we forwarded.
    Answered(NodeId, Vec<(u64, Forwarded)>),
    /// The way to a node is broken.
    Lost(NodeId),
    /// The ways from an access node before this one are broken.
    AccessLost(NodeId, Way),
    /// The members have changed, or what they claim.
    Owners(Owners),
    /// The next owner of partitions asks us to let go of them.
    LetGo(NodeId, Vec<PartitionId>),
}

/// What other nodes have to say, in order, until the loop takes it. Bounded by what is on its way: of forwards each node sends no
/// more than a limit without an answer, and answers come only for what we have sent.
#[derive(Debug, Default)]
pub(crate) struct PeerInbox {
    waiting: Mutex<Vec<FromPeer>>,
    changed: Notify,
    /// Whether what was told last of the owners holds, as of a moment ago.
    listed: AtomicBool,
    /// Whether this node was in the list of members, as far as what was told last of the owners.
    was_listed: AtomicBool,
    /// How many partitions are here.
    owned: watch::Sender<usize>,
}

impl PeerInbox {
    pub(crate) fn put(&self, input: FromPeer) {
        self.waiting.lock().push(input);
        self.changed.notify_one();
    }

    /// Returns when there is something. Cancel-safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What was told last of the owners holds.
    pub(crate) fn note_listed(&self) {
        self.listed.store(true, Ordering::Relaxed);
        self.was_listed.store(true, Ordering::Release);
    }

    /// Whether it was ever told with this node among the members.
    pub(crate) fn was_listed(&self) -> bool {
        self.was_listed.load(Ordering::Acquire)
    }

    /// Whether that was said since it was asked last.
    pub(crate) fn take_listed(&self) -> bool {
        self.listed.swap(false, Ordering::Relaxed)
    }

    /// Notes how many partitions are here.
    pub(crate) fn note_owned(&self, owned: usize) {
        self.owned.send_if_modified(|known| std::mem::replace(known, owned) != owned);
    }

    /// Returns when no partition is here.
    pub(crate) async fn released(&self) {
        // The sender is this one: it is not gone.
        self.owned.subscribe().wait_for(|owned| *owned == 0).await.ok();
    }

    fn take(&self) -> Vec<FromPeer> {
        std::mem::take(&mut self.waiting.lock())
    }
}

impl MessageLoop {
    /// Takes in all that other nodes have said.
    pub(crate) fn take_from_peers(&mut self) {
        for input in self.peer_inbox.take() {
            self.take_from_peer(input);
        }
    }

    fn take_from_peer(&mut self, input: FromPeer) {
        let now = (self.clock)();
        match input {
            FromPeer::Forwarded(from, forwards) => {
                for forward in forwards {
                    self.node.forwarded(from, forward, now, &mut self.effects);
                }
            }
            FromPeer::Answered(from, answers) => {
                for (id, answer) in answers {
                    self.node.answered(from, id, answer, now, &mut self.effects);
                }
            }
            FromPeer::Lost(node) => self.node.lost(node, now, &mut self.effects),
            FromPeer::AccessLost(node, before) => self.node.access_lost(node, before, now, &mut self.effects),
            FromPeer::Owners(owners) => self.change_owners(owners),
            FromPeer::LetGo(next, partitions) => {
                for partition in partitions {
                    // Whoever has another list of members than we have waits, and then claims all the same.
                    if self.node.is_of(partition, next) {
                        self.let_go(partition);
                    }
                }
            }
        }
    }

    /// Lets go of what others have claimed now, and takes over what belongs to this node. What belongs to another one that has
    /// not claimed it yet stays.
    fn change_owners(&mut self, owners: Owners) {
        let now = (self.clock)();
        let me = Some(self.me);
        let belongs_here = |partition: PartitionId| owners.next(partition) == me;
        let (stay, other): (Vec<_>, Vec<_>) = self.node.partitions().partition(|partition| belongs_here(*partition));
        let is_new = |partition: &PartitionId| belongs_here(*partition) && !stay.contains(partition);
        let come: Vec<_> = self.backends.log.partitions().all().filter(is_new).collect();
        for partition in other.into_iter().filter(|partition| owners.present(*partition) != me) {
            self.let_go(partition);
        }
        // Somebody names a newer claim of what is served here, as when several nodes start together and do not know of each other yet: the
        // log says whether it counts.
        let is_served = |partition: &PartitionId| self.node.owner(*partition).is_some_and(Owner::is_serving);
        if stay.iter().any(|partition| is_served(partition) && owners.present(*partition) != me) {
            self.ends.hurry();
        }
        self.node.set_owners(self.me, owners, now, &mut self.effects);
        for partition in stay {
            // It was on its way out, and stays after all.
            if self.node.adopt(partition) && self.node.owner(partition).is_some_and(Owner::is_serving) {
                self.progress.note_served(partition, Offset::START);
            }
        }
        let adopted: Vec<_> = come.into_iter().filter(|partition| self.node.adopt(*partition)).collect();
        if !adopted.is_empty() {
            tracing::info!(partitions = adopted.len(), "taking partitions over");
        }
        self.take_over(adopted);
        self.claim_what_is_free();
    }

    /// Shows operators which partitions are this node's. One of several is told so by the list of members.
    pub(crate) fn note_share(&mut self) {
        if self.is_alone() || self.peer_inbox.was_listed() {
            // Which they are was said before.
            self.take_from_peers();
            self.progress.note_own(self.node.partitions().filter(|partition| !self.node.is_leaving(*partition)));
        }
    }

    /// Lets a partition go, if it is not on its way out already.
    pub(crate) fn let_go(&mut self, partition: PartitionId) {
        if self.node.epoch(partition).is_none() || self.node.is_leaving(partition) {
            return;
        }
        tracing::info!(%partition, "the partition goes to another node");
        self.progress.note_not_served(partition);
        self.node.release(partition, (self.clock)(), &mut self.effects);
    }

    /// A partition lost its claim. It is claimed again, unless that is for another node; on its way out, the log is asked what became
    /// of its records.
    pub(crate) fn reclaim_or_resolve(&mut self, partition: PartitionId) {
        if self.node.is_anothers(partition) {
            self.let_go(partition);
        }
        match self.node.unresolved_from(partition).filter(|_| self.node.is_leaving(partition)) {
            Some(from) => self.find_out(partition, from),
            // Whoever has claimed it since may know better than we do whose it is.
            None if self.node.owner_elsewhere(partition).is_some() => self.note_unowned(partition),
            // At once: somebody may wait for it.
            None => self.lost.push(partition),
        }
    }

    fn find_out(&mut self, partition: PartitionId, from: Offset) {
        let Some(epoch) = self.node.epoch(partition) else { return };
        let log = self.backends.log.clone();
        self.steps.push(Box::pin(async move {
            let mut reader = log.reader(vec![(partition, from)]);
            let mut found = Vec::new();
            loop {
                let entries = match reader.next(READ_BYTES).await {
                    Ok(entries) => entries,
                    Err(error) => return Step::Found(partition, epoch, Err(error)),
                };
                // Behind another claim nothing of ours counts.
                let is_end = entries.is_empty() || entries.iter().any(|entry| is_claim(&entry.bytes));
                found.extend(entries.into_iter().map(|entry| (entry.offset, entry.bytes)));
                if is_end {
                    return Step::Found(partition, epoch, Ok(found));
                }
            }
        }));
    }

    pub(crate) fn found(&mut self, partition: PartitionId, epoch: u64, found: Result<Vec<(Offset, Bytes)>, ReadError>) {
        if self.node.epoch(partition) != Some(epoch) {
            // It was given up, or taken over anew meanwhile, and what is on its way now is not what this is about.
            return;
        }
        let now = (self.clock)();
        // It was on its way out when this was asked, and has come back.
        let is_back = !self.node.is_leaving(partition);
        match found {
            Ok(entries) => {
                let resolved = self.node.resolve(partition, &entries, now, &mut self.effects);
                if is_back || resolved == Resolved::Open {
                    // If nobody else has claimed: a claim of our own ends what may still be on its way.
                    self.take_over(vec![partition]);
                }
            }
            Err(_) if is_back => self.take_over(vec![partition]),
            Err(error) => {
                tracing::warn!(%partition, %error, "it cannot be found out what became of records; their senders try again");
                self.node.abandon(partition, now, &mut self.effects);
            }
        }
    }

    pub(crate) fn note_unowned(&mut self, partition: PartitionId) {
        if !self.unowned.contains(&partition) {
            self.unowned.push(partition);
        }
    }

    /// Claims again what lost its claim, or could not be claimed.
    pub(crate) fn reclaim(&mut self) {
        let mut partitions = std::mem::take(&mut self.unowned);
        partitions.sort_unstable();
        partitions.retain(|partition| self.node.epoch(*partition).is_some());
        self.take_over(partitions);
    }
}

fn is_claim(bytes: &Bytes) -> bool {
    Header::decode(&mut Reader(bytes.clone())).is_ok_and(|(header, _)| header.is_claim())
}
