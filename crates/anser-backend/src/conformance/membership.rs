//! What every [`Membership`] must do, as cases that an adapter runs with [`membership_suite!`](crate::membership_suite).

use std::sync::Arc;

use anser_types::{NodeId, Timestamp};

use crate::{BoxFuture, ClientAddresses, Member, Membership, Role, Spoken};

/// How the suite gets at a membership of one kind. One fixture serves one case.
pub trait MembershipFixture: Sync {
    /// A membership without members.
    fn create(&self) -> BoxFuture<'_, Arc<dyn Membership>>;

    /// Returns when every lease that was running at the call has run out.
    fn outlast_leases(&self) -> BoxFuture<'_, ()>;
}

/// Runs every case of the suite as a test of its own, each with a new fixture. The caller's crate needs `tokio` with macros.
///
/// With `maybe`, the expression is an option: without a fixture a case does nothing. It is for the caller to say why.
#[macro_export]
macro_rules! membership_suite {
    (maybe $fixture:expr) => {
        $crate::membership_suite!(@cases $fixture;
            members_are_listed_as_they_announced_themselves,
            a_member_says_anew_what_has_changed,
            who_leaves_is_gone_at_once,
            who_is_silent_is_gone_when_the_lease_runs_out,
            who_is_gone_without_a_word_is_missed,
        );
    };
    ($fixture:expr) => {
        $crate::membership_suite!(maybe Some($fixture));
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(fixture) = $fixture {
                    $crate::conformance::membership::$case(&fixture).await;
                }
            }
        )*
    };
}

fn member(id: u64, name: &str) -> Member {
    Member {
        id: NodeId(id),
        name: name.to_owned(),
        roles: [Role::Access, Role::Message].into_iter().collect(),
        address: format!("127.0.0.1:{id}"),
        clients: ClientAddresses { tcp: "host:1".into(), ws: "host:2".into(), ..ClientAddresses::default() },
        draining: false,
        connections: 7,
        weight: 100,
        version: "0.1.0".into(),
        admin: "127.0.0.1:9".into(),
        speaks: Spoken { oldest: 2, newest: 3 },
        clock: Timestamp(1_700_000_000_000),
    }
}

async fn names(membership: &dyn Membership) -> Vec<String> {
    membership.members().await.expect("members").into_iter().map(|member| member.name).collect()
}

/// What was announced is what the others read, in the order of the ids.
pub async fn members_are_listed_as_they_announced_themselves(fixture: &impl MembershipFixture) {
    let membership = fixture.create().await;
    assert_eq!(membership.members().await.expect("members"), []);
    let (one, other) = (member(1, "one"), member(u64::MAX, "other"));
    for announced in [&other, &one] {
        membership.announce(announced.clone()).await.expect("announced");
    }
    assert_eq!(membership.members().await.expect("members"), [one, other]);
}

/// The newest word of a member counts.
pub async fn a_member_says_anew_what_has_changed(fixture: &impl MembershipFixture) {
    let membership = fixture.create().await;
    membership.announce(member(1, "one")).await.expect("announced");
    let changed = Member { draining: true, connections: 0, ..member(1, "one") };
    membership.announce(changed.clone()).await.expect("announced");
    assert_eq!(membership.members().await.expect("members"), [changed]);
}

/// Leaving needs no lease to run out, and may be said twice.
pub async fn who_leaves_is_gone_at_once(fixture: &impl MembershipFixture) {
    let membership = fixture.create().await;
    for announced in [member(1, "one"), member(2, "two")] {
        membership.announce(announced).await.expect("announced");
    }
    for _ in 0..2 {
        membership.leave(NodeId(1)).await.expect("left");
        assert_eq!(names(&*membership).await, ["two"]);
    }
}

/// A node that died does not say so.
pub async fn who_is_silent_is_gone_when_the_lease_runs_out(fixture: &impl MembershipFixture) {
    let membership = fixture.create().await;
    membership.announce(member(1, "one")).await.expect("announced");
    fixture.outlast_leases().await;
    assert_eq!(names(&*membership).await, [""; 0]);
    membership.announce(member(1, "one")).await.expect("announced");
    assert_eq!(names(&*membership).await, ["one"]);
}

/// Until there is a node of the same name, or it is given up. Who left is not missed.
pub async fn who_is_gone_without_a_word_is_missed(fixture: &impl MembershipFixture) {
    let membership = fixture.create().await;
    for announced in [member(1, "one"), member(2, "two"), member(3, "three")] {
        membership.announce(announced).await.expect("announced");
    }
    assert_eq!(missing(&*membership).await, [""; 0]);
    assert!(!membership.forget("one").await.expect("forgotten"), "one that lives is not missed");
    membership.leave(NodeId(3)).await.expect("left");
    fixture.outlast_leases().await;
    assert_eq!(missing(&*membership).await, ["one", "two"]);
    membership.announce(member(4, "two")).await.expect("announced");
    assert_eq!(missing(&*membership).await, ["one"]);
    assert!(membership.forget("one").await.expect("forgotten"));
    assert!(!membership.forget("one").await.expect("forgotten"));
    assert_eq!(missing(&*membership).await, [""; 0]);
    assert_eq!(names(&*membership).await, ["two"]);
}

async fn missing(membership: &dyn Membership) -> Vec<String> {
    membership.missing().await.expect("whoever is missing").into_iter().map(|missing| missing.member.name).collect()
}
