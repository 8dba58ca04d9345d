//! Which access node a user is sent to.
//!
//! A weighted rendezvous hash over the live nodes gives every user an order of nodes that needs no table and moves only the
//! users of a node that comes or goes. On top of it lies a bound on load, and loyalty: a user with a live terminal stays
//! where it is, so that all terminals of a user meet on one node. Pure: whoever asks brings the nodes with their loads.
//! Two askers that see different loads may answer differently; that costs a detour, never a message.

use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3;

use anser_types::UserKey;

#[cfg(test)]
mod tests;

/// How much more than its fair share of users a node takes before new ones go elsewhere, in percent.
const HEAD_ROOM_PERCENT: u128 = 10;
/// Below so many users a node is never full: shares of a handful of users say nothing, and moving them costs more.
const ALWAYS_ROOM_USERS: u64 = 64;
/// How many nodes an answer names beside the first.
pub const BACKUPS_MAX: usize = 3;

/// An access node, as those who navigate know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessNode {
    /// Its name: stable over restarts, different for every node.
    pub name: String,
    /// Its share of users relative to the other nodes'; 0 takes none.
    pub weight: u32,
    /// How many users have a live terminal there.
    pub users: u64,
    /// Whether it is about to stop: it keeps what it has, and gets nobody new.
    pub draining: bool,
}

impl AccessNode {
    const fn takes_users(&self) -> bool {
        !self.draining && self.weight > 0
    }
}

/// Where a user is sent. Indices into the nodes that were asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The node to connect to.
    pub node: usize,
    /// Where to try next, best first.
    pub backups: SmallVec<[usize; BACKUPS_MAX]>,
}

/// Chooses the node for a user. `home` names the node that holds a live terminal of the user, if any does. `None` if no
/// node takes users now.
pub fn choose(nodes: &[AccessNode], user: &UserKey, home: Option<&str>) -> Option<Choice> {
    let mut order = rendezvous_order(nodes, user);
    // The order in which nodes with room, and after them full ones, come is the rendezvous order: the sort is stable.
    let bound = LoadBound::of(nodes);
    order.sort_by_key(|&index| {
        let node = nodes.get(index)?;
        let loyal = home == Some(node.name.as_str());
        Some((!loyal, !bound.has_room(node)))
    });
    let (&node, rest) = order.split_first()?;
    Some(Choice { node, backups: rest.iter().copied().take(BACKUPS_MAX).collect() })
}

/// The nodes that take users, the one with the highest score first.
fn rendezvous_order(nodes: &[AccessNode], user: &UserKey) -> SmallVec<[usize; 16]> {
    let mut scored: SmallVec<[(f64, usize); 16]> = nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.takes_users())
        .map(|(index, node)| (score(node, user), index))
        .collect();
    scored.sort_by(|(one, a), (other, b)| {
        // Equal scores need equal hashes; the name decides then, so that the order of `nodes` never matters.
        let name = |index: &usize| nodes.get(*index).map(|node| node.name.as_str());
        other.total_cmp(one).then_with(|| name(a).cmp(&name(b)))
    });
    scored.into_iter().map(|(_, index)| index).collect()
}

/// The weight of a node for a user: `weight / -ln(u)` with a uniform u in (0, 1) per pair wins in proportion to the weight,
/// and depends on no other node.
fn score(node: &AccessNode, user: &UserKey) -> f64 {
    let mut hash = Xxh3::new();
    for text in [user.app.as_str(), user.user.as_str(), node.name.as_str()] {
        hash.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
    // 32 bits fit a double exactly; the half keeps u away from 0 and 1.
    let bits = u32::try_from(hash.digest() >> 32).unwrap_or(u32::MAX);
    let unit = (f64::from(bits) + 0.5) / 4_294_967_296.0;
    f64::from(node.weight) / -unit.ln()
}

/// How many users each node may have.
struct LoadBound {
    users: u128,
    weight: u128,
}

impl LoadBound {
    fn of(nodes: &[AccessNode]) -> Self {
        let takers = || nodes.iter().filter(|node| node.takes_users());
        Self {
            // One more than there are: the user who asks has to fit as well.
            users: takers().map(|node| u128::from(node.users)).sum::<u128>() + 1,
            weight: takers().map(|node| u128::from(node.weight)).sum(),
        }
    }

    fn has_room(&self, node: &AccessNode) -> bool {
        // users < (1 + head room) * all users * weight / all weights, in whole numbers and rounded up.
        let share = self.users * u128::from(node.weight) * (100 + HEAD_ROOM_PERCENT);
        let bound = share.div_ceil((self.weight * 100).max(1));
        u128::from(node.users) < bound.max(u128::from(ALWAYS_ROOM_USERS))
    }
}
