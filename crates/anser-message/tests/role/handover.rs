//! Partitions that go from one node to another, as one of them sees it: who claims when, and who finds out by itself.

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{Claims, OwnerService, Owners};
use anser_message::Share;
use anser_types::{Claim, NodeId, Offset};
use tokio::time::{Instant, timeout};

use crate::log::{Reads, said};
use crate::world::World;
use crate::{P, PRIVATE};

pub(crate) const ME: NodeId = NodeId(1 << 32);
pub(crate) const OTHER: NodeId = NodeId(2 << 32);
const THIRD: NodeId = NodeId(3 << 32);

/// Whom the one partition belongs to, and who decides there now.
pub(crate) fn owners(present: NodeId, next: NodeId) -> Owners {
    Owners { present: Arc::from([Some(present)]), next: Arc::from([Some(next)]) }
}

fn claimed(at: u64) -> Claims {
    Claims::from([(P, Claim(Offset(at)))])
}

impl World {
    /// Waits until these are the claims that others were told last.
    async fn until_told(&self, claims: Claims) {
        self.until(async || self.around.claims_told() == claims).await;
    }

    /// The other node accepts a message of alice to bob.
    async fn lay_said(&self, claim: u64, number: u32) {
        self.lay(claim, number.into(), said(number.into(), self.clock.now().plus(number.into()))).await;
    }
}

/// A node that knows of no owners yet.
fn newcomer() -> World {
    let mut world = World::one_partition();
    world.start_as(ME);
    world
}

/// The node owns the partition, and its claim is the first record.
pub(crate) async fn owning() -> World {
    let world = newcomer();
    world.handle().owners_changed(owners(ME, ME));
    world.until_told(claimed(0)).await;
    world
}

/// The other node has claimed the partition and said something, and it belongs to this one now.
async fn next() -> World {
    let world = newcomer();
    world.lay_claim(0).await;
    world.lay_said(0, 1).await;
    world.handle().owners_changed(owners(OTHER, ME));
    world.until(async || !world.around.asked().is_empty()).await;
    assert_eq!(world.around.asked(), [(OTHER, vec![P])]);
    world
}

/// Another node took this one for dead, claimed the partition and accepted something; and nobody says so.
async fn taken_for_dead() -> World {
    let world = owning().await;
    world.lay_claim(1).await;
    world.lay_said(1, 1).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_node_says_that_its_share_is_there_when_it_serves_it_and_knows_which_it_is() {
    let world = newcomer();
    // The list of members, before this node is in it.
    world.handle().owners_changed(owners(OTHER, OTHER));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!world.handle().share().is_known);
    world.handle().owners_changed(owners(ME, ME));
    world.handle().listed();
    let share = async || world.handle().share();
    world.until(async || share().await.has_come).await;
    assert_eq!(share().await, Share { is_known: true, has_come: true, own: 1, served: 1, open: 1 });
    world.handle().owners_changed(owners(OTHER, OTHER));
    world.until(async || share().await.own == 0).await;
    assert_eq!(share().await, Share { is_known: true, has_come: true, own: 0, served: 0, open: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_named_as_soon_as_it_is_in_the_log() {
    let begun = Instant::now();
    let world = owning().await;
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
    assert_eq!(world.end().await, Offset(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_what_was_there_before_a_claim_and_what_came_until_then_is_applied() {
    let world = next().await;
    // The present owner goes on until it lets go.
    world.lay_said(0, 2).await;
    let told = Instant::now();
    world.handle().owners_changed(owners(ME, ME));
    world.until_told(claimed(3)).await;
    assert!(told.elapsed() < Duration::from_millis(50), "nobody decides meanwhile: {:?}", told.elapsed());
    world.until_timeline("bob", &["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_let_go_is_waited_for_half_a_second() {
    let world = next().await;
    let asked = Instant::now();
    world.lay_said(0, 2).await;
    world.until_told(claimed(3)).await;
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(350) && waited < Duration::from_millis(700), "{waited:?}");
    world.until_timeline("bob", &["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_stays_until_the_next_one_asks_it_to_let_go() {
    let world = owning().await;
    world.handle().owners_changed(owners(ME, OTHER));
    // It does not belong to this one.
    world.handle().let_go(THIRD, vec![P]);
    let is_free = timeout(Duration::from_secs(5), world.until_told(Claims::new())).await;
    assert!(is_free.is_err(), "nobody else decides yet");
    let asked = Instant::now();
    world.handle().let_go(OTHER, vec![P]);
    world.until_told(Claims::new()).await;
    assert!(asked.elapsed() < Duration::from_millis(50), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_lost_a_node_that_came_back_finds_at_the_ends_what_others_have_accepted() {
    let world = taken_for_dead().await;
    let by_an_old_list = timeout(Duration::from_secs(5), world.until_told(claimed(3))).await;
    assert!(by_an_old_list.is_err(), "whoever cannot read the list does not claim");
    let listed = Instant::now();
    world.handle().listed();
    world.until_told(claimed(3)).await;
    assert!(listed.elapsed() < Duration::from_secs(3), "{:?}", listed.elapsed());
    world.until_timeline("bob", &["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_came_back_lets_go_of_what_others_have_claimed_rightly() {
    let world = taken_for_dead().await;
    world.handle().owners_changed(owners(ME, OTHER));
    world.handle().listed();
    world.until_told(Claims::new()).await;
    assert_eq!(world.end().await, Offset(3), "it claims nothing");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_claimed_is_looked_at_with_the_next_list() {
    let world = owning().await;
    world.lay_claim(1).await;
    let told = Instant::now();
    world.handle().owners_changed(owners(OTHER, ME));
    world.handle().listed();
    world.until_told(claimed(2)).await;
    // It asks the other one to let go, and waits half a second for that.
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_lost_is_claimed_anew_only_by_whom_the_partition_belongs_to() {
    for (next, claims) in [(ME, claimed(4)), (OTHER, Claims::new())] {
        let world = taken_for_dead().await;
        world.handle().owners_changed(owners(ME, next));
        // It lands behind the claim of the other one, and does not count.
        world.send(world.publish("alice", PRIVATE, "bob", "2"));
        world.until_told(claims).await;
        let is_claimed_anew = world.end().await > Offset(4);
        assert_eq!(is_claimed_anew, next == ME);
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_comes_back_while_it_is_found_out_what_became_of_its_records_is_served() {
    let world = taken_for_dead().await;
    world.handle().owners_changed(owners(ME, OTHER));
    world.reads.send_replace(Reads::Late);
    // It lands behind the claim of the other one. What became of it is asked, and not known yet.
    let publish = world.send(world.publish("alice", PRIVATE, "bob", "2"));
    world.until_told(Claims::new()).await;
    // The other one has died.
    world.handle().owners_changed(owners(ME, ME));
    world.reads.send_replace(Reads::All);
    world.until_told(claimed(4)).await;
    world.outcome(publish).await.unwrap();
    world.until_timeline("bob", &["1", "2"]).await;
}
