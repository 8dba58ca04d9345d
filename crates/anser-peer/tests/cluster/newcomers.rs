//! Who may join.

use anser_backend::{Member, Membership, Spoken};
use anser_peer::StartError;
use anser_types::{NodeId, Timestamp};

use crate::world::{Plan, World};

/// A member that announces itself once.
async fn put(world: &World, change: impl FnOnce(Member) -> Member) -> Member {
    let members = world.membership.members().await.unwrap();
    let member = change(Member { id: NodeId(99 << 32), name: "other".into(), ..members[0].clone() });
    world.membership.announce(member.clone()).await.unwrap();
    member
}

#[tokio::test]
async fn told_why_a_node_does_not_join_others_that_would_not_understand_it() {
    let world = World::new();
    let node = world.node(Plan::message("one")).await;
    crate::world::until("it is a member", || node.peer.routes().members().len() == 1).await;
    node.peer.examine().await.unwrap();
    let newer = Spoken { oldest: 1_000, newest: 1_001 };
    put(&world, |member| Member { speaks: newer, version: "9.9".into(), ..member }).await;
    let refused = node.peer.examine().await.unwrap_err();
    assert!(matches!(&refused, StartError::Versions { speaks, .. } if *speaks == newer));
    let said = refused.to_string();
    assert!(said.contains("node other (9.9,") && said.contains("versions 1000 to 1001"), "{said}");
}

#[tokio::test]
async fn told_why_a_name_that_another_node_has_is_refused_and_one_that_a_dead_run_had_is_not() {
    let world = World::with_leases(60_000);
    let node = world.node(Plan::message("one")).await;
    crate::world::until("it is a member", || node.peer.routes().members().len() == 1).await;
    let dead = put(&world, |member| Member { name: "one".into(), ..member }).await;
    node.peer.examine().await.expect("the other run says nothing any more");
    let alive = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        for clock in 1.. {
            ticks.tick().await;
            world.membership.announce(Member { clock: Timestamp(clock), ..dead.clone() }).await.unwrap();
        }
    };
    tokio::select! {
        () = alive => unreachable!("it goes on for ever"),
        examined = node.peer.examine() => {
            assert!(matches!(examined, Err(StartError::NameTaken { name, .. }) if name == "one"));
        }
    }
}
