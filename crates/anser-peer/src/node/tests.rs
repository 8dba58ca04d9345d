//! Who may talk to whom, as both sides are told.

use std::time::Duration;

use anser_backend::Role;
use anser_backend::memory::MemoryMembership;
use anser_runtime::Drain;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::*;
use crate::dial::{Broken, connect};
use crate::link::Link;

fn node(number: u64, cluster: u64, version: u32) -> PeerNode {
    let ids = Arc::new(ConnectionIds::new(NodeId::drawn(number << 32)));
    let (cluster, name) = (LogId(cluster), format!("n{number}"));
    let hello = Hello { version, oldest: version, cluster, node: ids.node(), name, to: None };
    let hub = Hub::new(HubParts {
        hello,
        config: PeerConfig::default(),
        certificates: None,
        ids,
        partitions: PartitionCount::EMBEDDED,
        terminals: None,
        tasks: Tasks::new(Drain::new()),
    });
    let clock = Clock::system();
    let membership = Arc::new(MemoryMembership::new(2_000, || Timestamp::ZERO));
    PeerNode { hub, membership, clock, word: Arc::new(Word::new()) }
}

fn announced() -> Announced {
    Announced {
        name: "n2".to_owned(),
        roles: [Role::Navi].into_iter().collect(),
        address: "127.0.0.1:1".to_owned(),
        clients: ClientAddresses::default(),
        weight: 1,
        version: String::new(),
        admin: String::new(),
        connections: Box::new(|| 0),
    }
}

/// A member that nobody dials: it has no role that needs it.
fn member(id: NodeId) -> Member {
    announced().member(id, false, Timestamp::ZERO)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_any_more_of_a_node_that_has_left() {
    let node = node(1, 7, VERSION);
    node.announce(announced());
    let pass = async || {
        for _ in 0..5 {
            tokio::time::advance(node.hub.config.announce_every).await;
            tokio::task::yield_now().await;
        }
    };
    pass().await;
    assert_eq!(node.membership.members().await.unwrap().len(), 1);
    node.leave().await;
    pass().await;
    assert_eq!(node.membership.members().await.unwrap(), []);
    assert_eq!(node.membership.missing().await.unwrap(), []);
}

/// What a node hears that dials another one, believing it to be `expected`.
async fn dial(from: &PeerNode, to: &PeerNode, expected: NodeId) -> Result<(), Broken> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = to.start(Local::default(), listener).unwrap();
    let link = Arc::new(Link::new(expected, &from.hub.config));
    connect(&from.hub, &link, &address.to_string()).await.map(drop)
}

#[tokio::test]
async fn told_why_a_node_of_another_cluster_is_refused() {
    let (ours, theirs) = (node(1, 7, VERSION), node(2, 8, VERSION));
    let Err(Broken::Refused(reason)) = dial(&ours, &theirs, theirs.hub.me()).await else { panic!("it got in") };
    assert!(reason.contains("node n1 belongs to cluster 0000000000000007"), "{reason}");
    assert!(theirs.hub.session(ours.hub.me()).is_none(), "and is no session there");
}

#[tokio::test]
async fn told_why_a_node_of_another_age_is_refused() {
    let (new, old) = (node(1, 7, VERSION + 1), node(2, 7, VERSION));
    let Err(Broken::Refused(reason)) = dial(&new, &old, old.hub.me()).await else { panic!("it got in") };
    assert!(reason.contains(&format!("speaks versions {0} to {0}", VERSION + 1)), "{reason}");
    let (old, new) = (node(3, 7, VERSION), node(4, 7, VERSION + 1));
    let Err(Broken::Stranger(reason)) = dial(&old, &new, new.hub.me()).await else { panic!("it got in") };
    assert!(reason.contains("node n4 speaks"), "the one that dials judges as well: {reason}");
}

#[tokio::test]
async fn another_run_of_a_node_is_not_taken_for_the_one_before() {
    let (one, again) = (node(1, 7, VERSION), node(2, 7, VERSION));
    let broken = dial(&one, &again, NodeId(99 << 32)).await.unwrap_err();
    assert!(matches!(broken, Broken::OtherRun) && broken.is_gone());
    assert!(again.hub.session(one.hub.me()).is_none(), "a stream for the run before takes no place");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_tells_that_the_node_is_gone() {
    let one = node(1, 7, VERSION);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let link = Arc::new(Link::new(NodeId(2 << 32), &one.hub.config));
    let broken = connect(&one.hub, &link, &address).await.unwrap_err();
    assert!(broken.is_gone(), "{broken:?}");
}

/// When the list shows no more that `dead` was a member, whose lease ended 2,110 ms after the beginning.
async fn noticed_after(is_missed: bool) -> Duration {
    let begun = Instant::now();
    let now = move || Timestamp(u64::try_from(begun.elapsed().as_millis()).unwrap());
    let (PeerNode { hub, .. }, dead) = (node(1, 7, VERSION), NodeId(2 << 32));
    let membership = MemoryMembership::new(2_110, now);
    membership.announce(member(dead)).await.unwrap();
    let _watching = JoinSet::from_iter([members::watch(Arc::clone(&hub), Arc::new(membership))]);
    let mut looks = interval(Duration::from_millis(1));
    while hub.routes().member(dead).is_none() {
        looks.tick().await;
    }
    if is_missed {
        hub.suspect(dead, false);
    }
    while hub.routes().member(dead).is_some() {
        looks.tick().await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn that_a_lease_is_over_is_noticed_sooner_where_its_node_is_missed() {
    let (unmissed, missed) = (noticed_after(false).await, noticed_after(true).await);
    assert!((2_390..2_410).contains(&unmissed.as_millis()), "{unmissed:?}");
    assert!((2_110..2_190).contains(&missed.as_millis()), "{missed:?}");
}
