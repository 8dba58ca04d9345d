//! What an operator is told about a cluster.

use anser_backend::{ClientAddresses, Roles, Spoken};
use anser_types::{LogId, NodeId, PartitionCount};

use super::*;
use crate::{PartitionStatus, PeerStatus};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn member(name: &str) -> Member {
    Member {
        id: NodeId(1),
        name: name.to_owned(),
        roles: Roles::all(),
        address: "h:1".into(),
        clients: ClientAddresses::default(),
        draining: false,
        connections: 2,
        weight: 100,
        version: "1".into(),
        admin: "h:2".into(),
        speaks: Spoken::FIRST,
        clock: NOW.minus(300),
    }
}

fn well(partitions: std::ops::Range<u8>) -> NodeStatus {
    let served = |partition| PartitionStatus { partition, ..PartitionStatus::default() };
    NodeStatus { ready: true, partitions: partitions.map(served).collect(), ..NodeStatus::default() }
}

fn view(members: Vec<(Member, Option<Answer>)>) -> ClusterView {
    view_with(members, Vec::new())
}

fn view_with(members: Vec<(Member, Option<Answer>)>, missing: Vec<Missing>) -> ClusterView {
    ClusterView::new(Some((LogId(7), PartitionCount::EMBEDDED)), members, missing, NOW)
}

#[test]
fn a_cluster_that_is_well_has_no_problems() {
    let view = view(vec![(member("b"), Some(Ok(well(8..16)))), (member("a"), Some(Ok(well(0..8))))]);
    assert!(view.is_well() && view.remarks.is_empty(), "{view:?}");
    assert_eq!(view.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((view.partitions.len(), view.nodes[0].said_ms_ago), (16, 300));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let lagging =
        PartitionStatus { partition: 3, to_apply: 20_000, to_archive: 200_000, stopped: true, held_back: true };
    let sick = NodeStatus {
        missing: vec!["redis: it is away".into()],
        notes: vec!["other nodes: not reached: b".into()],
        partitions: vec![lagging],
        peers: vec![PeerStatus { name: "b".into(), reached: false }],
        ..NodeStatus::default()
    };
    let late = Member { clock: NOW.minus(3_600_000), ..member("a") };
    let no_access = Member { roles: [Role::Message].into_iter().collect(), ..late };
    let problems = view(vec![(no_access, Some(Ok(sick)))]).problems.join("\n");
    for said in [
        "the clock of a is 3600 s behind that of redis",
        "a is not ready: redis: it is away",
        "a: other nodes: not reached: b",
        "no node with the role access takes anything",
        "15 of 16 partitions are served by nobody",
        "1 partitions take nothing in until history has caught up",
        "1 partitions take nothing in until timelines have caught up",
        "20000 records are accepted and not delivered",
        "200000 records are accepted and not in history",
    ] {
        assert!(problems.contains(said), "{said} is missing in\n{problems}");
    }
}

#[test]
fn what_cannot_be_known_is_not_called_wrong() {
    let silent = view(vec![(Member { admin: String::new(), ..member("a") }, None)]);
    assert!(silent.is_well(), "{silent:?}");
    assert!(silent.remarks.iter().any(|line| line.contains("admin.listen")));
    let away = view(vec![(member("a"), Some(Err("refused".into())))]);
    assert_eq!(away.problems, ["a does not answer at h:2: refused"]);
    let other = NodeStatus { name: "b".into(), ..well(0..8) };
    let mistaken = view(vec![(member("a"), Some(Ok(other)))]);
    assert_eq!(mistaken.problems.len(), 1, "{mistaken:?}");
    assert!(mistaken.problems[0].starts_with("a does not answer at h:2: b answers there"), "{mistaken:?}");
}

#[test]
fn a_partition_that_moves_and_other_versions_are_noted() {
    let newer = Member { version: "2".into(), ..member("b") };
    let view = view(vec![(member("a"), Some(Ok(well(0..9)))), (newer, Some(Ok(well(8..16))))]);
    assert!(view.is_well());
    assert_eq!(view.remarks.len(), 2, "{:?}", view.remarks);
}

#[test]
fn who_went_without_a_word_is_named_unless_there_again() {
    let missing = [("a", 1_000), ("b", 125_000), ("c", 7_200_000)]
        .map(|(name, since_ms)| Missing { member: member(name), since_ms });
    let view = view_with(vec![(member("a"), Some(Ok(well(0..16))))], missing.into());
    assert_eq!(view.missing.iter().map(|node| &node.name).collect::<Vec<_>>(), ["b", "c"]);
    let problems = view.problems.join("\n");
    for said in ["b went without a word 2 min ago", "c went without a word 2 h ago", "`anser cluster forget b [FILE]`"]
    {
        assert!(problems.contains(said), "{said} is missing in\n{problems}");
    }
}

#[test]
fn nobody_there_is_said_for_each_role_and_for_the_partitions() {
    assert_eq!(view(Vec::new()).problems.len(), 5);
    let unknown = ClusterView::new(None, vec![(member("a"), Some(Ok(well(0..16))))], Vec::new(), NOW);
    assert_eq!(unknown.problems, ["of which log the cluster is, is not noted in redis: no message node runs"]);
}
