//! Which node is asked: for a user, for a partition, for the terminals of a user.
//!
//! Pure. Rendezvous hashes over the *names* of nodes: a node that restarts takes back what it had, and when a node comes or
//! goes, only what it takes or leaves moves. Two nodes that see different members answer differently; that costs time.

use std::collections::{BTreeMap, HashSet};

use anser_backend::{Member, Role};
use anser_cluster::{Claims, NodeByPartition, Owners};
use anser_types::{AppKey, Claim, NodeId, PartitionCount, PartitionId, UserKey};
use xxhash_rust::xxh3::xxh3_64;

use crate::suspicions::Suspects;

#[cfg(test)]
pub(crate) mod tests;

/// The claims of nodes, as each has told last.
pub type Claimed = BTreeMap<NodeId, Claims>;

/// Who is asked for what, as one list of members has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    members: Vec<Member>,
    /// Nodes that take users' requests, with the hashes of their names.
    message: Vec<(u64, NodeId)>,
    access: Vec<NodeId>,
    owners: Owners,
}

impl Routes {
    /// Nobody is known.
    pub(crate) fn nobody(partitions: PartitionCount) -> Self {
        Self::of(&[], &Claimed::new(), partitions)
    }

    /// As a list of members has it in which everybody answers.
    pub fn of(members: &[Member], claimed: &Claimed, partitions: PartitionCount) -> Self {
        Self::new(members, &Suspects::default(), claimed, partitions)
    }

    /// As a list of members has it of whom some do not answer.
    pub fn new(members: &[Member], suspects: &Suspects, claimed: &Claimed, partitions: PartitionCount) -> Self {
        let members = newest_by_name(members);
        let message: Vec<&Member> =
            members.iter().filter(|member| member.roles.has(Role::Message) && !member.draining).collect();
        let answering = but(&message, &suspects.silent);
        let alive = but(&message, &suspects.gone);
        let hashed = |member: &&Member| (xxh3_64(member.name.as_bytes()), member.id);
        let owning: Vec<_> = alive.iter().map(hashed).collect();
        let next: NodeByPartition =
            partitions.all().map(|partition| rendezvous(&owning, partition_hash(partition))).collect();
        // One that drains may own still; one that is gone does not.
        let owns = |id: NodeId| !suspects.gone.contains(&id) && is_message(&members, id);
        let newest = newest_claims(claimed, owns);
        let present = |(partition, next): (PartitionId, &Option<NodeId>)| newest.get(&partition).copied().or(*next);
        let present = partitions.all().zip(next.iter()).map(present).collect();
        let with_terminals = members.iter().filter(|member| member.roles.has(Role::Access));
        let access = with_terminals.map(|member| member.id).collect();
        Self { message: answering.iter().map(hashed).collect(), access, owners: Owners { present, next }, members }
    }

    /// The members, by name; of a node that was restarted, the newest run.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this id.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == node)
    }

    /// The node that holds the queue of a user.
    pub fn message_node(&self, user: &UserKey) -> Option<NodeId> {
        rendezvous(&self.message, text_hash(user.app.as_str(), user.user.as_str()))
    }

    /// The node for what concerns a whole app, or something of it that is no user.
    pub fn message_node_of(&self, app: &AppKey, what: &str) -> Option<NodeId> {
        rendezvous(&self.message, text_hash(app.as_str(), what))
    }

    /// The node that owns a partition now.
    pub fn owner(&self, partition: PartitionId) -> Option<NodeId> {
        self.owners.present(partition)
    }

    /// Who owns what.
    pub const fn owners(&self) -> &Owners {
        &self.owners
    }

    /// All nodes with terminals.
    pub fn access_nodes(&self) -> &[NodeId] {
        &self.access
    }
}

impl Routes {
    /// Whether some user may have another node than before.
    pub(crate) fn differs_for_users(&self, before: &Self) -> bool {
        self.message != before.message
    }

    /// Whether what was sent to a node may have to go to another one: since users have other nodes, partitions other owners, or a
    /// member has gone.
    pub fn moves_what_is_sent(&self, before: &Self) -> bool {
        let is_gone = |member: &Member| self.member(member.id).is_none();
        self.differs_for_users(before) || self.differs_for_owners(before) || before.members.iter().any(is_gone)
    }

    /// Whether some partition has another owner than before.
    pub(crate) fn differs_for_owners(&self, before: &Self) -> bool {
        self.owners != before.owners
    }
}

/// Those that are not among the suspects; all of them, if there would be none.
fn but<'a>(members: &[&'a Member], suspects: &HashSet<NodeId>) -> Vec<&'a Member> {
    let left: Vec<_> = members.iter().copied().filter(|member| !suspects.contains(&member.id)).collect();
    if left.is_empty() { members.to_vec() } else { left }
}

fn is_message(members: &[Member], id: NodeId) -> bool {
    members.iter().any(|member| member.id == id && member.roles.has(Role::Message))
}

/// Whose claim is the newest in each partition, of the nodes that may own. A later claim lies behind an earlier one.
fn newest_claims(claimed: &Claimed, owns: impl Fn(NodeId) -> bool) -> BTreeMap<PartitionId, NodeId> {
    let mut newest: BTreeMap<PartitionId, (Claim, NodeId)> = BTreeMap::new();
    for (node, claims) in claimed.iter().filter(|(node, _)| owns(**node)) {
        for (partition, claim) in claims {
            let known = newest.entry(*partition).or_insert((*claim, *node));
            *known = (*claim, *node).max(*known);
        }
    }
    newest.into_iter().map(|(partition, (_, node))| (partition, node)).collect()
}

/// One member for each name: of those with the same name, the one that announced itself last. The lease of a run that ended
/// may still be there.
fn newest_by_name(members: &[Member]) -> Vec<Member> {
    let mut by_name: BTreeMap<&str, &Member> = BTreeMap::new();
    for member in members {
        let newest = by_name.entry(&member.name).or_insert(member);
        if (member.clock, member.id) > (newest.clock, newest.id) {
            *newest = member;
        }
    }
    by_name.into_values().cloned().collect()
}

fn partition_hash(partition: PartitionId) -> u64 {
    text_hash("partition", &partition.to_string())
}

/// Two texts, so that no two pairs are one: the length of the first is in it.
fn text_hash(first: &str, second: &str) -> u64 {
    let mut bytes = Vec::with_capacity(first.len() + second.len() + 8);
    bytes.extend_from_slice(&u64::try_from(first.len()).unwrap_or(u64::MAX).to_be_bytes());
    bytes.extend_from_slice(first.as_bytes());
    bytes.extend_from_slice(second.as_bytes());
    xxh3_64(&bytes)
}

/// The node with the highest score for a key. Equal scores go to the higher hash of the name, so the order of `nodes` never
/// matters.
fn rendezvous(nodes: &[(u64, NodeId)], key: u64) -> Option<NodeId> {
    let score = |name: u64| {
        let mut pair = [0; 16];
        pair[..8].copy_from_slice(&key.to_be_bytes());
        pair[8..].copy_from_slice(&name.to_be_bytes());
        xxh3_64(&pair)
    };
    nodes.iter().max_by_key(|(name, _)| (score(*name), *name)).map(|(_, node)| *node)
}
